"""From logits to rows to a file and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.special

from benchmark.predictions import (
    METADATA_KEY,
    SCHEMA_VERSION,
    Header,
    read_header,
    read_predictions,
    score,
    to_table,
    top_classes,
    write_parquet,
)
from shifts.errors import CorruptDataError, LabelSpaceError, ResultsError

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "predictions-v1.parquet"


def header(**changes: object) -> Header:
    fields: dict[str, object] = {
        "model": "m",
        "model_digest": "a" * 64,
        "shift": "s",
        "shift_digest": "b" * 64,
        "num_classes": 7,
        "group_columns": {"place": ("land", "water")},
        "provenance": {"device": "cpu"},
    }
    return Header(**{**fields, **changes})  # type: ignore[arg-type]


def rows(n: int = 40, classes: int = 7, *, seed: int = 0, keep_logits: bool = False) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return score(
        draw.normal(scale=3, size=(n, classes)).astype(np.float32),
        draw.integers(classes, size=n),
        ids=[f"id-{seed}-{i}" for i in range(n)],
        groups=draw.integers(2, size=(n, 1)),
        group_names=["place"],
        keep_logits=keep_logits,
    )


def test_score_agrees_with_scipy() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(scale=5, size=(200, 11)).astype(np.float32)
    labels = draw.integers(11, size=200)
    columns = score(
        logits, labels, ids=[str(i) for i in range(200)], groups=np.zeros((200, 0), int), group_names=[]
    )
    probs = scipy.special.softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(columns["label_probability"], probs[np.arange(200), labels], rtol=1e-12)
    np.testing.assert_allclose(columns["squared_probability_sum"], (probs**2).sum(1), rtol=1e-6)
    np.testing.assert_array_equal(columns["prediction"], probs.argmax(1))
    np.testing.assert_array_equal(columns["top5"], np.argsort(-probs, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(columns["top5_probability"], -np.sort(-probs, axis=1)[:, :5], rtol=1e-6)


def test_label_probability_keeps_the_exact_nll_of_hopeless_labels() -> None:
    logits = np.array([[0.0, 500.0]], dtype=np.float32)
    columns = score(logits, np.array([0]), ids=["x"], groups=np.zeros((1, 0), int), group_names=[])
    assert -np.log(columns["label_probability"][0]) == pytest.approx(500.0, rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    logits = np.zeros((3, 4), dtype=np.float32)
    logits[1, 2] = bad
    with pytest.raises(FloatingPointError, match="'second'"):
        score(
            logits,
            np.zeros(3, int),
            ids=["first", "second", "third"],
            groups=np.zeros((3, 0), int),
            group_names=[],
        )


def test_labels_outside_the_logits_are_refused() -> None:
    logits, nothing = np.zeros((1, 3), np.float32), np.zeros((1, 0), int)
    with pytest.raises(LabelSpaceError):
        score(logits, np.array([3]), ids=["x"], groups=nothing, group_names=[])


@pytest.mark.parametrize("classes", [3, 10, 1000])
def test_top_classes_break_ties_by_class_order(classes: int) -> None:
    draw = np.random.default_rng(0)
    logits = draw.integers(0, 4, size=(50, classes)).astype(np.float32)  # full of ties
    k = min(5, classes)
    np.testing.assert_array_equal(top_classes(logits, k=k), np.argsort(-logits, axis=1, kind="stable")[:, :k])


def test_round_trip(tmp_path: Path) -> None:
    columns = rows(keep_logits=True)
    write_parquet(tmp_path / "p.parquet", [to_table(columns, header())])
    back = read_predictions(tmp_path / "p.parquet", logits=True)
    assert back.header == header()
    assert list(back.example_ids) == list(columns["example_id"])
    for name in ("prediction", "confidence", "label_probability", "top5", "top5_probability", "logits"):
        np.testing.assert_array_equal(getattr(back, name), columns[name])
    np.testing.assert_array_equal(back.labels, columns["label"])
    np.testing.assert_array_equal(back.groups[:, 0], columns["group:place"])
    assert read_predictions(tmp_path / "p.parquet").logits is None


def test_bytes_do_not_depend_on_how_the_rows_were_cut(tmp_path: Path) -> None:
    table = pa.concat_tables([to_table(rows(30, seed=i), header()) for i in range(5)])
    cuts = {"whole": [table], "sevens": [table.slice(i, 7) for i in range(0, 150, 7)]}
    for name, tables in cuts.items():
        assert write_parquet(tmp_path / name, tables, row_group=32) == 150
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "sevens").read_bytes()
    assert pq.read_metadata(tmp_path / "whole").num_row_groups == 5


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    newer = header(schema_version=SCHEMA_VERSION + 1)
    write_parquet(tmp_path / "p.parquet", [to_table(rows(), newer)])
    with pytest.raises(ResultsError, match=f"schema {SCHEMA_VERSION + 1}"):
        read_predictions(tmp_path / "p.parquet")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(CorruptDataError, match=r"text\.parquet"):
        read_predictions(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ResultsError, match="not a file of predictions"):
        read_predictions(tmp_path / "other.parquet")
    fewer = pa.table({"a": [1]}).replace_schema_metadata({METADATA_KEY: header().encoded()})
    pq.write_table(fewer, tmp_path / "less.parquet")
    with pytest.raises(ResultsError, match="no column"):
        read_predictions(tmp_path / "less.parquet")
    write_parquet(tmp_path / "whole.parquet", [to_table(rows(), header())])
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-200])
    with pytest.raises(CorruptDataError):
        read_predictions(tmp_path / "cut.parquet")


def test_the_golden_file_of_version_1_stays_readable() -> None:
    """Written once by version 1 of the schema; never to be written again."""
    back = read_predictions(GOLDEN, logits=True)
    assert read_header(GOLDEN) == header()
    columns = rows(12, keep_logits=True)
    assert list(back.example_ids) == list(columns["example_id"])
    np.testing.assert_array_equal(back.prediction, columns["prediction"])
    np.testing.assert_allclose(back.label_probability, columns["label_probability"], rtol=1e-12)
    raw = json.loads(pq.read_schema(GOLDEN).metadata[METADATA_KEY])
    assert raw["schema_version"] == 1
