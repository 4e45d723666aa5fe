"""Real predictions pass as genuine, forgeries made from labels do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from leaderboard.difficulty import published_difficulty
from leaderboard.difficulty.build import build
from leaderboard.lints.errors import within_classes
from tests.leaderboard.real_predictions import (
    changed,
    copy_flagged,
    flagged,
    forgeries,
    others_errors,
    real_sets,
)


def test_no_real_model_is_flagged_and_every_drawn_one_is(real_data: Path) -> None:
    rng = np.random.default_rng(0)
    judged = 0
    for one in real_sets(real_data):
        for model in range(len(one.wrong)):
            hard = others_errors(one, model)
            verdict = flagged(one.wrong[model], hard, one.labels)
            if verdict is None:
                continue
            judged += 1
            assert not verdict, (one.name, model)
            forged = forgeries(one, model, rng)
            for kind in ("independent", "rates of classes"):
                assert flagged(forged[kind], hard, one.labels), (one.name, model, kind)
            # What it cannot see, by construction: somebody who draws by how hard an example is.
            assert not flagged(forged["drawn by difficulty"], hard, one.labels)
    assert judged > 340


def test_no_two_real_models_are_copies_and_changed_copies_are_seen(real_data: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = 0
    for one in real_sets(real_data):
        if one.predictions is None:
            continue
        said, labels = one.predictions, one.labels
        for first in range(len(said)):
            for second in range(first):
                pairs += 1
                assert not copy_flagged(said[first], said[second], labels), (one.name, first, second)
            if (said[first] != labels).sum() >= 100:
                assert copy_flagged(changed(said[first], 10, 0.005, rng), said[first], labels)
    assert pairs == 67 * 66 // 2 + 3 * (30 * 29 // 2)


def test_the_measure_agrees_with_another_implementation() -> None:
    rng = np.random.default_rng(0)
    labels, hard = rng.integers(0, 7, 900), rng.integers(0, 12, 900) / 12
    wrong = rng.random(900) < 0.2 + 0.5 * hard
    pairs, total = 0, 0.0
    for label in range(7):
        rows = labels == label
        weight = int(wrong[rows].sum() * (~wrong[rows]).sum())
        pairs, total = pairs + weight, total + weight * roc_auc_score(wrong[rows], hard[rows])
    found = within_classes(wrong, hard, labels)
    assert found is not None
    assert found[0] == pytest.approx(total / pairs)
    shuffled = []
    for _ in range(300):
        order = np.lexsort((rng.random(900), labels))
        by_class = np.sort(labels, kind="stable")
        one = within_classes(wrong[order], hard[np.argsort(labels, kind="stable")], by_class)
        assert one is not None
        shuffled.append(one[0])
    assert found[1] == pytest.approx(np.std(shuffled), rel=0.15)
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.01)


def test_the_shipped_table_is_what_its_command_makes(real_data: Path) -> None:
    with np.load(Path(build.__code__.co_filename).with_name("difficulty.npz")) as archive:
        made = build(real_data / "published_results")
        assert set(archive.files) == set(made)
        for name, values in made.items():
            np.testing.assert_array_equal(archive[name], values)


def test_the_validation_images_are_the_ones_the_models_saw() -> None:
    """Images whose label the reassessed labels reject are hard; in a wrong order they would not be."""
    from shifts.readers.imagenet_tables import real_labels, val_labels

    ids = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 50_001)]
    found = published_difficulty("imagenet-val", "val", ids)
    assert found is not None
    hard, same = found
    real, labels = real_labels(), val_labels()
    rejected = np.array([bool(known) and labels[row] not in known for row, known in enumerate(real)])
    assert same and hard[rejected].mean() > 0.65 and hard[~rejected].mean() < 0.25


def test_where_nothing_is_published() -> None:
    assert published_difficulty("digits", "test", ["0001"]) is None
    assert published_difficulty("imagenet-val", "val", ["cat.jpg"]) is None
    found = published_difficulty("cifar10-jpeg75", "test", ["test-00003", "test-00000"])
    assert found is not None and found[0].shape == (2,) and not found[1]
