"""What a split says: DeLong against the bootstrap, words that follow numbers, the command on real digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.cli import run
from benchmark.intervals import clopper_pearson
from benchmark.support_report import (
    auroc,
    calibration_curve,
    purity_and_recall,
    support_report,
    weighted_accuracy,
)
from shifts.support import DensityRatio


def ratio_of(reference: np.ndarray, shift: np.ndarray) -> DensityRatio:
    return DensityRatio(
        reference=reference,
        shift=shift,
        reference_logits=-np.log(reference),
        shift_logits=-np.log(shift),
        temperature=1.0,
        strength=1.0,
    )


def test_auroc_equals_scikit_learns_and_its_interval_the_bootstraps() -> None:
    draw = np.random.default_rng(0)
    negative, positive = draw.normal(0, 1, 150).round(1), draw.normal(1, 1, 100).round(1)
    found = auroc(negative, positive)
    target = np.repeat([0, 1], [150, 100])
    assert found.value == pytest.approx(roc_auc_score(target, np.concatenate([negative, positive])))
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    drawn = [
        above[np.ix_(draw.integers(0, 100, 100), draw.integers(0, 150, 150))].mean() for _ in range(2000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)
    assert auroc([0.0, 1.0], [2.0, 3.0]).high <= 1


def test_weighted_accuracy_with_equal_weights_is_accuracy() -> None:
    correct = np.arange(200) < 150
    one = weighted_accuracy(correct, np.ones(200))
    assert one.value == 0.75
    assert one.n == 200
    assert one.high - one.low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 199), rel=1e-3)
    uneven = weighted_accuracy(correct, np.where(correct, 1.0, 3.0))
    assert uneven.value == pytest.approx(150 / 300)
    assert uneven.n < 200


def test_the_calibration_curve_lies_on_the_diagonal_for_true_probabilities() -> None:
    draw = np.random.default_rng(1)
    probability = draw.random(10_000)
    target = (draw.random(10_000) < probability).astype(np.int64)
    curve = calibration_curve(probability, target)
    assert len(curve) == 100
    held = [point.observed.low <= point.predicted <= point.observed.high for point in curve]
    assert np.mean(held) >= 0.9


def test_purity_and_recall_by_hand() -> None:
    inside = np.array([True, True, True, False, False])
    truth = np.array([True, True, False, True, False])
    purity, recall = purity_and_recall(inside, truth)
    assert purity == clopper_pearson(2, 3)
    assert recall == clopper_pearson(2, 3)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (np.full(500, 0.01), "Mostly out"),
        (np.full(500, 0.9), "Mostly in"),
        (np.array([0.9, 0.01] * 250), "Mixed"),
    ],
)
def test_the_words_follow_the_numbers(shift: np.ndarray, said: str) -> None:
    report = support_report(ratio_of(np.full(500, 50.0), shift))
    assert report.words()[0].startswith(said)


def test_equal_sets_are_in_support() -> None:
    draw = np.random.default_rng(2)
    same = np.exp(draw.normal(0, 0.1, 500))
    words = support_report(ratio_of(np.exp(draw.normal(0, 0.1, 500)), same)).words()
    assert "cannot tell" in words[0] or words[0].startswith("Mostly in")


def test_the_command_splits_and_the_halves_can_be_evaluated(
    trained_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shift = "digits/unseen-tint"
    ask = ["diagnose", "--shift", shift, "--model", "digits-cnn", "--folds", "4", "--json"]
    assert run([*ask, "-o", str(tmp_path / "support.png")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["auroc"]["low"] > 0.9
    assert document["in_support"]["0.2"]["high"] < 0.5
    assert (tmp_path / "support.png").stat().st_size > 10_000
    again = run(ask)
    assert again == 0
    assert json.loads(capsys.readouterr().out) == document, "kept features give the same split"
    halves = [part for name in document["halves"] for part in ("--shift", name)]
    assert run(["eval", "-m", "digits-cnn", *halves, "--results", str(tmp_path / "r"), "--json"]) == 0
    results = {one["shift"]: one for one in json.loads(capsys.readouterr().out)["results"]}
    sizes = [results[name]["n"] for name in document["halves"]]
    assert sum(sizes) == document["n_shift"]
    assert sizes[0] == round(document["in_support"]["0.2"]["value"] * document["n_shift"])


def test_a_reference_cannot_be_split(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diagnose", "--shift", "digits", "--model", "digits-cnn"]) == 2
    assert "reference itself" in capsys.readouterr().err
