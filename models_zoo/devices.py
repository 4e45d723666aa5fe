"""Where a network runs and how exactly: devices, precision, uploads that overlap with the work.

In ``float32`` every product is one: TF32 and other shortcuts are off while a network runs here, whatever the
program around it has set. A GPU then differs from the CPU by the order of its sums alone: logits by less
than 1e-3 of their largest value. ``bfloat16`` keeps 8 bits of a number and ``float16`` 11: logits differ by
less than 5 % and 1 %. ``tests/models_zoo/test_devices.py`` holds both to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from shifts.errors import UserError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Tensors = tuple[torch.Tensor, ...]


def pick_device(device: str) -> str:
    """Resolve ``"auto"``.

    Raises:
        UserError: the device is unknown, or not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, here in present.items() if here)
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = device
    if not present.get(kind, False):
        here = ", ".join(name for name, yes in present.items() if yes)
        raise UserError(f"there is no device {device!r} on this machine", hint=f"here: {here}, or auto")
    return device


def device_name(device: torch.device) -> str:
    """What a result records: the kind of device, with the name of a GPU."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return device.type


def precision_type(precision: str) -> torch.dtype:
    """The type that a precision computes in.

    Raises:
        UserError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision {precision!r}", hint=f"one of {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision for a block; in float32 it changes nothing."""
    wanted = precision_type(precision)
    # Where shapes alone are computed with (``models_zoo.costs``), autocast knows no such device.
    kind = "cpu" if device.type == "meta" else device.type
    return torch.autocast(kind, dtype=wanted, enabled=wanted is not torch.float32)


@contextmanager
def exact() -> Iterator[None]:
    """Full float32 products, and convolutions that sum in the same order each time, inside the block."""
    before = _matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        if isinstance(before, str):
            torch.set_float32_matmul_precision(before)
        else:
            for backend, precision in before:
                backend.fp32_precision = precision


def _matmul_precision() -> str | list[tuple[Any, str]]:
    """The precision of products; by backend where the program around has set each by itself."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # torch 2.9 and later refuse the question then
        on_cpu: Any = torch.backends.mkldnn
        backends = (torch.backends.cuda.matmul, on_cpu.matmul)
        return [(one, one.fp32_precision) for one in backends]


def uploaded(batches: Iterable[Tensors], device: torch.device) -> Iterator[Tensors]:
    """Batches on a device; on CUDA each is copied while the one before it is worked on.

    Args:
        batches: tuples of tensors on the CPU; the next one is asked for before the last is given out, so
            that what prepares it works beside the device as well.
    """
    if device.type != "cuda":
        for batch in batches:
            yield tuple(tensor.to(device) for tensor in batch)
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it so
    waiting: tuple[Tensors, torch.cuda.Event] | None = None
    for batch in batches:
        # Only a copy from pinned memory, on a stream of its own, runs beside the computation.
        pinned = tuple(tensor.pin_memory() for tensor in batch)
        with torch.cuda.stream(stream):
            copied = tuple(tensor.to(device, non_blocking=True) for tensor in pinned)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it so
            done.record(stream)
        if waiting is not None:
            yield _arrived(*waiting, device)
        waiting = (copied, done)
    if waiting is not None:
        yield _arrived(*waiting, device)


class Shared:
    """A batch that several models on any devices look at; it is copied to each device once.

    Args:
        batch: on the CPU; from pinned memory the copy to a GPU runs beside the computation.
    """

    def __init__(self, batch: torch.Tensor) -> None:
        self._copies = {batch.device: batch}
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    def on(self, device: torch.device) -> torch.Tensor:
        """The batch on a device, on CUDA as soon as the current stream is there."""
        if device not in self._copies:
            # Towards the CPU nobody could tell when such a copy has arrived.
            self._copies[device] = self._batch.to(device, non_blocking=device.type == "cuda")
        return self._copies[device]

    def afresh(self) -> Shared:
        """The same batch without its copies: when they are done with, their memory is free."""
        return Shared(self._batch)


def room(shape: Sequence[int], *, pinned: bool) -> torch.Tensor:
    """Memory for a batch: uint8 of a shape, not filled yet.

    Args:
        pinned: take memory from which a GPU copies while it works; where there is no GPU, there is none. It
            is kept for later batches, whereas the system would clear other memory of this size each time.
    """
    return torch.empty(tuple(shape), dtype=torch.uint8, pin_memory=pinned and torch.cuda.is_available())


def _arrived(batch: Tensors, done: torch.cuda.Event, device: torch.device) -> Tensors:
    """The batch, once the stream that computes waits for its copy."""
    current = torch.cuda.current_stream(device)
    current.wait_event(done)
    for tensor in batch:
        tensor.record_stream(current)
    return batch
