"""Quantised TensorFlow Lite classifiers, from a graph as JSON with its tensors beside it.

``tflite:NAME.graph.json`` evaluates the graph as it is deployed: after every operation values are rounded to
the 8 bits of its tensor. ``tflite-float:NAME.graph.json`` takes the same weights in float arithmetic. The
tensors lie in ``NAME.safetensors``, named ``tID``, in TFLite's layout. Outputs are read before the softmax.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.heads import head_for
from models_zoo.spec import MODELS, Family, LocalFile, ModelSpec, Preprocess
from shifts.errors import WeightsError

if TYPE_CHECKING:
    from models_zoo.classifier import TorchClassifier
    from models_zoo.networks.tflite_graph import Graph

ARITHMETIC = {"tflite": "fake-quantised", "tflite-float": "float"}  # prefix of the name → how to calculate
SUFFIX = ".graph.json"
RESIZE = 0.875  # of the resized shorter side the crop keeps: TensorFlow's evaluation of the hosted models

# SHA-256 of the graph → what is known of it
_HOSTED: dict[str, dict[str, Any]] = {
    "c64f05076888827e61167b7363b592daf00b38990022655219e8882b47de7187": {
        "title": "MobileNetV2 1.0, 224 pixels, quantised",
        "citation": "Sandler et al. MobileNetV2: Inverted Residuals and Linear Bottlenecks. CVPR 2018, "
        "arXiv 1801.04381",
    },
    "e3eed65832fd6346120a26708c89b205ba81ce13875ef1b05822e893975bf441": {
        "title": "MobileNetV1 0.25, 128 pixels, quantised",
        "citation": "Howard et al. MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
        "Applications. 2017, arXiv 1704.04861",
    },
}


def resolve(name: str) -> ModelSpec | None:
    """The model in a graph file: ``tflite:FILE`` or ``tflite-float:FILE``; None for other names.

    Raises:
        WeightsError: no such file, or not a graph that can be evaluated.
        LabelSpaceError: its outputs are not ImageNet's classes.
    """
    prefix, _, given = name.partition(":")
    if prefix not in ARITHMETIC or not given:
        return None
    path = Path(given).expanduser().absolute()
    if not path.name.endswith(SUFFIX):
        raise WeightsError(
            f"{name!r} does not name a graph as JSON",
            hint=f"{prefix}:NAME{SUFFIX}, with NAME.safetensors beside",
        )
    digest, graph = _read(path)
    stem = path.name.removesuffix(SUFFIX)
    beside = path.with_name(f"{stem}.safetensors")
    known = _HOSTED.get(digest, {})
    family: Family = "standard" if known else "unknown"
    arithmetic = ARITHMETIC[prefix]
    return ModelSpec(
        name=f"{prefix}:{stem}",
        title=f"{known.get('title', stem)}, in {arithmetic} arithmetic",
        label_space="imagenet-1k",
        head=head_for(graph.outputs),
        preprocess=_preprocess(graph),
        family=family,
        training_data=("imagenet-1k",) if known else (),
        loader="models_zoo.sources.tflite_models:load",
        arguments={"graph": digest, "arithmetic": arithmetic},
        weights=LocalFile(path=str(beside)),
        parameters=graph.parameters,
        licence="Apache-2.0" if known else "the file's own",
        citation=known.get("citation", "the file's own"),
        source=str(path),
        suite="imagenet",
    )


MODELS.add_resolver(resolve)


def _preprocess(graph: Graph) -> Preprocess:
    """The graph's own scaling: value = scale · (pixel − zero point)."""
    side, scale, zero = graph.input_side, graph.input.scale, graph.input.zero_point
    return Preprocess(
        # Both sides are rounded and the crop's corner is cut: with torchvision's rules a tenth of the answers
        # of the 128-pixel MobileNet differ from those of the reference.
        resize=(round(side / RESIZE),) * 2,
        fit="cover",
        corner="cut",
        crop=(side, side),
        interpolation="bilinear",
        mean=(zero / 255,) * 3,
        std=(1 / (255 * scale),) * 3,
    )


def _read(path: Path) -> tuple[str, Graph]:
    """SHA-256 of a graph file and what it says; read anew when it changes."""
    from models_zoo.networks.tflite_graph import MAX_BYTES

    try:
        stat = path.stat()
        if stat.st_size > MAX_BYTES:
            raise WeightsError(f"{path} has {stat.st_size:,} bytes; a graph has at most {MAX_BYTES:,}")
        return _parsed(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise WeightsError(
            f"the graph {path} cannot be read: {error.strerror}", hint="name the file with its folder"
        ) from error


@cache
def _parsed(path: Path, _time: int, _size: int) -> tuple[str, Graph]:
    from models_zoo.networks.tflite_graph import read_graph

    data = path.read_bytes()
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}", hint="get the file again") from error
    return hashlib.sha256(data).hexdigest(), read_graph(raw, where=path)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the graph and read its tensors; without a file they are random.

    Raises:
        WeightsError: the tensors are not those of the graph, or the graph has changed since it was named.
    """
    from models_zoo.classifier import TorchClassifier
    from models_zoo.networks.tflite_network import GraphNetwork, dequantised
    from models_zoo.weights import load_into, load_state_dict

    digest, graph = _read(Path(spec.source))
    if digest != spec.arguments["graph"]:
        raise WeightsError(f"the graph {spec.source} was changed", hint="run the command again")
    network = GraphNetwork(graph, rounded=spec.arguments["arithmetic"] == "fake-quantised")
    if weights is not None:
        load_into(network, dequantised(load_state_dict(weights), graph), where=weights)
    return TorchClassifier(spec, network, head=network.head, device=device, precision=precision)
