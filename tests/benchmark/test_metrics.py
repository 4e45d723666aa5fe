"""Metrics against scikit-learn, torchmetrics, hand-computed numbers and planted truths."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from benchmark.intervals import wilson
from benchmark.metrics import (
    SMALLEST_PROBABILITY,
    GroupAccuracy,
    PredictionColumns,
    accuracy,
    adjusted_average,
    balanced_accuracy,
    brier,
    ece,
    evaluate,
    group_accuracies,
    group_balanced_accuracy,
    macro_f1,
    nll,
    per_class_accuracy,
    topk_accuracy,
    worst_group_accuracy,
)

N, C = 4000, 12
PLACES, SIZES = ("land", "water"), ("small", "large", "huge")


@pytest.fixture(scope="module")
def probs() -> np.ndarray:
    logits = np.random.default_rng(0).normal(0, 2, size=(N, C))
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def labels(probs: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    uneven = rng.choice(C, size=N, p=np.arange(1, C + 1) / (C * (C + 1) / 2))
    return np.where(rng.random(N) < 0.6, probs.argmax(axis=1), uneven)


@pytest.fixture(scope="module")
def columns(probs: np.ndarray, labels: np.ndarray) -> PredictionColumns:
    rng = np.random.default_rng(2)
    order = np.argsort(-probs, axis=1)
    return PredictionColumns(
        labels=labels,
        prediction=order[:, 0],
        confidence=probs.max(axis=1),
        label_probability=probs[np.arange(N), labels],
        squared_probability_sum=(probs**2).sum(axis=1),
        top5=order[:, :5],
        groups=np.stack([rng.integers(0, 2, N), rng.choice(3, N, p=[0.6, 0.398, 0.002])], axis=1),
        group_columns={"place": PLACES, "size": SIZES},
        num_classes=C,
    )


def test_accuracies_agree_with_scikit_learn(columns: PredictionColumns, probs: np.ndarray) -> None:
    predicted, truth = columns.prediction, columns.labels
    assert accuracy(predicted, truth).value == pytest.approx(sk.accuracy_score(truth, predicted))
    assert balanced_accuracy(predicted, truth).value == pytest.approx(
        sk.balanced_accuracy_score(truth, predicted)
    )
    recalls = sk.recall_score(truth, predicted, average=None)
    ours = per_class_accuracy(predicted, truth)
    assert [ours[label].value for label in range(C)] == pytest.approx(recalls)
    assert [ours[label].n for label in range(C)] == np.bincount(truth).tolist()
    assert macro_f1(predicted, truth).value == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    for k in (1, 3, 5):
        theirs = sk.top_k_accuracy_score(truth, probs, k=k)
        assert topk_accuracy(columns.top5, truth, k=k).value == pytest.approx(theirs)


def test_accuracies_agree_with_torchmetrics(columns: PredictionColumns) -> None:
    predicted, truth = torch.from_numpy(columns.prediction), torch.from_numpy(columns.labels)
    for average, ours in (("micro", accuracy), ("macro", balanced_accuracy)):
        theirs = multiclass_accuracy(predicted, truth, num_classes=C, average=average)
        assert ours(columns.prediction, columns.labels).value == pytest.approx(float(theirs), abs=1e-6)


def test_the_f1_leaves_out_classes_that_do_not_occur_and_brackets_its_value() -> None:
    predicted, truth = [0, 0, 3, 3, 7], [0, 3, 3, 3, 0]
    estimate = macro_f1(predicted, truth)
    assert estimate.value == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert estimate.low < estimate.value < estimate.high
    assert estimate == macro_f1(predicted, truth)


def test_losses_agree_with_scikit_learn_and_torch(columns: PredictionColumns, probs: np.ndarray) -> None:
    truth = columns.labels
    loss = nll(columns.label_probability)
    assert loss.value == pytest.approx(sk.log_loss(truth, probs, labels=np.arange(C)))
    torch_loss = torch.nn.functional.nll_loss(torch.from_numpy(probs).log(), torch.from_numpy(truth))
    assert loss.value == pytest.approx(float(torch_loss))
    score = brier(columns.label_probability, columns.squared_probability_sum)
    onehot = np.eye(C)[truth]
    assert score.value == pytest.approx(((probs - onehot) ** 2).sum(axis=1).mean())
    assert brier([0.3, 0.3], [0.58, 0.58]).value == pytest.approx(
        2 * sk.brier_score_loss([1, 1], [0.3, 0.3])
    )  # the two-class score of scikit-learn is half the sum form


def test_the_nll_says_when_it_clips() -> None:
    estimate = nll([0.0, 1.0])
    assert estimate.method == "student-t, clipped"
    assert estimate.value == pytest.approx(-np.log(SMALLEST_PROBABILITY) / 2)
    assert nll([0.5, 1.0]).method == "student-t"


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_ece_agrees_with_torchmetrics(columns: PredictionColumns, probs: np.ndarray, bins: int) -> None:
    theirs = multiclass_calibration_error(
        torch.from_numpy(probs), torch.from_numpy(columns.labels), num_classes=C, n_bins=bins
    )
    ours = ece(columns.confidence, columns.prediction == columns.labels, bins=bins)
    assert ours.value == pytest.approx(float(theirs), abs=1e-6)


def test_the_bins_of_the_ece_are_closed_above() -> None:
    # 0.5 belongs to (0, 0.5], where it is alone with 0.1: |0.5 + 0.1 - 1 - 0| / 3 + |0.9 - 1| / 3.
    assert ece([0.5, 0.1, 0.9], [1, 0, 1], bins=2).value == pytest.approx((0.4 + 0.1) / 3)
    assert ece([0.0, 1.0], [0, 1]).value == 0


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("n", [300, 2000])
def test_the_interval_of_the_ece_covers(gap: float, n: int) -> None:
    # Planted: confidences above one half are too high by `gap`. The binned error of the population is
    # computed from four hundred thousand draws without the noise of answers.
    rng = np.random.default_rng(3)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.beta(4, 1.2, size=count)
        return confidence, confidence - gap * (confidence > 0.5)

    confidence, chance = draw(400_000)
    cell = np.ceil(confidence * 15)
    truth = np.abs(np.bincount(cell.astype(int), weights=confidence - chance)).sum() / confidence.size
    covered = 0
    for seed in range(100):
        confidence, chance = draw(n)
        interval = ece(confidence, rng.random(n) < chance, seed=seed, resamples=200)
        covered += interval.low <= truth <= interval.high
    assert covered / 100 >= 0.9


def test_the_ece_is_fast_enough_and_deterministic() -> None:
    rng = np.random.default_rng(4)
    confidence = rng.beta(4, 1.2, size=50_000)
    correct = rng.random(50_000) < confidence
    ece(confidence[:100], correct[:100])
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        first = ece(confidence, correct)
        best = min(best, time.perf_counter() - start)
    assert best < 0.3
    assert first == ece(confidence, correct)


def test_groups_agree_with_a_loop(columns: PredictionColumns) -> None:
    correct = columns.prediction == columns.labels
    found = group_accuracies(correct, columns.groups, group_columns=columns.group_columns)
    assert [group.names for group in found] == [(place, size) for place in PLACES for size in SIZES]
    for group in found:
        cell = (PLACES.index(group.names[0]), SIZES.index(group.names[1]))
        mask = (columns.groups == cell).all(axis=1)
        assert (group.n, group.correct) == (mask.sum(), correct[mask].sum())
        assert group.accuracy == wilson(group.correct, group.n)
    assert found[1].label == "place=land, size=large"
    assert found[0].to_json()["group"] == {"place": "land", "size": "small"}
    means = [group.accuracy.value for group in found]
    assert group_balanced_accuracy(found).value == pytest.approx(np.mean(means))


def test_the_worst_group_must_be_large_enough(columns: PredictionColumns) -> None:
    correct = np.array([1] * 30 + [0] * 10 + [0] * 4)
    codes = np.repeat([[0], [1]], [40, 4], axis=0)
    found = group_accuracies(correct, codes, group_columns={"region": ("asia", "oceania")})
    worst = worst_group_accuracy(found, min_group_size=10)
    assert worst.accuracy is not None and worst.group is not None
    assert (worst.accuracy.value, worst.accuracy.n, worst.group.label) == (0.75, 40, "region=asia")
    assert [group.names for group in worst.excluded] == [("oceania",)]
    assert worst_group_accuracy(found, min_group_size=4).accuracy.value == 0  # type: ignore[union-attr]
    none = worst_group_accuracy(found, min_group_size=41)
    assert none.accuracy is None and none.group is None and len(none.excluded) == 2


@pytest.mark.parametrize("truth", [[0.8] * 6, [0.95, 0.9, 0.8, 0.6, 0.6, 0.99]])
def test_the_interval_covers_the_lowest_true_accuracy(truth: list[float]) -> None:
    # Planted: the groups' true accuracies. The group that comes out lowest is often not the lowest one.
    rng = np.random.default_rng(5)
    sizes = [50, 400, 50, 30, 200, 80]
    covered = naive = 0
    for hits in rng.binomial(sizes, truth, size=(800, 6)):
        groups = [
            GroupAccuracy(columns=("g",), names=(str(g),), n=n, correct=int(k), accuracy=wilson(int(k), n))
            for g, (k, n) in enumerate(zip(hits, sizes, strict=True))
        ]
        worst = worst_group_accuracy(groups, min_group_size=10)
        assert worst.accuracy is not None and worst.group is not None
        covered += worst.accuracy.low <= min(truth) <= worst.accuracy.high
        naive += worst.group.accuracy.low <= min(truth) <= worst.group.accuracy.high
    assert covered / 800 >= 0.94
    assert covered >= naive


def test_the_adjusted_average_of_waterbirds() -> None:
    # Group accuracies of the kind that deep feature reweighting reports; weights are the training groups'.
    weights = {
        ("landbird", "land"): 3498.0,
        ("landbird", "water"): 184.0,
        ("waterbird", "land"): 56.0,
        ("waterbird", "water"): 1057.0,
    }
    sizes, hits = [2255, 2255, 642, 642], [2244, 1804, 449, 610]
    groups = [
        GroupAccuracy(columns=("bird", "place"), names=names, n=n, correct=k, accuracy=wilson(k, n))
        for names, n, k in zip(weights, sizes, hits, strict=True)
    ]
    by_hand = sum(w * k / n for w, k, n in zip(weights.values(), hits, sizes, strict=True)) / 4795
    estimate = adjusted_average(groups, weights=weights)
    assert estimate.value == pytest.approx(by_hand)
    assert estimate.value > sum(hits) / sum(sizes) + 0.06  # far above the plain average of the test set
    for wrong in (dict(list(weights.items())[:3]), {**weights, ("waterbird", "air"): 1.0}):
        with pytest.raises(ValueError, match="weight"):
            adjusted_average(groups, weights=wrong)


def test_evaluate_puts_it_together(columns: PredictionColumns) -> None:
    found = evaluate(columns, min_group_size=10)
    assert list(found.metrics) == [
        "accuracy",
        "top5_accuracy",
        "balanced_accuracy",
        "worst_group_accuracy",
        "group_balanced_accuracy",
        "nll",
        "brier",
        "ece",
    ]
    assert all(found.metrics.values())
    assert found.metrics["accuracy"] == accuracy(columns.prediction, columns.labels)
    assert (
        found.worst_group is not None and found.worst_group.accuracy == found.metrics["worst_group_accuracy"]
    )
    assert len(found.groups) == 6
    assert any("fewer than 10 examples" in note and "size=huge" in note for note in found.notes)
    assert found.worst_group is not None
    assert found.worst_group.group is not None
    assert found.worst_group.label == f"{found.worst_group.group.label} (n={found.worst_group.group.n})"


def test_evaluate_says_what_does_not_apply(columns: PredictionColumns) -> None:
    two = PredictionColumns(
        labels=np.array([0, 0]),
        prediction=np.array([0, 1]),
        confidence=np.array([0.9, 0.6]),
        label_probability=np.array([0.9, 0.0]),
        squared_probability_sum=np.array([0.82, 0.52]),
        top5=np.array([[0, 1], [1, 0]]),
        groups=np.zeros((2, 0), dtype=np.int64),
        group_columns={},
        num_classes=2,
    )
    found = evaluate(two, min_group_size=10)
    missing = [name for name, estimate in found.metrics.items() if estimate is None]
    assert missing == ["top5_accuracy", "worst_group_accuracy", "group_balanced_accuracy"]
    assert found.groups == [] and found.worst_group is None
    assert any("1 of 2 classes" in note for note in found.notes)
    assert any(note.startswith("nll: 1 label prob") for note in found.notes)

    grouped = dataclasses.replace(
        two, groups=np.array([[0], [0]]), group_columns={"place": ("land", "water")}
    )
    notes = evaluate(grouped, min_group_size=10).notes
    assert "1 of 2 groups have no example" in notes
    assert "no worst group: none has 10 examples" in notes

    one = dataclasses.replace(two, **{name: getattr(two, name)[:1] for name in COLUMNS}, num_classes=2)
    single = evaluate(one, min_group_size=10)
    assert single.metrics["accuracy"] is not None and single.metrics["ece"] is None
    assert "nll, brier and ece need at least two examples" in single.notes


COLUMNS = (
    "labels",
    "prediction",
    "confidence",
    "label_probability",
    "squared_probability_sum",
    "top5",
    "groups",
)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("labels", np.full(N, C)),
        ("labels", np.zeros(N)),
        ("prediction", np.full(N, -1)),
        ("prediction", np.zeros(N - 1, dtype=int)),
        ("confidence", np.full(N, np.nan)),
        ("confidence", np.full(N, 55.0)),
        ("label_probability", np.full(N, -0.1)),
        ("squared_probability_sum", np.full(N, 1.5)),
        ("top5", np.zeros((N, 4), dtype=int)),
        ("groups", np.zeros((N, 1), dtype=int)),
        ("groups", np.full((N, 2), -1)),
    ],
)
def test_columns_that_cannot_be_are_refused(columns: PredictionColumns, field: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(columns, **{field: wrong})


def test_a_group_value_without_a_name_is_refused(columns: PredictionColumns) -> None:
    wrong = dataclasses.replace(columns, groups=np.full((N, 2), 2))
    with pytest.raises(ValueError, match="no name"):
        evaluate(wrong, min_group_size=10)


@pytest.mark.parametrize(
    "call",
    [
        lambda: accuracy([], []),
        lambda: accuracy([1], [1, 2]),
        lambda: accuracy([0.5], [1]),
        lambda: accuracy(np.array([np.nan]), np.array([1])),
        lambda: topk_accuracy(np.zeros((0, 5), dtype=int), np.zeros(0, dtype=int)),
        lambda: topk_accuracy([[0, 1]], [1], k=5),
        lambda: balanced_accuracy([], []),
        lambda: per_class_accuracy([], []),
        lambda: macro_f1([], []),
        lambda: group_accuracies([], np.zeros((0, 1)), group_columns={"g": ("a",)}),
        lambda: group_accuracies([1], [[1]], group_columns={"g": ("a",)}),
        lambda: worst_group_accuracy([], min_group_size=1),
        lambda: group_balanced_accuracy([]),
        lambda: nll([]),
        lambda: nll([0.5, float("nan")]),
        lambda: nll([0.5, 1.5]),
        lambda: brier([], []),
        lambda: brier([0.5, 0.5], [0.5]),
        lambda: ece([], []),
        lambda: ece([0.5, float("nan")], [1, 0]),
        lambda: ece([0.5, 0.5], [1]),
        lambda: ece([0.5, 0.5], [1, float("nan")]),
        lambda: group_accuracies([float("nan")], [[0]], group_columns={"g": ("a",)}),
    ],
)
def test_empty_input_and_nan_raise(call: Any) -> None:
    with pytest.raises(ValueError):
        call()
