"""Putting weights into a network: all of them and nothing else, unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models_zoo.checkpoints import AVERAGED_HOLDERS
from models_zoo.reading import session
from shifts.errors import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

SHOWN = 4
# What the network is called within the module that trained it (Lightning and hand-written ones).
HOLDERS = ("model.", "net.", "network.")
WRAPPED = "module."


def load_into(network: nn.Module, state_dict: Mapping[str, torch.Tensor], *, where: Path | str) -> None:
    """Put weights into a network, all of them and nothing else.

    Within ``models_zoo.reading.reading`` with ``lenient``, what fits is put in and the rest noted.

    Args:
        where: names the weights in a message.

    Raises:
        WeightsError: names what is missing, unexpected, of another shape or kind, or not a number.
    """
    expected = network.state_dict()
    state = _in_names_of(expected, state_dict)
    faults = _compare(expected, state)
    lenient = session().reading.lenient
    if faults and not lenient:
        raise WeightsError(f"{where} does not fit the network: it {faults}", hint=_way_out(faults, where))
    broken = [key for key, value in state.items() if value.is_floating_point() and value.isnan().any()]
    if broken:
        raise WeightsError(f"{where} holds values that are not numbers (NaN) in {_some(broken)}")
    left = {*faults.missing, *faults.misfits}
    fitting = {key: state[key] for key in expected if key in state and key not in left}
    if faults:
        if not any(expected[key].is_floating_point() for key in fitting):
            raise WeightsError(
                f"nothing in {where} fits the network: it {faults}",
                hint="name the model these weights belong to (robustbench-shift list models)",
            )
        session().left_out.extend(left)
        session().notes.append(f"lenient: the weights file {faults}; what it lacks stayed random")
    network.load_state_dict(fitting, strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Faults:
    """Names of tensors that do not fit; ``misfits`` with what is wrong about them."""

    missing: list[str]
    unexpected: list[str]
    misfits: dict[str, str]
    heads: tuple[int, int] | None  # outputs in the file and in the network

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misfits)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"lacks {_some(self.missing)}")
        if self.unexpected:
            parts.append(f"has {_some(self.unexpected)}, which the network has not")
        if self.misfits:
            parts.append("holds " + _some([f"{key} as {what}" for key, what in self.misfits.items()]))
        return "; it ".join(parts)


def _compare(expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> _Faults:
    # Checkpoints older than PyTorch 0.4.1 do not count batches; inference does not look at the counts.
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    misfits, heads = {}, None
    for key, own in expected.items():
        given = state.get(key)
        if given is None:
            continue
        if given.shape != own.shape:
            misfits[key] = f"{_shape(given)} instead of {_shape(own)}"
            if given.dim() == own.dim() and given.dim() and given.shape[1:] == own.shape[1:]:
                heads = (given.shape[0], own.shape[0])
        elif own.is_floating_point() and not given.is_floating_point():
            # Copying would take the codes of quantised weights for their values.
            misfits[key] = f"{given.dtype} instead of {own.dtype}"
    return _Faults(
        missing=missing,
        unexpected=[key for key in state if key not in expected],
        misfits=misfits,
        heads=heads,
    )


def _way_out(faults: _Faults, where: Path | str) -> str:
    if re.search(r"-\d{5}-of-\d{5}\.", str(where)):
        return "this is one shard of several: give the .index.json beside it"
    if faults.heads and not faults.missing and not faults.unexpected and len(faults.misfits) <= 2:
        return (
            f"its head has {faults.heads[0]} outputs and the network {faults.heads[1]}: "
            "say which classes it was trained on with --label-space NAME"
        )
    return (
        "name the model these weights belong to (robustbench-shift list models); "
        "--lenient loads what fits and says what it left out"
    )


def _in_names_of(
    expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors under the network's own names, where a training module held the network as its part.

    Of a file that holds the whole network under one prefix, what lies beside it (a loss, a metric, averaged
    weights) belongs to the training; it is noted and left out.
    """
    averaged = session().reading.ema and any(key.startswith(AVERAGED_HOLDERS) for key in state)
    best, holder = ({} if averaged else dict(state)), ""
    for prefix in AVERAGED_HOLDERS if averaged else HOLDERS:
        for whole in (prefix, prefix + WRAPPED):
            inside = {key.removeprefix(whole): value for key, value in state.items() if key.startswith(whole)}
            if _known(expected, inside) > _known(expected, best):
                best, holder = inside, whole
    beside = [key for key in state if holder and not key.startswith(holder)]
    if beside:
        session().notes.append(f"weights: those under {holder!r}; beside them lie {_some(beside)}")
    return best


def _known(expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> int:
    return sum(key in state for key in expected)


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(str(size) for size in tensor.shape) or "a number"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
