"""Low-rank adapters: a small trainable product beside each frozen weight, folded into it afterwards."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrize

from shifts.errors import UserError

if TYPE_CHECKING:
    from models_zoo.recipe import LoRA

_WEIGHT = "weight"


class LowRank(nn.Module):
    """W → W + (alpha / r) · B A (Hu et al., arXiv 2106.09685, section 4.1).

    A weight of more than two dimensions counts as the matrix (outputs, all the rest): for a convolution that
    is one of r filters of its own size, followed by one of 1 × 1. A is drawn as torch draws a linear layer,
    B is zero: the first answer is that of the frozen network.
    """

    def __init__(self, weight: torch.Tensor, *, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, weight[0].numel()))  # A
        self.up = nn.Parameter(weight.new_zeros(len(weight), rank))  # B
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The adapted weight, of the same shape."""
        return weight + self.scale * (self.up @ self.down).view(weight.shape)


def add_adapters(network: nn.Module, head: nn.Module, wanted: LoRA) -> list[nn.Parameter]:
    """Put adapters on the layers that ``wanted`` names, but never on the head, which is trained itself.

    Returns:
        The parameters of the adapters; freezing the rest is the caller's.

    Raises:
        UserError: no layer has such a name.
    """
    able = {name: layer for name, layer in network.named_modules() if layer is not head and _is_able(layer)}
    chosen = [
        layer for name, layer in able.items() if any(fnmatchcase(name, pattern) for pattern in wanted.layers)
    ]
    if not chosen:
        known = ", ".join(list(able)[:4]) or "none"
        raise UserError(
            f"no layer that can have an adapter is called {' or '.join(wanted.layers)}",
            hint=f"linear layers and convolutions of one group before the head: {known}",
        )
    added: list[nn.Parameter] = []
    for layer in chosen:
        adapter = LowRank(layer.get_parameter(_WEIGHT).detach(), rank=wanted.rank, alpha=wanted.alpha)
        parametrize.register_parametrization(layer, _WEIGHT, adapter)
        added += adapter.parameters()
    return added


def fold(network: nn.Module) -> None:
    """Put every adapter into its weight: the network has its plain architecture again and answers alike."""
    for layer in _adapted(network).values():
        parametrize.remove_parametrizations(layer, _WEIGHT, leave_parametrized=True)
        # The weight came back behind the bias. It stood first, and optimisers know parameters by their place.
        for name in [name for name in layer._parameters if name != _WEIGHT]:
            layer.register_parameter(name, layer._parameters.pop(name))


def folded_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that the network would have if it were folded; the network is left as it is."""
    state: dict[str, torch.Tensor] = network.state_dict()
    for name, layer in _adapted(network).items():
        inside = f"{name}.parametrizations.{_WEIGHT}."
        state = {key: value for key, value in state.items() if not key.startswith(inside)}
        state[f"{name}.{_WEIGHT}"] = getattr(layer, _WEIGHT).detach()
    return state


def _is_able(layer: nn.Module) -> bool:
    if parametrize.is_parametrized(layer, _WEIGHT):
        return False
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def _adapted(network: nn.Module) -> dict[str, nn.Module]:
    return {
        name: layer
        for name, layer in network.named_modules()
        if parametrize.is_parametrized(layer, _WEIGHT)
        and any(isinstance(part, LowRank) for part in layer.get_submodule(f"parametrizations.{_WEIGHT}"))
    }
