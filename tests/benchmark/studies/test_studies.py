"""The frame of the studies and the two that need no training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.lines import BaselinePoint, fit_baseline
from benchmark.studies.logistic_extrapolation import Sizes, trial
from benchmark.studies.logistic_extrapolation import verdicts as theorem_verdicts
from benchmark.studies.pretraining_benefit import line_noise
from benchmark.studies.pretraining_benefit import verdicts as benefit_verdicts
from benchmark.studies.study import STUDIES, Study, setting
from shifts.errors import UnknownNameError, UserError
from shifts.registry import resolve

CHEAP = ("logistic-extrapolation", "pretraining-benefit")


@pytest.mark.parametrize("study", list(STUDIES), ids=lambda study: study.name)
def test_declaration(study: Study) -> None:
    assert study.citation
    assert study.title
    assert callable(resolve(study.run))


@pytest.mark.parametrize("name", CHEAP)
def test_the_command_writes_numbers_and_figure(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", name, "--smoke", "-o", str(tmp_path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / f"{name}.json").read_text())
    assert printed["schema_version"] == 1
    outcomes = {verdict["outcome"] for verdict in printed["verdicts"]}
    assert outcomes <= {"reproduced", "within noise"}, "two seeds may leave a difference open"
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert run(["study", name, "--smoke", "-o", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == printed, "the same seeds give the same numbers"


def test_a_wrong_name_suite_or_number_of_seeds_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "logistic-extrapolatoin"]) == 2
    assert "logistic-extrapolation" in capsys.readouterr().err
    with pytest.raises(UnknownNameError):
        setting(STUDIES.get(CHEAP[0]), suite="digits")
    with pytest.raises(UserError):
        setting(STUDIES.get(CHEAP[0]), seeds=1)


def test_in_support_all_starts_are_equally_good_and_outside_not() -> None:
    one = trial(Sizes(test=2000), seed=11)
    assert len(set(one["accuracy"]["in support"].values())) == 1
    assert len(set(one["accuracy"]["out of support"].values())) == 3
    assert one["distance"] < 1e-8


def test_the_verdicts_follow_the_numbers() -> None:
    from benchmark.intervals import mean_interval

    trials = [trial(Sizes(test=500), seed=seed) for seed in (0, 1)]
    worst = {"distance": 1e-3, "drift": 0.0, "in_support_difference": 0.0}
    gains = {"zero": mean_interval([-0.1, 0.2]), "random": mean_interval([0.3, 0.31])}
    limit, same, outside = theorem_verdicts(worst, gains, trials)
    assert (limit.outcome, same.outcome, outside.outcome) == (
        "not reproduced",
        "reproduced",
        "within noise",
    )

    def numbers(v2: float, sketch: float) -> dict[str, object]:
        def one(value: float) -> dict[str, object]:
            estimate = {"value": value, "low": value - 0.001, "high": value + 0.001}
            return {"highest_estimate": estimate, "mean": estimate, "within_noise": 0, "n_models": 55}

        return {"imagenet-v2": one(v2), "imagenet-sketch": one(sketch)}

    assert [v.outcome for v in benefit_verdicts(numbers(0.018, 0.1225))] == ["reproduced"] * 3
    assert [v.outcome for v in benefit_verdicts(numbers(0.30, 0.05))] == ["not reproduced"] * 3


def test_the_noise_of_the_line_is_as_wide_as_repeated_draws() -> None:
    """A line of known spread: the interval of the mean covers it at its level."""
    draw = np.random.default_rng(5)
    covered = []
    for number in range(40):
        x = draw.uniform(0.4, 0.8, 30)
        y = 0.9 * x - 0.1 + draw.normal(0, 0.02, 30)
        others_x = draw.uniform(0.5, 0.8, 20)
        others_y = 0.9 * others_x - 0.1 + 0.05 + draw.normal(0, 0.02, 20)

        def points(a: np.ndarray, b: np.ndarray, family: str) -> list[BaselinePoint]:
            return [
                BaselinePoint(model=f"{family}{i}", reference_accuracy=float(p), reference_n=None,
                              shift_accuracy=float(q), shift_n=None, family=family)
                for i, (p, q) in enumerate(zip(a, b, strict=True))
            ]  # fmt: skip

        fit = fit_baseline(points(x, y, "standard"), reference="r", shift="s", scale="linear")
        _, mean = line_noise(fit, points(others_x, others_y, "more-data"), resamples=200, seed=number)
        covered.append(mean.low <= 0.05 <= mean.high)
    assert np.mean(covered) >= 0.8
