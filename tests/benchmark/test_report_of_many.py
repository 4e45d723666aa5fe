"""``report`` on more models than anybody reads: the best of them, the same with and without the index."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import heads, heads_index
from benchmark.cli import run
from benchmark.cli.report import LEADERS, MOST
from benchmark.estimate import Estimate
from benchmark.export import write_csv
from benchmark.heads import latest
from benchmark.report import Rows, build_rows
from benchmark.result import RESULT
from benchmark.store import Store, write_result
from benchmark.summary import ModelSummary, leaders, passing, summarise
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


PER_RESULT = 2500  # bytes: its head, its file's state and folder; its part of a document or table is not held
HARDER = {"digits": 0.0, "digits/pad": 0.2, "digits/unseen-tint": 0.1, "digits/contrast/2": 0.3}


def on_shifts(root: Path, models: int) -> Path:
    """Results of so many models on a reference and on shifts that have a line from it."""
    for number in range(models):
        for shift, harder in HARDER.items():
            reference = None if shift == "digits" else "digits"
            right = Estimate(value=0.9 - harder - number / 1000, low=0.0, high=1.0, method="w", n=700)
            one = replace(
                result(),
                model=f"m{number:03d}",
                model_digest=f"{number:064d}",
                shift=shift,
                reference=reference,
                kind="synthetic" if reference else "reference",
                warnings=(),
                n=700,
                metrics={**result().metrics, "accuracy": right},
            )
            folder = Store(root).cell(one.model, one.model_digest, shift=shift, shift_digest=one.shift_digest)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RESULT).write_text(one.to_json())
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


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results that an index holds, however few and new they are."""
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(heads, "WORTH_AN_INDEX", 1)
    monkeypatch.setattr(heads_index, "_WORTH_WRITING", 1)
    monkeypatch.setattr(heads_index, "_RESTING_NS", -(10**12))
    return tmp_path / "results"


@pytest.mark.parametrize("options", ["--json", "--csv FILE.csv --markdown FILE.md --latex FILE.tex"])
def test_a_result_more_takes_no_more_memory_than_what_is_known_of_it(
    options: str, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["report", "--results", str(indexed), *options.replace("FILE", str(tmp_path / "table")).split()]
    monkeypatch.setattr("benchmark.report.AT_ONCE", 32)
    peaks = {}
    for models in (20, 100):
        on_shifts(indexed, models)
        run(line)  # writes the index
        with Path(os.devnull).open("w") as nowhere, monkeypatch.context() as patch:
            patch.setattr("sys.stdout", nowhere)
            tracemalloc.start()
            assert run(line) == 0
            peaks[models] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert (peaks[100] - peaks[20]) / (80 * len(HARDER)) < PER_RESULT


def test_rows_are_the_same_however_many_are_made_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = latest(Store(on_shifts(tmp_path, 7)).results())
    rows = Rows(results)
    together = list(rows)
    assert sum(row.effective is not None for row in together) == 7 * 3
    for at_once in (1, 3, 1000):
        monkeypatch.setattr("benchmark.report.AT_ONCE", at_once)
        assert list(rows) == together == build_rows(results)
    chosen = [results[0][1].model_digest, results[-1][1].model_digest]
    assert rows.of(chosen) == [row for row in together if row.result.model_digest in chosen]


def test_a_summary_follows_its_models_rows(tmp_path: Path) -> None:
    rows = build_rows(latest(Store(on_shifts(tmp_path, 5)).results()))
    summaries: list[ModelSummary] = []
    for number, row in enumerate(passing(iter(rows), summaries)):
        assert row is rows[number] and len(summaries) == number // len(HARDER)
    assert summaries == summarise(rows)


def test_a_table_of_few_columns_has_those_of_all_results(tmp_path: Path) -> None:
    root = on_shifts(tmp_path / "results", 2)
    folder, first = latest(Store(root).results())[0]
    more = replace(first, metrics={**first.metrics, "nll": first.metrics["accuracy"]})
    (folder / RESULT).write_text(more.to_json())
    assert run(["report", "--results", str(root), "--csv", str(tmp_path / "table.csv")]) == 0
    with (tmp_path / "table.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["nll"] != "" for line in lines] == [True] + 7 * [False]
    assert float(lines[0]["nll_low"]) == 0.0 and lines[0]["reference"] == ""
    rows = build_rows(latest(Store(root).results()))
    write_csv(tmp_path / "same.csv", rows)
    assert (tmp_path / "same.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "report --results RESULTS --baseline results:RESULTS --json",
        "report --results RESULTS --baseline results:RESULTS --csv FILE.csv",
        "report --results RESULTS --csv FILE.csv --markdown FILE.md --latex FILE.tex --json",
        "fit -s digits/pad -s digits/contrast/2 --baseline results:RESULTS --of m* --among results:RESULTS",
        "plot -s digits/pad -s digits/unseen-tint --results RESULTS --baseline results:RESULTS -o FILE.html",
        "plot -s digits/pad --results RESULTS -o FILE.html",
    ],
)
def test_no_command_reads_a_results_folder_twice(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, read = on_shifts(tmp_path / "results", 8), []
    monkeypatch.setattr("benchmark.store.heads", lambda root: read.append(root) or heads.heads(root))
    words = line.replace("RESULTS", str(root)).replace("FILE", str(tmp_path / "made"))
    assert run(words.split()) == 0
    assert read == [root]
