"""The result file: unrounded, versioned, strict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.estimate import Estimate
from benchmark.result import SCHEMA_VERSION, Result
from shifts.errors import ResultsError

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "result-v1.json"
HERE = Path("somewhere/result.json")


def result(**changes: object) -> Result:
    fields: dict[str, object] = {
        "status": "ok",
        "model": "m",
        "model_digest": "a" * 64,
        "shift": "digits/pad",
        "shift_digest": "b" * 64,
        "kind": "synthetic",
        "support": "out",
        "reference": "digits",
        "family": "standard",
        "training_data": ("digits",),
        "n": 3,
        "metrics": {
            "accuracy": Estimate(value=2 / 3, low=0.2076595, high=0.9385081, method="wilson", n=3),
            "worst_group_accuracy": None,
        },
        "worst_group": "class=0 (n=3)",
        "groups": ({"group": {"class": "0"}, "n": 3, "correct": 2},),
        "warnings": ("partial",),
        "provenance": {"device": "cpu", "seed": 0},
    }
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


def test_round_trip_keeps_every_digit() -> None:
    back = Result.from_json(result().to_json(), where=HERE)
    assert back == result()
    assert back.accuracy is not None
    assert back.accuracy.value == 2 / 3


def test_golden_file_of_version_1() -> None:
    assert Result.from_json(GOLDEN.read_text(encoding="utf-8"), where=GOLDEN) == result()
    assert json.loads(result().to_json()) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_newer_schema_is_refused_by_name() -> None:
    raw = json.loads(result().to_json())
    raw["schema_version"] = SCHEMA_VERSION + 1
    with pytest.raises(ResultsError, match=f"schema {SCHEMA_VERSION + 1}.*reads up to {SCHEMA_VERSION}"):
        Result.from_json(json.dumps(raw), where=HERE)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}', "null"])
def test_damaged_files_are_named(text: str) -> None:
    with pytest.raises(ResultsError, match=r"result\.json"):
        Result.from_json(text, where=HERE)


def test_unknown_fields_are_an_error() -> None:
    raw = json.loads(result().to_json()) | {"surprise": 1}
    with pytest.raises(ResultsError, match="surprise"):
        Result.from_json(json.dumps(raw), where=HERE)
