"""Networks through torch.compile: each compiled once, for batches of any number of images.

Imports no torch before a network is compiled: plans ask for the version alone.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch
    from torch import nn

Compute: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

# How networks are compiled is in the digest of what they answer: raise it with every change.
VERSION = 1
SPECIAL = 16  # torch compiles batches below this size once more; they are filled up instead


def weights_held(device: str) -> int:
    """How often a network holds its weights once it is compiled.

    Args:
        device: as torch calls it.
    """
    return 2 if _frozen(device) else 1


def compiled(network: nn.Module, *, device: str) -> Compute:
    """A network as a function that is compiled when it is called first, in inference mode.

    On a CPU its weights are frozen into it: normalisation is folded into convolutions, weights are laid out
    anew for the processor's library, which computes what follows a layer together with it. They are a second
    copy; the network stays as it is.

    Args:
        network: float32 (B, 3, h, w) → (B, M); its weights must not change any more.
        device: where it lies, as torch calls it.
    """
    import torch
    from torch._dynamo.eval_frame import remove_from_cache

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = network(inputs)
        return found

    # torch keeps what it compiled with the code of a function, at most eight times: of the networks of one
    # class it would run the ninth as it is, without a word. And it puts it among the function's globals.
    code = forward.__code__.replace()
    own = types.FunctionType(code, {**globals()}, closure=forward.__closure__)
    run = torch.compile(own, dynamic=False)
    # Not as an option of torch.compile: the part of torch that reads the network does not see those.
    settings = {"freezing": _frozen(device)}

    def any_number(inputs: torch.Tensor) -> torch.Tensor:
        number = len(inputs)
        if number < SPECIAL:
            inputs = inputs[torch.arange(SPECIAL, device=inputs.device) % number]
        torch._dynamo.maybe_mark_dynamic(inputs, 0)
        with torch._inductor.config.patch(settings):
            found: torch.Tensor = run(inputs)
        return found[:number]

    weakref.finalize(any_number, remove_from_cache, code).atexit = False
    return any_number


@contextmanager
def forgetting(device: str) -> Iterator[None]:
    """Let the frozen weights of what is compiled inside the block go with its network.

    They are globals of modules that torch writes, and it keeps each of those for good.

    Args:
        device: where the network lies, as torch calls it.
    """
    if not _frozen(device):
        yield
        return
    from torch._inductor.codecache import PyCodeCache

    if not isinstance(getattr(PyCodeCache, "modules", None), list):
        yield  # another version of torch: they stay
        return
    before = len(PyCodeCache.modules)
    try:
        yield
    finally:
        for written in PyCodeCache.modules[before:]:
            sys.modules.pop(written.__name__, None)
        del PyCodeCache.modules[before:]


def _frozen(device: str) -> bool:
    return device.partition(":")[0] == "cpu"
