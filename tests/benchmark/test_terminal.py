"""What commands print: one JSON document, laid out as the standard library does, written as it comes."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmark.cli.terminal import print_json

VALUES: list[Any] = [
    {},
    {"schema_version": 1},
    {"empty": [{}, [], (), "", None, 0], "nested": {"a": [[1, [2, {"b": {}}]], {"c": None}]}},
    {"text": 'line\nbreak "quoted" \\ ü 🙂 \u2028', "ü\n": True, "50 %s": "%d %"},
    {"numbers": [0.1, -0.0, 1e300, 5e-324, 1e16, 123456789012345678901234567890, -1, 1.0]},
    {"numpy": np.float64(0.1), "keys": {1: "a", False: "b", None: "c", 2.5: "d"}},
]


@pytest.mark.parametrize("document", VALUES)
def test_a_document_is_laid_out_as_by_the_standard_library(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json(document)
    assert capsys.readouterr().out == json.dumps(document, indent=1) + "\n"


@pytest.mark.parametrize("rows", [[], [{}], VALUES, [1, [2]]])
def test_what_comes_one_by_one_is_printed_as_a_list(
    rows: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({"first": iter(rows), "then": 1, "last": (row for row in rows)})
    assert capsys.readouterr().out == json.dumps({"first": rows, "then": 1, "last": rows}, indent=1) + "\n"


def test_an_element_is_written_before_the_next_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr("sys.stdout", printed)

    def rows() -> Iterator[dict[str, int]]:
        yield {"row": 1}
        assert '"row": 1' in printed.getvalue()
        yield {"row": 2}
        assert '"row": 2' in printed.getvalue()

    print_json({"rows": rows()})
    assert json.loads(printed.getvalue()) == {"rows": [{"row": 1}, {"row": 2}]}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("-inf")])
def test_no_number_is_printed_that_json_does_not_have(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        print_json({"metrics": {"accuracy": number}})


def test_printing_leaves_nothing_for_a_search_for_garbage(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"rows": iter(VALUES)})
    gc.collect()
    gc.disable()
    try:
        print_json({"rows": iter(VALUES * 20)})
        assert gc.collect() == 0
    finally:
        gc.enable()
