"""Averages, worst cases, ranks, mCE, the paired report and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.baselines import load_baseline
from benchmark.cli import run
from benchmark.intervals import wilson
from benchmark.lookup import measured
from benchmark.paired import with_paired_intervals
from benchmark.report import Row, build_rows
from benchmark.result import Result
from benchmark.store import Store
from benchmark.summary import relative, summarise
from shifts.errors import UnknownNameError
from tests.benchmark.made_results import make


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def rows(results: Path) -> list[Row]:
    return build_rows(measured(Store(results)), baseline=f"results:{results}")


def accuracies(rows: list[Row], model: str, kind: str) -> dict[str, float]:
    return {
        row.result.shift: row.result.accuracy.value
        for row in rows
        if row.result.model == model and row.result.kind == kind and row.result.accuracy is not None
    }


def test_averages_and_worst_cases_by_hand(rows: list[Row]) -> None:
    summaries = {one.model: one for one in summarise(rows, base="weak")}
    for model, summary in summaries.items():
        kinds = {one.kind: one for one in summary.kinds}
        assert list(kinds) == ["synthetic", "spurious", "corruption"]
        values = accuracies(rows, model, "corruption")
        found = kinds["corruption"]
        assert found.accuracy.value == pytest.approx(np.mean(list(values.values())))
        assert found.accuracy.low < found.accuracy.value < found.accuracy.high
        assert found.worst_accuracy.value == min(values.values()) == values[found.worst_shift]
        of_base = accuracies(rows, "weak", "corruption")
        expected = np.mean([values[name] - of_base[name] for name in values])
        assert found.relative_robustness == pytest.approx(expected)
        groups = [
            row.result.metrics["worst_group_accuracy"]
            for row in rows
            if row.result.model == model and row.result.kind == "spurious"
        ]
        assert kinds["spurious"].worst_group == groups[0]
    assert summaries["odd"].kinds[2].effective_robustness == pytest.approx(
        np.mean(
            [row.effective.value for row in rows
             if row.effective and row.result.model == "odd" and row.result.kind == "corruption"]
        )
    )  # fmt: skip
    with pytest.raises(UnknownNameError, match="nobody"):
        summarise(rows, base="nobody")


def test_ranks_hold_the_order_of_the_means(rows: list[Row]) -> None:
    summaries = summarise(rows, ranks=True)
    for place, kind in enumerate(("synthetic", "spurious", "corruption")):
        means = {one.model: one.kinds[place].accuracy.value for one in summaries}
        order = sorted(means, key=lambda model: -means[model])
        for one in summaries:
            (rank,) = [rank for rank in one.ranks if rank.kind == kind]
            assert rank.rank == 1 + sum(means[other] > means[one.model] for other in means)
            assert rank.low <= rank.rank <= rank.high <= rank.models == 5
        last = next(one for one in summaries if one.model == order[-1])
        assert next(rank for rank in last.ranks if rank.kind == kind).low >= 4


def test_relative_robustness_is_paired(rows: list[Row]) -> None:
    pair = {row.result.model: row for row in rows if row.result.shift == "digits/fog/2"}
    found = relative(pair["best"], pair["weak"])
    values = [pair[name].result.accuracy for name in ("best", "weak")]
    assert values[0] is not None and values[1] is not None
    assert found.value == pytest.approx(values[0].value - values[1].value)
    assert found.method == "tango"


def test_paired_intervals_keep_the_values(rows: list[Row], results: Path) -> None:
    paired = with_paired_intervals(rows, measured(Store(results)), resamples=500)
    changed = 0
    for old, new in zip(rows, paired, strict=True):
        if old.effective is None:
            assert new is old
            continue
        assert new.effective is not None
        assert new.effective.value == pytest.approx(old.effective.value, abs=1e-4)
        changed += new.effective.estimate.method == "paired bootstrap"
    assert changed == 40


def corrupted(accuracies: dict[str, float]) -> list[Row]:
    found = []
    for shift, value in accuracies.items():
        n = 50_000
        result = Result(
            status="ok",
            model="m",
            model_digest="0" * 64,
            shift=shift,
            shift_digest="1" * 64,
            kind="reference" if shift == "imagenet-val" else "corruption",
            support="out",
            reference=None if shift == "imagenet-val" else "imagenet-val",
            family="standard",
            training_data=("imagenet",),
            n=n,
            metrics={"accuracy": wilson(round(value * n), n)},
        )
        found.append(Row(result=result, predictions=None))
    return found


@pytest.mark.parametrize(("model", "published"), [("resnet50", 76.7), ("resnet50_augmix", 65.3)])
def test_the_mean_corruption_error_of_published_accuracies(model: str, published: float) -> None:
    """arXiv 1903.12261 and 1912.02781; the testbed's own pipeline is within two points of them."""
    rows = load_baseline("imagenet-testbed").rows
    accuracies = {row.shift: row.accuracy for row in rows if row.model == model}
    (found,) = summarise(corrupted(accuracies))
    assert found.mce is not None and found.relative_mce is not None
    assert 100 * found.mce.value == pytest.approx(published, abs=2.0)
    # A part of the corruptions is no mCE.
    del accuracies["imagenet-c/fog/3"]
    assert summarise(corrupted(accuracies))[0].mce is None


def test_the_report_of_a_folder(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", "--results", str(results), "--baseline", f"results:{results}"]
    files = [f"--{kind}={tmp_path / kind}" for kind in ("csv", "markdown", "latex")]
    assert run([*command, "--base", "weak", "--ranks", *files]) == 0
    text = capsys.readouterr().out
    assert "by kind of shift" in text and "vs weak" in text and "1 (1–" in text and "class=" in text
    latex = (tmp_path / "latex").read_text()
    assert latex.count("\\midrule") == 5 and "\\end{tabular}" in latex
    assert all(line.count(" & ") == 4 for line in latex.splitlines() if line.startswith("digits"))
    assert run([*command, "--paired", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["results"]) == 45 and len(found["summary"]) == 5
    assert found["results"][0]["worst_group"]
    assert set(found["summary"][0]["kinds"]) == {"synthetic", "spurious", "corruption"}
    assert run(["report", "--results", str(results), "--paired"]) == 2
    assert "results:DIR" in " ".join(capsys.readouterr().err.split())


def test_latex_escapes_names() -> None:
    from benchmark.export import _latex

    assert _latex("a_b 5% \\x") == "a\\_b 5\\% \\textbackslash{}x"
