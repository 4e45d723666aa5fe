"""``onnx:FILE``: a network exported to ONNX, run by onnxruntime. Its graph is data; nothing in it is code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.own import check_input, file_given, in_batches_of, name_of, own_spec, tried
from models_zoo.spec import MODELS, LocalFile, ModelSpec
from shifts.errors import LabelSpaceError, UserError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models_zoo.classifier import Images, TorchClassifier
    from models_zoo.onnx_graph import Graph

PREFIX = "onnx:"


def resolve(name: str) -> ModelSpec | None:
    """``onnx:FILE``; the preprocess and the classes are not in the file and have to be stated."""
    if not name.startswith(PREFIX):
        return None
    path = Path(name.removeprefix(PREFIX)).expanduser()
    return own_spec(
        name_of(PREFIX, path),
        title=f"{path.name}, run by onnxruntime",
        loader="models_zoo.sources.onnx_models:load",
        weights=LocalFile(path=str(path)),
    )


MODELS.add_resolver(resolve)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Open the graph; inputs are normalised by the preprocess before they enter it.

    Raises:
        WeightsError: no ONNX file, no image classifier, operators or files from elsewhere.
        LabelSpaceError: the outputs are not the classes.
        UserError: onnxruntime is not installed, or has no such device or precision.
    """
    from torch import nn

    from models_zoo.classifier import TorchClassifier
    from models_zoo.heads import outputs_of
    from models_zoo.onnx_graph import external_files, read_graph, with_features

    path = file_given(weights, spec)
    graph = read_graph(path)
    external_files(path)
    expected = outputs_of(spec.head, label_space=spec.label_space)
    if graph.outputs not in (None, expected):
        raise LabelSpaceError(
            f"{path} has {graph.outputs} outputs, not the {expected} of {spec.head or spec.label_space!r}",
            hint="say which classes it was trained on with --label-space NAME",
        )
    check_input(spec, graph.size)
    if precision != "float32":
        raise UserError(
            f"the precision of an ONNX file is its own, not {precision!r}", hint="leave --precision out"
        )
    session = _session(path, device)

    class Exported(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if graph.batch is None:
                return _answer(session, graph, images)
            return in_batches_of(graph.batch, images, lambda batch: _answer(session, graph, batch))

    class OnnxClassifier(TorchClassifier):
        """Its features come from the same graph with one more output, run only when they are asked for."""

        inner: tuple[str, Any] | None = None

        def features(self, images: Images) -> NDArray[np.float32]:
            if self.inner is None:
                name, changed = with_features(path, graph)
                self.inner = name, _session(changed, device)
            output, wider = self.inner

            def seen(inputs: torch.Tensor) -> torch.Tensor:
                def run(batch: torch.Tensor) -> torch.Tensor:
                    return _answer(wider, graph, batch, output).flatten(1)

                return run(inputs) if graph.batch is None else in_batches_of(graph.batch, inputs, run)

            return self.over(images, seen)

    classifier = OnnxClassifier(spec, Exported(), device="cpu")
    classifier.device_name = f"{session.get_providers()[0]} of onnxruntime"
    return tried(classifier)


def _answer(session: Any, graph: Graph, images: torch.Tensor, output: str | None = None) -> torch.Tensor:
    import numpy as np
    import torch

    if graph.layout == "NHWC":
        images = images.permute(0, 2, 3, 1)
    given = np.ascontiguousarray(images.numpy().astype(graph.dtype, copy=False))
    return torch.from_numpy(session.run([output or graph.output_name], {graph.input_name: given})[0])


def _session(model: Path | bytes, device: str) -> Any:
    """A session on the device; on the CPU with as many threads as torch uses."""
    import torch

    from models_zoo.onnx_graph import need

    runtime = need("onnxruntime")
    here = runtime.get_available_providers()
    kind = device.partition(":")[0]
    wanted = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
    if kind != "auto" and wanted.get(kind) not in here:
        raise UserError(f"this onnxruntime runs on no {device!r}", hint=f"it has {', '.join(here)}")
    order = [wanted[kind]] if kind != "auto" else [one for one in wanted.values() if one in here]
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors, which come as exceptions, too
    try:
        return runtime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=order
        )
    except Exception as error:
        # onnxruntime has an error class for each of its status codes.
        first = str(error).strip().partition("\n")[0]
        raise WeightsError(
            f"onnxruntime cannot run {model if isinstance(model, Path) else 'the graph'}: {first}"
        ) from error
