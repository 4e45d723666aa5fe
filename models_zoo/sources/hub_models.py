"""``hf:OWNER/REPO[@REVISION]``: a model from its repository on the Hugging Face Hub.

Repositories of timm (``config.json`` with an ``architecture``), open_clip (``open_clip_config.json``) and
image classifiers of transformers (if it is installed) are understood by their configuration files, which come
first; the weights come from the same commit. Code in a repository is never run.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.hub_config import (
    columns_for,
    label_space_of,
    open_clip_preprocess,
    processor_preprocess,
    timm_config,
)
from models_zoo.overrides import suite_of
from models_zoo.own import last_linear, own_spec, tried
from models_zoo.spec import MODELS, HubFile, ModelSpec
from shifts.errors import LabelSpaceError, UserError, WeightsError
from shifts.labels import ANY, LABEL_SPACES

if TYPE_CHECKING:
    from models_zoo.classifier import TorchClassifier

PREFIX = "hf:"
LARGEST_CONFIG = 2**24  # bytes; ImageNet-21k's names are one
CONFIGS = ("open_clip_config.json", "config.json")
TENSORS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
OPEN_CLIP_TENSORS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_HERE = "models_zoo.sources.hub_models"


def resolve(name: str) -> ModelSpec | None:
    """Fetch the configuration and declare what it says.

    Raises:
        WeightsError: the repository cannot be read.
        UserError: none of the three kinds, or nothing that answers in classes.
    """
    if not name.startswith(PREFIX):
        return None
    repo, _, revision = name.removeprefix(PREFIX).partition("@")
    if repo.count("/") != 1:
        raise UserError(f"{name!r} names no repository", hint="such as hf:timm/resnet50.a1_in1k")
    from models_zoo.hub import commit_of, hub_file

    path = hub_file(HubFile(repo=repo, filenames=CONFIGS, revision=revision or "main"), model=name)
    config = _read(path)
    common: dict[str, Any] = {
        "title": f"{repo} on the Hugging Face Hub",
        "source": f"https://huggingface.co/{repo}",
        "licence": "see its page",
        "citation": f"https://huggingface.co/{repo}",
    }
    at = HubFile(repo=repo, filenames=TENSORS, revision=commit_of(path) or revision or "main")
    if path.name == CONFIGS[0]:
        return _of_open_clip(name, config, at, common)
    if isinstance(config.get("architecture"), str):
        return _of_timm(name, config, at, common)
    if any(str(one).endswith("ForImageClassification") for one in config.get("architectures") or ()):
        return _of_transformers(name, config, at, common)
    raise UserError(
        f"{name!r} is no image classifier of timm, open_clip or transformers",
        hint="python:package.module:factory takes a network that your own code makes",
    )


MODELS.add_resolver(resolve)


def _of_timm(name: str, config: Mapping[str, Any], at: HubFile, common: dict[str, Any]) -> ModelSpec:
    from models_zoo.heads import head_for
    from models_zoo.sources.timm_models import preprocess_of

    given = config.get("pretrained_cfg", config)
    outputs = config.get("num_classes", given.get("num_classes", 1000))
    names = given.get("label_names") or config.get("label_names")
    known: dict[str, Any] = {"preprocess": preprocess_of(timm_config(config))}
    arguments: dict[str, Any] = {"model": config["architecture"], "outputs": outputs}
    if config.get("model_args"):
        arguments["options"] = config["model_args"]
    if names:
        known |= (found := _classes(names))
        arguments |= {"names": tuple(map(str, names))} if found else {}
    else:  # the library's own rule: unnamed outputs are ImageNet's, told by their number
        with suppress(LabelSpaceError):
            known |= {"head": head_for(outputs), "label_space": "imagenet-1k", "suite": "imagenet"}
    special = "names" in arguments or "options" in arguments
    return own_spec(
        name,
        loader=f"{_HERE}:load_timm" if special else "models_zoo.timm_loading:load",
        arguments=arguments,
        weights=at,
        **{**common, **known},
    )


def _of_open_clip(name: str, config: Mapping[str, Any], at: HubFile, common: dict[str, Any]) -> ModelSpec:
    return own_spec(
        name,
        label_space=ANY,
        suite="imagenet",
        family="zero-shot",
        preprocess=open_clip_preprocess(config),
        loader=f"{_HERE}:load_open_clip",
        arguments={
            "architecture": name.lower().replace("/", "-").replace(":", "-"),
            "config": config["model_cfg"],
        },
        weights=HubFile(repo=at.repo, filenames=OPEN_CLIP_TENSORS, revision=at.revision),
        **common,
    )


def _of_transformers(name: str, config: Mapping[str, Any], at: HubFile, common: dict[str, Any]) -> ModelSpec:
    from models_zoo.hub import hub_file

    labels = config.get("id2label") or {}
    names = tuple(str(labels[key]) for key in sorted(labels, key=int))
    known = _classes(names) if names else {}
    try:
        processor = HubFile(repo=at.repo, filenames=("preprocessor_config.json",), revision=at.revision)
        preprocess = processor_preprocess(_read(hub_file(processor, model=name)))
    except WeightsError:
        preprocess = None
    if preprocess is not None:
        known["preprocess"] = preprocess
    return own_spec(
        name,
        loader=f"{_HERE}:load_transformers",
        arguments={"config": dict(config), **({"names": names} if "label_space" in known else {})},
        weights=at,
        **{**common, **known},
    )


def _classes(names: Any) -> dict[str, Any]:
    """The label space that outputs of these names answer in, if there is one."""
    space = label_space_of([str(one) for one in names])
    return {} if space is None else {"label_space": space, "suite": suite_of(space)}


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise WeightsError(f"{path.name} is too large for a configuration")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not a configuration in JSON", hint="get it again") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} is not a configuration in JSON", hint="get it again")
    return found


def load_timm(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """As ``models_zoo.timm_loading.load``, with the outputs in the order of the classes."""
    import timm

    from models_zoo.classifier import TorchClassifier
    from models_zoo.weights import load_into, load_state_dict

    given = spec.arguments
    network = timm.create_model(
        given["model"], pretrained=False, num_classes=given["outputs"], **given.get("options", {})
    )
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
    head = last_linear(network, given["outputs"])
    return tried(
        TorchClassifier(spec, _ordered(network, spec), head=head, device=device, precision=precision)
    )


def load_transformers(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network of the configuration with transformers; code of the repository is never run.

    Raises:
        UserError: transformers is not installed, or does not know the network.
    """
    from torch import nn

    from models_zoo.classifier import TorchClassifier
    from models_zoo.weights import load_into, load_state_dict

    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise UserError(
            f"{spec.name!r} is a model of transformers, which is not installed",
            hint="pip install transformers",
        ) from error
    given = dict(spec.arguments["config"])
    try:
        config = transformers.AutoConfig.for_model(given.pop("model_type", ""), **given)
        network: Any = transformers.AutoModelForImageClassification.from_config(
            config, trust_remote_code=False
        )
    except (ValueError, TypeError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(f"transformers cannot build {spec.name!r}: {first}") from error
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Any) -> Any:
            return self.network(pixel_values=images).logits

    head = last_linear(network, config.num_labels)
    return tried(
        TorchClassifier(spec, _ordered(Logits(), spec), head=head, device=device, precision=precision)
    )


def load_open_clip(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """As the registered models of open_clip, with the towers that the repository describes."""
    import tempfile

    import open_clip

    from models_zoo.sources.open_clip_models import load

    name: str = spec.arguments["architecture"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(spec.arguments["config"]), encoding="utf-8")
        open_clip.add_model_config(path)
    return load(spec, weights=weights, label_space=label_space, device=device, precision=precision)


def _ordered(network: Any, spec: ModelSpec) -> Any:
    """The network with its outputs in the order of the label space, where their names say it."""
    names = spec.arguments.get("names")
    if names is None:
        return network
    columns = columns_for(names, spec.label_space)
    if columns == tuple(range(len(LABEL_SPACES.get(spec.label_space)))):
        return network
    from torch import nn

    class Ordered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Any) -> Any:
            return self.network(images)[:, list(columns)]

    return Ordered()
