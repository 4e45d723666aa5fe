"""What an ONNX file says of itself: its input and output, the files it needs; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shifts.errors import UserError, WeightsError

# ONNX's own operators, and those that every onnxruntime brings.
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
CHANNELS = 3
LARGEST = 2**31 - 1  # bytes, of protobuf; larger networks keep their tensors beside the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Of a network with images in and logits out; None stands for a size that is free.

    Attributes:
        dtype: of the input, as numpy names it.
        outputs: M, where the graph says it.
    """

    input_name: str
    output_name: str
    layout: Literal["NCHW", "NHWC"]
    dtype: Literal["float32", "float16"]
    batch: int | None
    size: tuple[int | None, int | None]
    outputs: int | None


def need(module: str) -> Any:
    """A module of the extra.

    Raises:
        UserError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"ONNX files need the package {module}, which is not installed",
            hint="pip install 'robustbench-shift[onnx]'",
        ) from error


def external_files(path: Path) -> tuple[Path, ...]:
    """The files beside an ONNX file that hold its tensors.

    Raises:
        WeightsError: no ONNX file, or it names a file that is not there or outside of its folder.
    """
    home = path.resolve().parent
    found: dict[str, Path] = {}
    for tensor in _tensors(_read(path)):
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), None)
        if location is None or location in found:
            continue
        place = (home / location).resolve()
        if Path(location).is_absolute() or not place.is_relative_to(home):
            raise WeightsError(
                f"{path} wants to read {location}, which is not in its own folder",
                hint="export it anew, with its external data beside it",
            )
        if not place.is_file():
            raise WeightsError(f"{path} needs {location}, which is not beside it", hint="put it there")
        found[location] = path.parent / location
    return tuple(found.values())


def read_graph(path: Path) -> Graph:
    """The graph's input and output.

    Raises:
        WeightsError: no ONNX file, no image classifier, or it needs operators that are not ONNX's own.
    """
    model = _read(path)
    defined = {function.domain for function in model.functions}
    graphs = [model.graph, *model.functions]
    foreign = sorted({node.domain for graph in graphs for node in _nodes(graph)} - defined - {*DOMAINS})
    if foreign:
        raise WeightsError(
            f"{path} needs operators of {', '.join(foreign)}, which would be code of another library",
            hint="export it with ONNX's own operators",
        )
    graph = model.graph
    own = {tensor.name for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in own]
    if len(inputs) != 1:
        raise WeightsError(
            f"{path} takes {len(inputs)} inputs ({_names(inputs)}); a classifier takes images alone"
        )
    outputs = list(graph.output)
    if len(outputs) != 1:
        outputs = [one for one in outputs if one.name == "logits"]
    if len(outputs) != 1:
        raise WeightsError(
            f"{path} gives {len(graph.output)} outputs ({_names(graph.output)}), none called 'logits'",
            hint="export it with the logits as its only output",
        )
    return _checked(path, graph, inputs[0], outputs[0])


def with_features(path: Path, graph: Graph) -> tuple[str, bytes]:
    """The graph with one more output: what enters the linear layer that gives the logits.

    Returns:
        Name of the output, and the graph as bytes.

    Raises:
        UserError: it does not end with a linear layer, or keeps tensors in files of their own.
    """
    onnx = need("onnx")
    model = _read(path)
    made = {name: node for node in model.graph.node for name in node.output}
    weights = {tensor.name for tensor in model.graph.initializer}
    name: str | None = graph.output_name
    # A linear layer is a Gemm, or a MatMul with an Add behind it.
    while name in made and made[name].op_type in ("Add", "Identity"):
        name = next((one for one in made[name].input if one not in weights), None)
    last = made.get(name or "")
    if last is None or last.op_type not in ("Gemm", "MatMul") or external_files(path):
        raise UserError(
            f"{path.name} does not show what enters its last layer, and so gives no features",
            hint="it has to end with a linear layer and hold its tensors itself",
        )
    seen = last.input[0]
    kind = onnx.TensorProto.FLOAT if graph.dtype == "float32" else onnx.TensorProto.FLOAT16
    model.graph.output.append(onnx.helper.make_tensor_value_info(seen, kind, None))
    return seen, model.SerializeToString()


def _checked(path: Path, graph: Any, given: Any, answer: Any) -> Graph:
    onnx = need("onnx")
    kind = given.type.tensor_type
    dtypes: dict[int, Literal["float32", "float16"]] = {
        onnx.TensorProto.FLOAT: "float32",
        onnx.TensorProto.FLOAT16: "float16",
    }
    shape = _sizes(kind)
    if len(shape) != 4 or kind.elem_type not in dtypes:
        name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
        raise WeightsError(
            f"{path} takes {name} of shape {shape}; a classifier takes normalised float images (B, 3, H, W)"
        )
    places = [axis for axis in (1, 3) if shape[axis] == CHANNELS]
    if len(places) != 1:
        raise WeightsError(
            f"{path} takes images of shape {shape}, which does not tell where the three colours are",
            hint="export it with a fixed number of channels: (B, 3, H, W) or (B, H, W, 3)",
        )
    last = next((node for node in graph.node if answer.name in node.output), None)
    if last is not None and last.op_type in ("Softmax", "Sigmoid", "ArgMax"):
        raise WeightsError(
            f"{path} ends with {last.op_type}: it gives no logits",
            hint="export the network without its last step",
        )
    result = _sizes(answer.type.tensor_type)
    if result and len(result) != 2:
        raise WeightsError(f"{path} gives answers of shape {result}, not (B, M)")
    first = places[0] == 1
    return Graph(
        input_name=given.name,
        output_name=answer.name,
        layout="NCHW" if first else "NHWC",
        dtype=dtypes[kind.elem_type],
        batch=shape[0],
        size=(shape[2], shape[3]) if first else (shape[1], shape[2]),
        outputs=result[1] if result else None,
    )


def _read(path: Path) -> Any:
    onnx = need("onnx")
    try:
        if path.stat().st_size > LARGEST:
            raise WeightsError(f"{path} is larger than an ONNX file can be")
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except WeightsError:
        raise
    except Exception as error:
        # Protobuf has an error class of its own for each implementation.
        raise WeightsError(f"{path} is not a readable ONNX file", hint="get the file again") from error
    if not model.graph.node:
        raise WeightsError(
            f"{path} is not a readable ONNX file: it has no operators", hint="get the file again"
        )
    return model


def _nodes(graph: Any) -> Iterator[Any]:
    """Every operator, those of branches and loops included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor that is kept in the file or named by it."""
    yield from model.graph.initializer
    for graph in (model.graph, *model.functions):
        for node in _nodes(graph):
            for attribute in node.attribute:
                yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
                for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                    yield from inner.initializer


def _sizes(kind: Any) -> list[int | None]:
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in kind.shape.dim
    ]


def _names(values: Any) -> str:
    return ", ".join(value.name for value in values)
