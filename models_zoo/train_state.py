"""The state of a training on disk: written whole or not at all, read without running anything in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models_zoo.recipe import STATE
from shifts.errors import WeightsError
from shifts.local import write_atomic

if TYPE_CHECKING:
    from torch import nn

SCHEMA = 1
_ENTRY = "robustbench_shift"
_AGAIN = "train it from the start with --again"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a training stands.

    Attributes:
        stage, step: the next step to take, and of which stage.
        how: device, precision and the like; a run goes on only as it began, else its numbers would be of
            two kinds.
        tensors: of the network, the optimiser and the moving average, by prefixed name.
        scaler: of float16's loss scaling.
    """

    stage: int
    step: int
    how: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]
    scaler: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with ``prefix/``, without it."""
        begin = f"{prefix}/"
        return {
            name.removeprefix(begin): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(begin)
        }


def write_state(
    folder: Path,
    *,
    stage: int,
    step: int,
    how: Mapping[str, Any],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Mapping[str, torch.Tensor],
    scaler: Mapping[str, Any],
) -> None:
    """Replace the state in a folder."""
    from safetensors.torch import save

    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for number, entries in optimiser.state_dict()["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimiser/{number}/{name}"] = value
    record = {"schema": SCHEMA, "stage": stage, "step": step, "how": dict(how), "scaler": dict(scaler)}
    flat = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
    write_atomic(folder / STATE, save(flat, metadata={_ENTRY: json.dumps(record, sort_keys=True)}))


def read_state(folder: Path, *, how: Mapping[str, Any]) -> State | None:
    """The state in a folder, or None where there is none.

    Raises:
        WeightsError: unreadable, of a newer version, or of a run on another device or in another precision.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})[_ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        schema = int(record["schema"])
        state = State(
            stage=int(record["stage"]),
            step=int(record["step"]),
            how=record["how"],
            scaler=record["scaler"],
            tensors=tensors,
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is not a state of a training: {error}", hint=_AGAIN) from error
    if schema > SCHEMA:
        raise WeightsError(
            f"{path} was written by a newer version (schema {schema})", hint=f"upgrade, or {_AGAIN}"
        )
    if dict(state.how) != dict(how):
        was, now = (", ".join(f"{key} {value}" for key, value in sorted(h.items())) for h in (state.how, how))
        raise WeightsError(
            f"the training in {folder} was begun with {was}, not with {now}",
            hint=f"go on as it began, or {_AGAIN}",
        )
    return state


def restore(state: State, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put a state into the network and the optimiser it was written from."""
    network.load_state_dict(state.part("network"))
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.part("optimiser").items():
        number, _, entry = name.partition("/")
        entries.setdefault(int(number), {})[entry] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": entries})
    for parameter, slots in optimiser.state.items():
        for entry, value in slots.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                # In the memory layout of its parameter, in which the optimiser makes it.
                slots[entry] = torch.empty_like(parameter).copy_(value)
