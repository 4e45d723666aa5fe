"""A TensorFlow Lite graph as a torch module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from models_zoo.networks.tflite_graph import Graph, Operation, Tensor

_CEILING = {"NONE": None, "RELU": float("inf"), "RELU6": 6.0}


class GraphNetwork(nn.Module):
    """Evaluates a graph in its own order; parameters are named as its tensors, ``tID``.

    Args:
        rounded: round every value to its tensor's 256 levels, as the deployed network does (in float32
            arithmetic between the roundings, so that a last bit may differ from integer arithmetic).
    """

    def __init__(self, graph: Graph, *, rounded: bool) -> None:
        super().__init__()
        self.graph = graph
        self.rounded = rounded
        for one, operation in graph.weights.items():
            shape = torch.empty(graph.tensors[one].shape, device="meta")
            values = torch.randn(_torch_layout(shape, operation).shape) * 0.05
            self.register_parameter(_name(one), nn.Parameter(values, requires_grad=False))
        steps = [_Step(self, operation) for operation in graph.operations]
        self.steps = nn.ModuleList(steps)
        products = [step for step in steps if "CONV_2D" in step.operation.kind]
        self.head: nn.Module | None = products[-1] if products else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, h, w), scaled as the graph's input → logits (B, M)."""
        values = {self.graph.input.id: self.round(images, self.graph.input)}
        last_use = {one: step for step, used in enumerate(self.graph.operations) for one in used.inputs}
        for number, (operation, step) in enumerate(zip(self.graph.operations, self.steps, strict=True)):
            inputs = [values[one] for one in operation.inputs if one in values]
            values[operation.output] = self.round(step(*inputs), self.graph.tensors[operation.output])
            values = {one: value for one, value in values.items() if last_use.get(one, number + 1) > number}
        return values[self.graph.operations[-1].output].flatten(1)

    def round(self, values: torch.Tensor, tensor: Tensor) -> torch.Tensor:
        if not self.rounded:
            return values
        # Half goes up, as in the integer kernels (it is common after an average over 16 values).
        levels = (values / tensor.scale + (tensor.zero_point + 0.5)).floor_().clamp_(0, 255)
        return levels.sub_(tensor.zero_point).mul_(tensor.scale)


class _Step(nn.Module):
    """One operation; the tensors it multiplies by belong to the network."""

    def __init__(self, network: GraphNetwork, operation: Operation) -> None:
        super().__init__()
        self.operation = operation
        self._weights = [_name(one) for one in operation.inputs if network.graph.tensors[one].constant]
        self._network = [network]  # in a list, since a module within a module would be a cycle

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        kind, options = self.operation.kind, self.operation.options
        if kind == "RESHAPE":
            return inputs[0].flatten(1)  # of 1 × 1 pixels, so that the order of the axes does not matter
        if kind == "ADD":
            out = inputs[0] + inputs[1]
        elif kind == "AVERAGE_POOL_2D":
            out = functional.avg_pool2d(inputs[0], tuple(options["filter"]), tuple(options["stride"]))
        else:
            weight, bias = (self._network[0].get_parameter(name) for name in self._weights)
            images, stride = inputs[0], tuple(options["stride"])
            if options["padding"] == "SAME":
                images = functional.pad(images, _same(images, weight, stride))
            groups = weight.shape[0] if kind == "DEPTHWISE_CONV_2D" else 1
            out = functional.conv2d(images, weight, bias, stride=stride, groups=groups)
        ceiling = _CEILING[options["activation"]]
        return out if ceiling is None else out.clamp(0.0, ceiling)


def dequantised(stored: Mapping[str, torch.Tensor], graph: Graph) -> dict[str, torch.Tensor]:
    """Stored integers as float32 in torch's layout; tensors that the graph does not use pass as they are."""
    values = dict(stored)
    for operation in graph.operations:
        if operation.kind == "RESHAPE":
            values.pop(_name(operation.inputs[1]), None)  # a shape, not a weight
    for one, operation in graph.weights.items():
        if _name(one) in values:
            tensor = graph.tensors[one]
            wide = (values[_name(one)].double() - tensor.zero_point) * tensor.scale
            values[_name(one)] = _torch_layout(wide.float(), operation).contiguous()
    return values


def _torch_layout(weight: torch.Tensor, operation: Operation) -> torch.Tensor:
    """OHWI, or 1HWC where every channel has its own filter → (O, I, H, W)."""
    if weight.dim() != 4:
        return weight
    return weight.permute(3, 0, 1, 2) if operation.kind == "DEPTHWISE_CONV_2D" else weight.permute(0, 3, 1, 2)


def _same(images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, ...]) -> tuple[int, int, int, int]:
    """TensorFlow's padding: ⌈size / stride⌉ outputs, of an odd number of zeros the larger half behind."""
    rows, columns = (
        max((-(-size // step) - 1) * step + width - size, 0)
        for size, width, step in zip(images.shape[2:], weight.shape[2:], stride, strict=True)
    )
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def _name(tensor: int) -> str:
    return f"t{tensor}"
