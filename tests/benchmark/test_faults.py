"""Errors as data, causes counted, batches halved, cells claimed."""

from __future__ import annotations

import errno
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmark.claiming
from benchmark.faults import describe, faults_of, recovered
from benchmark.memory import Fitting, out_of_memory
from benchmark.planning import contestant, plan
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from benchmark.track import contained
from models_zoo.devices import Shared
from models_zoo.spec import MODELS
from shifts.errors import CorruptDataError
from shifts.spec import SHIFTS
from tests.benchmark.test_result import result


def raised(error: Exception) -> dict[str, object]:
    with pytest.raises(type(error)) as caught:
        raise error
    return describe(caught.value)


def failed(error: Exception, shift: str) -> Result:
    return result(status="error", shift=shift, error=raised(error))


def test_an_error_says_what_to_do() -> None:
    full = raised(OSError(errno.ENOSPC, "a library's words"))
    assert (full["message"], full["user"]) == ("cannot write results: No space left on device", True)
    assert "make room" in str(full["hint"])
    assert "--batch-size" in str(raised(torch.OutOfMemoryError("CUDA out of memory"))["hint"])
    assert "--batch-size" in str(raised(MemoryError())["hint"])
    assert raised(MemoryError())["message"] == "MemoryError"
    assert raised(ZeroDivisionError("x"))["hint"] is None
    mistake = raised(CorruptDataError("image 'a' is cut short", hint="replace it"))
    assert (mistake["hint"], mistake["user"]) == ("replace it", True)
    assert "where" not in mistake


def test_cells_that_fail_of_one_cause_are_told_together() -> None:
    cells = [failed(FloatingPointError(f"NaN, first for image {i}"), f"s{i}") for i in range(5)]
    cells.append(failed(CorruptDataError("image 'a' is cut short"), "s5"))
    cells.append(failed(CorruptDataError("image 'b' is cut short"), "s6"))
    found = faults_of([*cells, result()])
    assert [len(fault.cells) for fault in found] == [5, 1, 1]
    name = result().model
    assert found[0].headline() == (
        f"{name} on s0, {name} on s1, {name} on s2 and 2 more: NaN, first for image 0"
    )
    assert found[0].to_json()["count"] == 5


def test_what_was_mended_is_told_by_the_size_that_fitted() -> None:
    cut = result(provenance={"batch_size": 8})
    (fault,) = recovered([cut, result(provenance={}), failed(MemoryError(), "s")])
    assert (fault.recovered, fault.cells) == (True, ((cut.model, cut.shift),))
    assert "8 images at a time" in fault.message


class Tight:
    """A model with room for ``room`` images; answers with the mean of each."""

    gpu = None

    def __init__(self, room: int, error: type[Exception] = MemoryError) -> None:
        self.room, self.error, self.asked = room, error, []  # type: ignore[var-annotated]

    def classifier(self) -> Tight:
        return self

    def logits(self, images: torch.Tensor) -> np.ndarray:
        self.asked.append(len(images))
        if len(images) > self.room:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        return images.numpy().mean(axis=(2, 3))


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError, RuntimeError])
def test_a_batch_is_halved_until_it_fits_and_the_next_begins_there(error: type[Exception]) -> None:
    tight, fitting = Tight(3, error), Fitting()
    batch = torch.arange(11 * 3 * 4, dtype=torch.float32).reshape(11, 3, 2, 2)
    found = fitting.begin(tight, Shared(batch))()  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, batch.numpy().mean(axis=(2, 3)))
    assert tight.asked == [11, 6, 3, 3, 3, 2]
    assert fitting.largest(tight) == 3  # type: ignore[arg-type]
    fitting.begin(tight, Shared(batch[:4]))  # type: ignore[arg-type]
    assert tight.asked[6:] == [3, 1]


def test_one_image_without_room_and_any_other_error_are_raised() -> None:
    batch = torch.zeros((4, 3, 2, 2))
    tight = Tight(0)
    with pytest.raises(MemoryError):
        Fitting().begin(tight, Shared(batch))  # type: ignore[arg-type]
    assert tight.asked == [4, 2, 1]
    with pytest.raises(ValueError, match="allocate"):
        Fitting().begin(Tight(1, ValueError), Shared(batch))  # type: ignore[arg-type]
    assert not out_of_memory(RuntimeError("size mismatch"))


def test_a_failed_cell_keeps_nothing_of_what_its_model_held_in_memory() -> None:
    held = []

    def forward() -> None:
        activations = torch.zeros(3)
        held.append(weakref.ref(activations))
        raise MemoryError

    class Cell:
        failure: Exception | None = None

    cell = Cell()
    with contained([cell]):  # type: ignore[list-item]
        forward()
    assert isinstance(cell.failure, MemoryError)
    assert held[0]() is None
    assert describe(cell.failure)["where"].startswith("forward (line")


def test_more_cells_than_locks_are_measured_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.claiming, "MOST", 2)
    shifts = [SHIFTS.get(name) for name in ("toy", "toy/tint", "digits")]
    models = [contestant(MODELS.get(name), weights=None) for name in ("toy-oracle", "constant")]
    work = plan(models, shifts, store=Store(tmp_path), skip_unfit=True)
    done = [found for one in work.passes for found in run_pass(one, options=Options(device="cpu"))]
    assert sorted((r.model, r.shift) for r in done) == sorted(
        (cell.contestant.spec.name, cell.shift.name) for cell in work.cells
    )
    assert len(done) == 5
    assert all(found.status == "ok" for found in done)
    assert not list(tmp_path.rglob("*.lock"))
