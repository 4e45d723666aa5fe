"""Compiled runs: digests of their own, said in the results, the same files whoever runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cli import run
from benchmark.cli.evaluate import weights_at_hand
from benchmark.lineup import Entrant, Lineup
from benchmark.planning import COMPILED, Plan, plan
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.store import PREDICTIONS, Store
from models_zoo.classifier import TorchClassifier
from models_zoo.compiling import VERSION
from models_zoo.loading import load_model
from models_zoo.spec import MODELS
from shifts.digest import digest
from shifts.spec import SHIFTS

NAMES = ("digits-logreg-f10", "digits-logreg")
SHIFTS_OF = ("digits", "digits/unseen-tint")


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled; by a backend that leaves it as it is, since only the way there matters here."""
    graphs: list[Any] = []

    def backend(graph: Any, _inputs: Any) -> Callable[..., Any]:
        graphs.append(graph)
        forward: Callable[..., Any] = graph.forward
        return forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    return graphs


def planned(root: Path, *, compiled: bool, names: tuple[str, ...] = NAMES) -> Plan:
    contestants = [
        weights_at_hand(MODELS.get(name), weights=None, precision="float32", compiled=compiled, data_dir=None)
        for name in names
    ]
    return plan(contestants, [SHIFTS.get(name).limited(200) for name in SHIFTS_OF], store=Store(root))


def measured(work: Plan, **options: Any) -> list[Result]:
    found = [
        result
        for one in work.passes
        for result in run_pass(one, options=Options(device="cpu", batch_size=64, **options))
    ]
    assert [result.status for result in found] == ["ok"] * len(found), found[0].error
    return found


def files(work: Plan) -> list[bytes]:
    return [(cell.folder / PREDICTIONS).read_bytes() for cell in work.cells]


def test_a_compiled_run_has_digests_of_its_own_and_leaves_the_others_theirs(
    trained_cache: Path, tmp_path: Path
) -> None:
    plain, other = (planned(tmp_path, compiled=compiled) for compiled in (False, True))
    for here, there in zip(plain.cells, other.cells, strict=True):
        assert here.model_digest == here.contestant.spec.digest(here.contestant.weights_digest)
        assert there.model_digest == digest({"model": here.model_digest, "compiled": VERSION})
        assert (here.shift_digest, COMPILED in here.notes) == (there.shift_digest, False)
        assert COMPILED in there.notes
    assert plain.cells[0].contestant.mode == {"precision": "float32"}


def test_compiled_results_say_so_and_are_compared_with_their_own_references(
    trained_cache: Path, tmp_path: Path, compilations: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    order = ["eval", "-m", NAMES[0], "-s", SHIFTS_OF[1], "--limit", "200", "--no-check", "--device", "cpu"]
    order += ["--results", str(tmp_path), "--json"]
    seen = {}
    for compiled in (False, True, True):
        assert run([*order, *(["--compile"] if compiled else [])]) == 0
        seen[compiled] = json.loads(capsys.readouterr().out)["results"]
    assert len(compilations) == 1, "the second time all was there"
    for compiled, rows in seen.items():
        assert all((COMPILED in row["warnings"]) == compiled for row in rows)
        (shifted,) = (row for row in rows if row["shift"] == SHIFTS_OF[1])
        (reference,) = (row for row in rows if row["shift"] == SHIFTS_OF[0])
        assert shifted["model_digest"] == reference["model_digest"]
        assert shifted["reference_accuracy"] == reference["metrics"]["accuracy"]
    provenances = {
        compiled: json.loads((Path(rows[0]["predictions"]).parent / "result.json").read_text())["provenance"]
        for compiled, rows in seen.items()
    }
    assert provenances[True]["compiled"] == VERSION
    assert provenances[True]["compile_seconds"] >= 0
    assert not {"compiled", "compile_seconds"} & set(provenances[False])
    assert run(["report", "--results", str(tmp_path), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)["results"]
    assert len(reported) == 4, "both models stand in the report, by digest"
    assert sum(COMPILED in row["warnings"] for row in reported) == 2


def test_models_that_take_turns_are_compiled_for_each_turn_to_the_same_bytes(
    trained_cache: Path, tmp_path: Path, compilations: list[Any]
) -> None:
    together = planned(tmp_path / "together", compiled=True)
    measured(together)
    assert len(compilations) == 2
    turns = planned(tmp_path / "turns", compiled=True)
    results = measured(turns, model_memory=1)
    assert files(turns) == files(together)
    assert len(compilations) == 4
    assert all(result.provenance["compiled"] == VERSION for result in results)


def test_other_executors_compile_to_the_bytes_of_one_process(
    trained_cache: Path, tmp_path: Path, compilations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="the extra [slurm] is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.slurm_executor.LOOK", 0.2)
    order = ["eval", "-m", NAMES[0], "-s", SHIFTS_OF[0], "--compile", "--batch-size", "64", "--no-check"]
    order += ["--device", "cpu"]
    elsewhere = ["--executor", "slurm", "-x", "cluster=debug", "-x", "jobs=2"]
    assert run([*order, "--results", str(tmp_path / "here")]) == 0
    before = len(compilations)
    assert run([*order, *elsewhere, "--results", str(tmp_path / "there")]) == 0
    assert len(compilations) > before
    here, there = (
        {
            path.relative_to(tmp_path / place): path.read_bytes()
            for path in (tmp_path / place).rglob(PREDICTIONS)
        }
        for place in ("here", "there")
    )
    assert here == there
    assert len(here) == 1
    (result,) = (tmp_path / "there").rglob("result.json")
    assert {"compiled", "compile_seconds"} <= set(json.loads(result.read_text())["provenance"])


def test_a_compiled_model_takes_the_room_of_both_copies_of_its_weights(trained_cache: Path) -> None:
    load = partial(load_model, NAMES[1], device="cpu")
    opened = load()
    assert isinstance(opened, TorchClassifier), "a network"
    size = Entrant(load).size
    assert size >= sum(tensor.nbytes for tensor in opened.network.state_dict().values())
    assert Entrant(load, compiled=True).size == 2 * size
    lineup = Lineup(room=2 * size, device="cpu")
    first, second = (lineup.enter(compiled, load, compiled=compiled) for compiled in (False, True))
    assert [first.here, second.here] == [False, True], "there is no room for three copies"
