"""Estimates: what is refused, and the way through JSON."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from benchmark.estimate import Estimate
from shifts.errors import ResultsError

GOOD: dict[str, Any] = {"value": 0.8, "low": 0.7, "high": 0.9, "level": 0.95, "method": "wilson", "n": 10}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("value", float("nan")),
        ("low", float("-inf")),
        ("high", 0.79),
        ("low", 0.81),
        ("n", 0),
        ("n", 2.5),
        ("level", 1.0),
        ("level", 95),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(field: str, wrong: float) -> None:
    with pytest.raises(ValueError):
        Estimate(**{**GOOD, field: wrong})
    with pytest.raises(ResultsError):
        Estimate.from_json({**GOOD, field: wrong})


def test_rounding_of_a_bound_is_forgiven() -> None:
    assert Estimate(**{**GOOD, "low": 0.8 + 1e-13}).value == 0.8


def test_json_gives_back_the_same_estimate() -> None:
    estimate = Estimate(
        value=np.float64(1 / 3), low=np.float32(0.25), high=np.float64(0.5), method="x", n=np.int64(7)
    )
    text = json.dumps(estimate.to_json(), allow_nan=False)
    assert Estimate.from_json(json.loads(text)) == estimate
    assert pickle.loads(pickle.dumps(estimate)) == estimate
    assert set(json.loads(text)) == {"value", "low", "high", "level", "method", "n"}


@pytest.mark.parametrize(
    "document",
    [
        {**GOOD, "std": 0.1},
        {name: value for name, value in GOOD.items() if name != "n"},
        {**GOOD, "value": "0.8"},
        {**GOOD, "n": True},
        {**GOOD, "method": None},
    ],
)
def test_unknown_missing_and_mistyped_fields_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ResultsError, match="not an estimate"):
        Estimate.from_json(document)
