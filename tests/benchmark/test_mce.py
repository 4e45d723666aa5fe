"""mCE against hand computation, published figures, and input it must refuse."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.mce import (
    ALEXNET,
    ALEXNET_CLEAN,
    corruption_errors,
    errors_of,
    mean_corruption_error,
    relative_mean_corruption_error,
)
from shifts.perturbations.severities import COMMON, EXTRA

HALF = {name: [0.5] * 5 for name in COMMON}


def test_alexnet_is_the_unit() -> None:
    assert mean_corruption_error(ALEXNET, n=50_000).value == pytest.approx(1)
    assert relative_mean_corruption_error(ALEXNET, ALEXNET_CLEAN, n=50_000).value == pytest.approx(1)
    # The published average over the 15 corruptions and five severities.
    assert np.mean([ALEXNET[name] for name in COMMON]) == pytest.approx(0.788993, abs=1e-6)
    published = {
        "gaussian-noise": 0.886428,
        "glass-blur": 0.826268,
        "brightness": 0.564592,
        "saturate": 0.658248,
    }
    for name, average in published.items():
        assert np.mean(ALEXNET[name]) == pytest.approx(average, abs=1e-9)


def test_by_hand() -> None:
    expected = np.mean([2.5 / sum(ALEXNET[name]) for name in COMMON])
    assert mean_corruption_error(HALF, n=50_000).value == pytest.approx(expected, rel=1e-12)
    relative = np.mean([(2.5 - 5 * 0.2) / (sum(ALEXNET[name]) - 5 * ALEXNET_CLEAN) for name in COMMON])
    assert relative_mean_corruption_error(HALF, 0.2, n=50_000).value == pytest.approx(relative, rel=1e-12)


def test_the_four_extra_corruptions_never_count() -> None:
    more = HALF | {name: [0.99] * 5 for name in EXTRA}
    assert mean_corruption_error(more, n=100) == mean_corruption_error(HALF, n=100)
    assert set(corruption_errors(more)) == {*COMMON, *EXTRA}


def test_the_interval_covers_errors_that_move_together() -> None:
    """Images that are hard under every corruption: the worst case the interval is made for."""
    draw = np.random.default_rng(0)
    truth = mean_corruption_error({name: [0.4] * 5 for name in COMMON}, n=500)
    hits = 0
    for _ in range(300):
        error = float((draw.random(500) < 0.4).mean())
        one = mean_corruption_error({name: [error] * 5 for name in COMMON}, n=500)
        hits += one.low <= truth.value <= one.high
    assert 0.92 <= hits / 300 <= 0.98


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({name: row for name, row in HALF.items() if name != "fog"}, "missing: fog"),
        (HALF | {"fog": [0.5] * 4}, "five errors"),
        (HALF | {"fog": [50.0] * 5}, "five errors"),
        (HALF | {"fog": [float("nan")] * 5}, "five errors"),
    ],
)
def test_bad_input(errors: dict[str, list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mean_corruption_error(errors, n=100)
    with pytest.raises(ValueError, match="no normaliser"):
        corruption_errors({"rain": [0.5] * 5})


def test_files_and_generated_images_are_never_mixed() -> None:
    on_disk = {f"imagenet-c/{name}/{s}": 0.5 for name in COMMON for s in range(1, 6)}
    online = {f"imagenet-c-online/{name}/{s}": 0.6 for name in COMMON for s in range(1, 6)}
    both = on_disk | online
    assert errors_of(both) == {name: [0.5] * 5 for name in COMMON}
    assert errors_of(both, family="imagenet-c-online") == {name: [0.4] * 5 for name in COMMON}
    del both["imagenet-c/fog/3"]
    with pytest.raises(ValueError, match="imagenet-c/fog/3 missing"):
        errors_of(both)


def test_resnet50_is_near_its_published_mce(real_data: Path) -> None:
    """76.7 is published; the testbed measured the same weights and files through a decoder of its own."""
    path = real_data / "published_results" / "imagenet_testbed" / "robustness_top1s.csv"
    with path.open() as stream:
        rows = {row["model"]: row for row in csv.DictReader(stream)}
    measured = {}
    for model in ("resnet50", "alexnet"):
        row = rows[model]
        accuracies = {
            f"imagenet-c/{name}/{severity}": float(
                row[f"imagenet-c.{name.replace('-', '_')}.{severity}_on-disk"]
            )
            / 100
            for name in COMMON
            for severity in range(1, 6)
        }
        measured[model] = mean_corruption_error(errors_of(accuracies), n=50_000).value
    assert measured["resnet50"] == pytest.approx(0.767, abs=0.02)
    assert measured["alexnet"] == pytest.approx(1.0, abs=0.03)
    # Against the AlexNet of the same harness the harness cancels out.
    assert measured["resnet50"] / measured["alexnet"] == pytest.approx(0.767, abs=0.01)
