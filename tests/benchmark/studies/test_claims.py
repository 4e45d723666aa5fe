"""Verdicts from an estimate: the interval decides."""

from __future__ import annotations

import pytest

from benchmark.studies.claims import above, below, percent, points, within


def number(low: float, high: float) -> dict[str, float]:
    return {"value": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "up", "down", "inside"),
    [
        (0.01, 0.02, "reproduced", "not reproduced", "reproduced"),
        (-0.02, -0.01, "not reproduced", "reproduced", "reproduced"),
        (-0.01, 0.02, "within noise", "within noise", "reproduced"),
        (-0.01, 0.04, "within noise", "within noise", "within noise"),
        (0.04, 0.05, "reproduced", "not reproduced", "not reproduced"),
        (-0.09, -0.04, "not reproduced", "reproduced", "not reproduced"),
    ],
)
def test_the_interval_decides(low: float, high: float, up: str, down: str, inside: str) -> None:
    one = number(low, high)
    assert above("more", one, evidence="-").outcome == up
    assert below("less", one, evidence="-").outcome == down
    assert within("none", one, evidence="-").outcome == inside


def test_the_bound_may_be_another() -> None:
    assert above("most", number(0.4, 0.6), than=0.5, evidence="-").outcome == "within noise"
    assert below("few", number(0.1, 0.4), than=0.5, evidence=["a", "b"]).evidence == "a; b"
    assert percent(number(0.25, 0.75)) == "50.0 [25.0, 75.0]"
    assert points(number(-0.01, 0.03)) == "+1.0 [-1.0, +3.0]"
