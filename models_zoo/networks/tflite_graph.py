"""A TensorFlow Lite graph as data: tensors with scale and zero point, operations in order. Imports no torch.

Only what the hosted MobileNets consist of is understood; every other operation or option is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shifts.errors import WeightsError

MAX_BYTES = 16 * 2**20
MAX_VALUES = 2**28  # of one tensor

# operation → number of inputs, options it must and may have
_OPERATIONS: dict[str, tuple[int, frozenset[str]]] = {
    "CONV_2D": (3, frozenset({"stride", "padding", "activation"})),
    "DEPTHWISE_CONV_2D": (3, frozenset({"stride", "padding", "activation", "depth_multiplier"})),
    "ADD": (2, frozenset({"activation"})),
    "AVERAGE_POOL_2D": (1, frozenset({"stride", "padding", "activation", "filter"})),
    "RESHAPE": (2, frozenset()),
    "SOFTMAX": (1, frozenset()),
}
_VALUES: dict[str, tuple[Any, ...]] = {
    "padding": ("SAME", "VALID"),
    "activation": ("NONE", "RELU", "RELU6"),
    "depth_multiplier": (1,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """value = scale · (stored − zero_point); ``constant`` ones are stored beside the graph as ``tID``."""

    id: int
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    constant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``inputs`` and ``output`` are ids of tensors; ``options`` as in the file."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Operations in the order they are calculated, up to the logits: a softmax at the end is left out."""

    tensors: Mapping[int, Tensor]
    operations: tuple[Operation, ...]
    input: Tensor

    @property
    def input_side(self) -> int:
        """Height and width of the input in pixels."""
        return self.input.shape[1]

    @property
    def outputs(self) -> int:
        """M, how many logits an image gets."""
        return self.tensors[self.operations[-1].output].shape[-1]

    @property
    def weights(self) -> dict[int, Operation]:
        """id of a constant → the operation that multiplies by it or adds it, for all that move a logit."""
        return {
            one: operation
            for operation in self.operations
            if operation.kind != "RESHAPE"
            for one in operation.inputs
            if self.tensors[one].constant
        }

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(math.prod(self.tensors[one].shape) for one in self.weights)


def read_graph(raw: Any, *, where: Path) -> Graph:
    """Check a graph that was read from JSON.

    Raises:
        WeightsError: something is missing, contradicts itself or is not understood; says what.
    """
    try:
        tensors = {one.id: one for one in map(_tensor, raw["tensors"])}
        operations = [_operation(one) for one in raw["ops"]]
        if len(raw["inputs"]) != 1 or len(raw["outputs"]) != 1 or not operations:
            raise ValueError("it has not one input, one output and operations between them")
        known = {one.id for one in tensors.values() if one.constant} | {raw["inputs"][0]}
        for operation in operations:
            if not set(operation.inputs) <= known or operation.output not in tensors:
                raise ValueError(f"{operation.kind} uses a tensor that nothing has calculated before")
            known.add(operation.output)
        if operations[-1].output != raw["outputs"][0]:
            raise ValueError("its last operation does not give its output")
        start = tensors[raw["inputs"][0]]
        if start.dtype != "uint8" or len(start.shape) != 4 or start.shape != (1, *start.shape[1:2] * 2, 3):
            raise ValueError(f"its input is {start.dtype} {list(start.shape)}, not a square uint8 image")
        if operations[-1].kind == "SOFTMAX":
            operations.pop()
        if any(one.kind == "SOFTMAX" for one in operations) or not operations:
            raise ValueError("it has a softmax elsewhere than at its end")
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise WeightsError(f"{where} is not a graph: {type(error).__name__} {error}") from error
    except ValueError as error:
        raise WeightsError(f"{where} is not a graph that can be evaluated: {error}") from error
    return Graph(tensors=tensors, operations=tuple(operations), input=start)


def _tensor(raw: Mapping[str, Any]) -> Tensor:
    shape = tuple(int(size) for size in raw["shape"])
    if min(shape, default=1) < 1 or math.prod(shape) > MAX_VALUES:
        raise ValueError(f"tensor {raw['id']} has the shape {list(shape)}")
    quantised = raw["scale"] is not None
    scale, zero = (float(raw["scale"]), int(raw["zero_point"])) if quantised else (1.0, 0)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"tensor {raw['id']} has the scale {scale}")
    return Tensor(
        id=int(raw["id"]),
        shape=shape,
        dtype=str(raw["dtype"]),
        scale=scale,
        zero_point=zero,
        constant=bool(raw.get("constant", False)),
    )


def _operation(raw: Mapping[str, Any]) -> Operation:
    kind = raw["op"]
    if kind not in _OPERATIONS:
        raise ValueError(f"operation {kind} is not one of {', '.join(_OPERATIONS)}")
    inputs, needed = _OPERATIONS[kind]
    options = {name: value for name, value in raw.items() if name not in ("op", "inputs", "outputs")}
    if set(options) != needed or len(raw["inputs"]) != inputs or len(raw["outputs"]) != 1:
        raise ValueError(
            f"{kind} needs {inputs} inputs, 1 output and {', '.join(sorted(needed)) or 'nothing else'}"
        )
    for name, value in options.items():
        if name in ("stride", "filter"):
            if len(value) != 2 or not all(isinstance(one, int) and 1 <= one <= 64 for one in value):
                raise ValueError(f"{kind} has the {name} {value}")
        elif value not in _VALUES[name]:
            raise ValueError(f"{kind} has the {name} {value}")
    if kind == "AVERAGE_POOL_2D" and options["padding"] != "VALID":
        raise ValueError("AVERAGE_POOL_2D with padding")
    return Operation(
        kind=kind, inputs=tuple(map(int, raw["inputs"])), output=int(raw["outputs"][0]), options=options
    )
