"""Metrics that a data set is reported in: the adjusted average, macro F1 as WILDS counts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from benchmark.cli.table import print_rows
from benchmark.export import write_markdown
from benchmark.metrics import PredictionColumns, adjusted_average, evaluate, macro_f1
from benchmark.planning import contestant, plan, with_references
from benchmark.report import build_rows, document
from benchmark.reported import reported
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.errors import UserError
from shifts.spec import SHIFTS, ShiftSpec
from tests.shifts.sources.table_layouts import iwildcam as iwildcam_copy
from tests.shifts.sources.table_layouts import waterbirds as waterbirds_copy


def columns(groups: np.ndarray, correct: np.ndarray) -> PredictionColumns:
    n = len(correct)
    labels = groups[:, 0]
    prediction = np.where(correct, labels, 1 - labels)
    half = np.full(n, 0.5)
    return PredictionColumns(
        labels=labels,
        prediction=prediction,
        confidence=half,
        label_probability=half,
        squared_probability_sum=half,
        top5=np.stack([prediction, 1 - prediction], axis=1),
        groups=groups,
        group_columns={"class": ("landbird", "waterbird"), "place": ("land", "water")},
        num_classes=2,
    )


SIZES = {"landbird/land": 40, "landbird/water": 40, "waterbird/land": 20, "waterbird/water": 20}
RIGHT = {"landbird/land": 40, "landbird/water": 20, "waterbird/land": 5, "waterbird/water": 18}
WEIGHTS = {"landbird/land": 3498, "landbird/water": 184, "waterbird/land": 56, "waterbird/water": 1057}


def waterbirds() -> PredictionColumns:
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    groups = np.repeat(cells, list(SIZES.values()), axis=0)
    correct = np.concatenate([np.arange(SIZES[name]) < RIGHT[name] for name in SIZES])
    return columns(groups, correct)


def test_adjusted_accuracy_appears_with_weights() -> None:
    found = evaluate(waterbirds(), min_group_size=10, group_weights=WEIGHTS)
    expected = sum(WEIGHTS[name] * RIGHT[name] / SIZES[name] for name in SIZES) / sum(WEIGHTS.values())
    estimate = found.metrics["adjusted_accuracy"]
    assert estimate is not None
    assert estimate.value == pytest.approx(expected)
    by_tuple = {tuple(name.split("/")): weight for name, weight in WEIGHTS.items()}
    assert estimate == adjusted_average(found.groups, weights=by_tuple)
    assert "adjusted_accuracy" not in evaluate(waterbirds(), min_group_size=10).metrics


def test_without_a_group_there_is_no_adjusted_accuracy_and_the_notes_say_why() -> None:
    whole = waterbirds()
    kept = ~((whole.groups == (1, 0)).all(axis=1))
    found = evaluate(
        columns(whole.groups[kept], (whole.prediction == whole.labels)[kept]),
        min_group_size=10,
        group_weights=WEIGHTS,
    )
    assert found.metrics["adjusted_accuracy"] is None
    assert "no adjusted accuracy: no example of the weighted groups waterbird, land" in found.notes


def test_macro_f1_over_labelled_classes_agrees_with_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    labels = draw.choice([0, 1, 4], 200)
    prediction = np.where(draw.random(200) < 0.6, labels, draw.integers(0, 6, 200))
    ours = macro_f1(prediction, labels, labelled_only=True)
    theirs = f1_score(labels, prediction, average="macro", labels=np.unique(labels), zero_division=0)
    assert ours.value == pytest.approx(theirs)
    assert ours.low < ours.value < ours.high
    assert macro_f1(prediction, labels).value == pytest.approx(
        f1_score(labels, prediction, average="macro", zero_division=0)
    )


def test_further_metrics_come_by_name() -> None:
    found = evaluate(waterbirds(), min_group_size=10, further=("macro_f1",))
    assert list(found.metrics)[-1] == "macro_f1"
    assert found.metrics["macro_f1"] is not None


def test_weights_must_name_a_value_of_every_column() -> None:
    with pytest.raises(UserError, match="does not name one value for each"):
        ShiftSpec(
            name="x",
            title="x",
            kind="reference",
            support="in",
            source="toy",
            split="test",
            label_space="toy",
            groups=("class", "shade"),
            group_weights={"dark": 1.0},
        )


@pytest.mark.parametrize(
    ("write", "source", "shift", "metric"),
    [
        (waterbirds_copy, "waterbirds", "waterbirds/test", "adjusted_accuracy"),
        (iwildcam_copy, "iwildcam", "iwildcam/test", "macro_f1"),
    ],
)
def test_results_hold_the_metric_a_set_is_reported_in(
    write: Callable[[Path], Path],
    source: str,
    shift: str,
    metric: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add(source, write(tmp_path / "copy"), partial=True)
    one = contestant(MODELS.get("constant"), weights=None)
    work = plan([one], with_references([SHIFTS.get(shift)]), store=Store(tmp_path / "results"))
    results = {
        result.shift: result
        for part in work.passes
        for result in run_pass(part, options=Options(device="cpu"))
    }
    assert {result.status for result in results.values()} == {"ok"}
    estimate = results[shift].metrics[metric]
    assert estimate is not None
    title = {"adjusted_accuracy": "adjusted average", "macro_f1": "macro F1"}[metric]
    assert reported(results[shift])[title] == estimate
    rows = build_rows([(tmp_path, result) for result in results.values()])
    by_shift = {row["shift"]: row for row in document(rows)["results"]}
    assert by_shift[shift]["reported"][title] == estimate.to_json()
    print_rows(rows)
    assert f"as published: {shift}  {title} {100 * estimate.value:.1f} [" in capsys.readouterr().out
    write_markdown(tmp_path / "table.md", rows)
    assert f"- constant on {shift}: {title} {100 * estimate.value:.1f}" in (tmp_path / "table.md").read_text()
    if metric == "adjusted_accuracy":  # a model that always says landbird: the share of landbirds in training
        assert estimate.value == pytest.approx((3498 + 184) / 4795)
        assert results[shift].accuracy is not None and results[shift].accuracy.value == pytest.approx(
            80 / 120
        )
        assert metric not in results["waterbirds"].metrics
        assert "worst group (waterbird, land, n=20)" in reported(results[shift])
