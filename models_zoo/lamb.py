"""LAMB: Adam whose step in each tensor is scaled to the norm of the tensor (You et al., arXiv 1904.00962)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class Lamb(torch.optim.Optimizer):
    """As timm computes it, but for the clipping of the gradient, which a stage has of its own.

    Tensors without decay are not scaled. Every part of the state is a tensor, so that a training goes on
    from a file.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # of two forms
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(parameter.grad, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
        step = float(state["step"])
        spread = state["exp_avg_sq"].div(1 - second**step).sqrt_().add_(group["eps"])
        update = state["exp_avg"].div(1 - first**step).div_(spread)
        if group["weight_decay"]:
            update.add_(parameter, alpha=group["weight_decay"])
            size, length = parameter.norm(), update.norm()
            update.mul_(torch.where((size > 0) & (length > 0), size / length, torch.ones_like(size)))
        parameter.add_(update, alpha=-group["lr"])
