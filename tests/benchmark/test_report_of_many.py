"""``report`` on more models than anybody reads: the best of them, the same with and without the index."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import heads, heads_index
from benchmark.cli import run
from benchmark.cli.report import LEADERS, MOST
from benchmark.estimate import Estimate
from benchmark.store import Store, write_result
from benchmark.summary import leaders
from tests.benchmark.test_result import result


def filled(root: Path, models: int) -> Path:
    """Results of so many models on one shift; the later a model, the better it is."""
    for number in range(models):
        right = Estimate(value=(number + 1) / 100, low=0.0, high=1.0, method="w", n=7)
        name, digest = f"m{number:02d}", f"{number:064d}"
        one = replace(
            result(), model=name, model_digest=digest, metrics={**result().metrics, "accuracy": right}
        )
        folder = Store(root).cell(name, digest, shift=one.shift, shift_digest=one.shift_digest)
        folder.mkdir(parents=True)
        write_result(folder, one)
    return root


def test_a_few_models_are_all_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--results", str(filled(tmp_path, 3))]) == 0
    shown = capsys.readouterr().out
    assert all(f"m0{number}" in shown for number in range(3)) and "highest mean accuracy" not in shown


def test_of_many_models_the_best_are_shown_and_where_the_others_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "--results", str(filled(tmp_path, MOST + 1))]) == 0
    shown = capsys.readouterr().out
    best = [f"m{number:02d}" for number in range(MOST + 1 - LEADERS, MOST + 1)]
    assert [f"m{number:02d}" for number in range(MOST + 1) if f"m{number:02d}" in shown] == best
    assert f"the {LEADERS} of {MOST + 1} models" in shown and "--json" in shown
    assert run(["report", "--results", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["summary"]) == MOST + 1


def test_leaders_are_the_highest_means_over_the_most_shifts() -> None:
    measured = {
        "a": {"x": 0.9, "y": 0.1},
        "b": {"x": 0.6, "y": 0.6},
        "c": {"x": 0.3, "y": 0.3},
        "fewer shifts": {"x": 1.0},
    }
    results = [
        replace(
            result(),
            model_digest=model,
            shift=shift,
            kind="natural",
            metrics={"accuracy": Estimate(value=right, low=0.0, high=1.0, method="w", n=7)},
        )
        for model, on in measured.items()
        for shift, right in on.items()
    ]
    assert leaders(results, most=2) == ["b", "a"]
    assert leaders(results, most=9) == ["b", "a", "c", "fewer shifts"]


def test_a_report_is_the_same_with_and_without_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(heads, "WORTH_AN_INDEX", 1)
    monkeypatch.setattr(heads_index, "_WORTH_WRITING", 1)
    root = filled(tmp_path / "results", 3)
    for path in root.rglob("result.json"):  # long ago: an index may hold them
        os.utime(path, (1_700_000_000, 1_700_000_000))
    said = []
    for turn in ("no index", "index", "no index again"):
        if turn == "no index again":
            assert any((tmp_path / "cache").rglob("*")), "an index was kept"
            shutil.rmtree(tmp_path / "cache")
        assert run(["report", "--results", str(root), "--json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2]
