"""The study of synthetic shifts: numbers by hand, verdicts from numbers, and the whole of it small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import norm

from benchmark.cli import run
from benchmark.estimate import Estimate
from benchmark.lines import BaselinePoint
from benchmark.studies.synthetic_numbers import by_support, matched_accuracy, means, of_seed
from benchmark.studies.synthetic_shifts import verdicts
from benchmark.studies.synthetic_suites import ARMS, METHODS, SUITES
from shifts.spec import SHIFTS


def point(reference: float, shift: float) -> BaselinePoint:
    return BaselinePoint(
        model=f"scratch-{reference}",
        reference_accuracy=reference,
        reference_n=1000,
        shift_accuracy=shift,
        shift_n=1000,
        family="standard",
    )


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.01, high=value + 0.01, method="made", n=1000)


def on_line(reference: float) -> float:
    return float(norm.cdf(1.2 * norm.ppf(reference) - 0.5))


def seed(gain: float, control: float, *, scatter: float = 0.0) -> dict[str, Any]:
    places = (0.6, 0.7, 0.8, 0.85, 0.9)
    noise = (scatter, -scatter, 0.0, scatter, -scatter)
    some = [point(x, min(max(on_line(x) + e, 0.01), 0.99)) for x, e in zip(places, noise, strict=True)]
    tuned = {
        (arm, method): (estimate(0.8), estimate(on_line(0.8) + add))
        for arm, add in zip(ARMS, (gain, control), strict=True)
        for method in METHODS
    }
    both = {"shares": some, "checkpoints": some}
    return of_seed(both, tuned, reference="r", shift="s")


def shifts(inside: list[float], outside: list[float], control: list[float], **how: float) -> dict[str, Any]:
    def one(gains: list[float], support: str) -> dict[str, Any]:
        rows = [
            {"seed": i, **seed(gain, other, **how)}
            for i, (gain, other) in enumerate(zip(gains, control, strict=True))
        ]
        return {"reference": "r", "support": support, "seeds": rows, "means": means(rows)}

    found = {"s/in": one(inside, "in"), "s/out": one(outside, "out")}
    return {"shifts": found, "by_support": by_support(found)}


def test_matched_accuracy_by_hand() -> None:
    some = [point(0.5, 0.2), point(0.7, 0.4), point(0.9, 0.3)]
    assert matched_accuracy(some, 0.6) == (pytest.approx(0.3), 0.0)
    assert matched_accuracy(some, 0.85) == (pytest.approx(0.325), 0.0)
    above, gap = matched_accuracy(some, 0.95)
    assert (above, gap) == (0.3, pytest.approx(0.05))
    below, gap = matched_accuracy(some, 0.4)
    assert (below, gap) == (0.2, pytest.approx(-0.1))


def test_a_model_above_an_exact_line_has_what_was_put_in() -> None:
    one = seed(0.1, 0.02)
    for method in METHODS:
        found = one["models"]["pre-trained"][method]
        assert found["effective_robustness"]["shares"]["value"] == pytest.approx(0.1)
        assert found["gain"] == pytest.approx(0.1), "0.8 is a scratch model's own accuracy"
        assert one["models"]["control"][method]["gain"] == pytest.approx(0.02)
    assert one["lines"]["shares"]["r2"] == pytest.approx(1)
    assert one["lines"]["shares"]["slope"] == pytest.approx(1.2)


def test_means_are_over_seeds_and_methods_within_them() -> None:
    rows = [{"seed": i, **seed(gain, 0.0)} for i, gain in enumerate((0.1, 0.2, 0.3))]
    rows[0]["models"]["pre-trained"]["ft"]["gain"] += 0.06
    gain = means(rows)["pre-trained"]["gain"]
    assert gain["n"] == 3
    assert gain["value"] == pytest.approx((0.13 + 0.2 + 0.3) / 3)
    assert means(rows)["over_control"]["value"] == pytest.approx(0.2)


def outcomes(numbers: dict[str, Any]) -> list[str]:
    return [one.outcome for one in verdicts(numbers)]


def test_the_verdicts_follow_the_numbers() -> None:
    still, none = [0.001, -0.001, 0.0], [0.0, 0.001, -0.001]
    assert outcomes(shifts(still, [0.2, 0.21, 0.19], none)) == ["reproduced"] * 6
    away = outcomes(shifts([0.1, 0.101, 0.099], [0.01, 0.011, 0.009], [0.2, 0.19, 0.21]))
    assert away == ["not reproduced"] * 3 + ["reproduced", "not reproduced", "not reproduced"]
    open_ended = outcomes(shifts([0.1, -0.1, 0.0], [0.2, -0.2, 0.01], none))
    assert open_ended == ["within noise"] * 3 + ["reproduced", "within noise", "within noise"]
    scattered = outcomes(shifts(still, [0.2, 0.21, 0.19], none, scatter=0.2))
    assert scattered[1:4] == ["not tested", "reproduced", "not reproduced"], "no line, nothing above it"
    assert scattered[4:] == ["reproduced", "not tested"]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_names_what_there_is(name: str) -> None:
    suite = SUITES[name]
    assert set(suite.smoke) <= set(suite.shifts) == set(suite.scratch)
    for reference, of_reference in suite.shifts.items():
        assert {SHIFTS.get(shift).reference for shift in of_reference} == {reference}
    sides = {SHIFTS.get(shift).support for one in suite.smoke for shift in suite.shifts[one]}
    assert sides == {"in", "out"}


def test_the_study_runs_and_runs_again_from_what_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["study", "synthetic-shifts", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run([*ask, "-o", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "synthetic-shifts.json").read_text())
    assert (tmp_path / "synthetic-shifts.png").stat().st_size > 10_000
    assert set(printed["numbers"]["shifts"]) >= {"digits/spurious-tint", "digits/pad"}
    assert run(ask) == 0
    assert json.loads(capsys.readouterr().out) == printed
