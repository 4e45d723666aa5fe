"""Executors by name, their settings, and the pieces that they hand out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.executors import EXECUTORS, executor, settings_of
from benchmark.pieces import GROUP, groups
from benchmark.planning import Pass, contestant, plan
from benchmark.queueing import LOSSES, Queue
from benchmark.runner import Options
from benchmark.store import Store
from benchmark.worker import Part, Worker, environment
from models_zoo.spec import MODELS
from shifts.errors import UnknownNameError, UserError
from shifts.spec import SHIFTS
from tests.contract.test_layers import loaded_modules


def test_an_unknown_executor_and_one_that_is_not_installed_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UnknownNameError, match="unknown executor 'dask'") as caught:
        executor("dask")
    assert caught.value.hint == "--executor takes local, ray, slurm"
    monkeypatch.setattr("benchmark.executors.find_spec", lambda name: None)
    assert executor("local").name == "local"
    with pytest.raises(UserError, match="needs ray") as lacking:
        executor("ray")
    assert lacking.value.hint == "pip install 'robustbench-shift[ray]'"
    assert run(["eval", "-m", "constant", "-s", "digits", "--executor", "ray"]) == 2


def test_looking_up_an_executor_imports_nothing_heavy() -> None:
    code = "from benchmark.executors import executor\nexecutor('local')"
    assert not loaded_modules(code) & {"torch", "ray", "submitit", "fsspec", "pyarrow"}


def test_settings_are_read_by_the_types_of_their_fields() -> None:
    pytest.importorskip("submitit")
    slurm = EXECUTORS.get("slurm")
    found = settings_of(slurm, ["partition=gpu", "time=10", "dry-run"])
    assert (found.partition, found.time, found.dry_run, found.jobs) == ("gpu", 10, True, 16)
    with pytest.raises(UnknownNameError, match="did you mean 'partition'") as caught:
        settings_of(slurm, ["partitoin=gpu"])
    assert "minutes of a job" in (caught.value.hint or "")
    with pytest.raises(UserError, match=r"time=soon: 'time' takes a number"):
        settings_of(slurm, ["time=soon"])
    with pytest.raises(UserError, match="true or false"):
        settings_of(slurm, ["dry-run=perhaps"])
    with pytest.raises(UnknownNameError, match="'local' has no setting"):
        settings_of(EXECUTORS.get("local"), ["workers=2"])


def planned(store: Store) -> Pass:
    shifts = [SHIFTS.get("digits"), SHIFTS.get("digits/pad").limited(100)]
    (work,) = plan([contestant(MODELS.get("constant"), weights=None)], shifts, store=store).passes
    return work


def queue_of(store: Store, work: Pass) -> Queue:
    from benchmark.planning import Plan

    return Queue(
        Plan(cells=work.cells, finished={}, passes=(work,)),
        store=store,
        options=Options(batch_size=64),
        environment=environment("cpu"),
        workers=2,
        executor="test",
    )


def pieces_of(queue: Queue) -> list:
    found = []
    while (piece := queue.next()) is not None:
        found.append(piece)
    return found


def test_pieces_take_whole_batches_and_every_row_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    work = planned(store)
    queue = queue_of(store, work)
    pieces = pieces_of(queue)
    assert [len(piece.rows) % 64 for piece in pieces[:-1]] == [0] * (len(pieces) - 1)
    assert np.array_equal(np.concatenate([piece.rows for piece in pieces]), np.arange(597))
    rows: dict[Path, list[int]] = {}
    for piece in pieces:
        for cell, todo in zip(piece.cells, piece.todo, strict=True):
            rows.setdefault(cell.folder, []).extend(todo.tolist())
    assert sorted(map(len, rows.values())) == [100, 597]
    assert all(found == list(range(len(found))) for found in rows.values())
    queue.close()


def test_rows_that_are_there_are_not_asked_for_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    work = planned(store)
    queue, worker = queue_of(store, work), Worker(Options(device="cpu", batch_size=64), node="here")
    first, *_ = pieces_of(queue)
    queue.take(first, worker.measure(first))
    queue.close()
    again = queue_of(store, work)
    assert sum(piece.size for piece in pieces_of(again)) == 597 + 100 - first.size
    assert again.evaluations[0] == 0
    again.close()


def test_a_piece_is_given_out_again_until_it_has_lost_too_many_workers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    queue = queue_of(store, planned(store))
    for _ in range(LOSSES):
        piece = queue.next()
        assert piece is not None
        queue.lost(piece, "node gone")
    assert queue.over
    assert {result.status for result in queue.results} == {"error"}
    error = queue.results[0].error
    assert error is not None
    assert error["message"] == f"the worker was lost {LOSSES} times over it: node gone"


def test_cells_whose_rows_come_in_any_order_are_finished(tmp_path: Path) -> None:
    store = Store(tmp_path / "pieces")
    work = planned(store)
    queue, worker = queue_of(store, work), Worker(Options(device="cpu", batch_size=64), node="here")
    for piece in reversed(pieces_of(queue)):
        parts = worker.measure(piece)
        assert all(isinstance(part, Part) and part.error is None for part in parts)
        queue.take(piece, parts)
    assert queue.over
    assert queue.evaluations[0] == queue.evaluations[1] == 697
    assert sorted(result.n for result in queue.results) == [100, 597]
    assert not list(tmp_path.rglob("shards"))


def test_groups_of_models_are_bounded_by_number_and_by_bytes(tmp_path: Path) -> None:
    from dataclasses import replace

    work = planned(Store(tmp_path))
    cell = work.cells[0]
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(1000))
    many = [
        replace(cell, contestant=replace(cell.contestant, digest=str(number), weights=weights))
        for number in range(GROUP + 3)
    ]
    assert [len(group) for group in groups(many, room=None)] == [GROUP, 3]
    assert [len(group) for group in groups(many[:5], room=2500)] == [2, 2, 1]
