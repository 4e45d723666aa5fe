"""``compare`` and ``agreement`` on a results folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.cli import run
from tests.benchmark.made_results import make


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("results"))


def test_compare_prints_and_gives_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", "best", "weak", "-s", "digits", "--results", str(results)]
    assert run(command) == 0
    text = capsys.readouterr().out
    assert "best is better" in text and "McNemar" in text and "class=" in text
    assert run([*command, "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert one["both_right"] + one["only_a"] + one["only_b"] + one["both_wrong"] == one["n"] == 300
    assert len(one["corrected"]) == one["only_a"]


def test_many_shifts_make_a_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "best", "weak", "-s", "digits/*", "--results", str(results)]) == 0
    text = capsys.readouterr().out
    assert "digits/fog/3" in text and "p not corrected" in text


def test_agreement_predicts_accuracy(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["agreement", "-s", "digits/fog/1", "--results", str(results)]
    assert run(command) == 0
    assert "ALine-D" in capsys.readouterr().out
    assert run([*command, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["agreement"]
    assert found["reference"] == "digits" and len(found["models"]) == 5
    assert found["mean_error"]["aline_d"] < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare best weka -s digits", "did you mean weak"),
        ("compare best weak -s digits/fgo/1", "did you mean digits/fog/1"),
        ("agreement -s digits", "give --reference"),
        ("agreement -s digits/fog/1 -m best -m weak", "3 models or more"),
    ],
)
def test_mistakes_are_named(
    arguments: str, message: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments.split(), "--results", str(results)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_no_results_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "a", "b", "-s", "digits", "--results", str(tmp_path)]) == 2
    assert "no finished evaluations" in capsys.readouterr().err


def test_own_results_are_a_baseline(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fit", "--baseline", f"results:{results}", "-r", "digits", "-s", "digits/fog/2", "--json"]
    assert run([*command, "--exclude", "odd"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_models"] == 4 and found["baseline"] == f"results:{results}"
    assert found["excluded"] == [{"model": "odd", "reason": "excluded by hand"}]
