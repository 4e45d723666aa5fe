"""Building a network whose weights are about to be read: filling them at random first costs most time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from models_zoo.reading import session

if TYPE_CHECKING:
    from pathlib import Path

_FILLS = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.erfinv_,
    init.normal_,
    init.uniform_,
    init.trunc_normal_,
    init.kaiming_normal_,
    init.kaiming_uniform_,
    init.xavier_normal_,
    init.xavier_uniform_,
}


class _Unfilled(TorchFunctionMode):
    """Leaves parameters as they are where they would be drawn; buffers, which a file may lack, are filled."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        first = args[0] if args else (kwargs or {}).get("tensor")
        if func in _FILLS and isinstance(first, nn.Parameter):
            return first
        return func(*args, **(kwargs or {}))


def building(weights: Path | None) -> AbstractContextManager[Any]:
    """Where a network is built: with weights to come, all of which have to, its parameters stay unfilled."""
    return nullcontext() if weights is None or session().reading.lenient else _Unfilled()
