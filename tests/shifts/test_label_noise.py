"""Noise in labels and captions: realised rates by hand, by counting, and against the rule written out."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from shifts.errors import UserError
from shifts.label_noise import (
    GRID,
    NONE,
    LabelNoise,
    apply,
    asymmetric,
    foreign_images,
    parse,
    swap_captions,
    symmetric,
)

N, CLASSES = 3000, 6
IDS = [f"image-{index:05d}" for index in range(N)]
LABELS = np.random.default_rng(3).integers(0, CLASSES, N)


def counted(given: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """Rows of the true class, columns of the given one."""
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (true, given), 1)
    return table


@pytest.mark.parametrize("rate", [*GRID, 0.0125, 0.5])
def test_the_symmetric_rate_is_the_one_asked_for(rate: float) -> None:
    noisy = symmetric(IDS, LABELS, num_classes=CLASSES, rate=rate)
    wrong = noisy.labels != LABELS
    assert wrong.sum() == round(rate * N)
    assert noisy.rate == wrong.mean()
    assert np.array_equal(noisy.changed, wrong)
    assert noisy.class_rates == tuple(wrong[label == LABELS].mean() for label in range(CLASSES))


def test_symmetric_flips_go_to_the_other_classes_alike() -> None:
    """Five other classes: each cell off the diagonal expects n · rate / 5; chi-square of 24 free cells."""
    noisy = symmetric(IDS, LABELS, num_classes=CLASSES, rate=0.5)
    table = counted(noisy.labels, LABELS, CLASSES)
    off = table[~np.eye(CLASSES, dtype=bool)].reshape(CLASSES, CLASSES - 1)
    expected = off.sum(axis=1, keepdims=True) / (CLASSES - 1)
    assert ((off - expected) ** 2 / expected).sum() < 51.2, "beyond the 99.9th percentile"
    # A draw among all classes, as in the released code, would leave one in six of the chosen right.
    assert noisy.rate == 0.5 > 0.5 * (CLASSES - 1) / CLASSES + 0.05


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "captions", "foreign"])
def test_smaller_rates_lie_within_larger_ones_and_order_plays_no_role(kind: str) -> None:
    captions = [f"caption {index % 700}" for index in range(N)]
    other = {"other": "toy"} if kind == "foreign" else {}

    def made(rate: float, order: np.ndarray, seed: int = 0) -> tuple[np.ndarray, ...]:
        noisy = apply(
            LabelNoise(kind=kind, rate=rate, seed=seed, **other),  # type: ignore[arg-type]
            ids=[IDS[index] for index in order],
            labels=LABELS[order],
            num_classes=CLASSES,
            captions=[captions[index] for index in order],
            others=50,
        )
        back = np.argsort(order)
        return noisy.labels[back], order[noisy.permutation][back], noisy.foreign[back], noisy.changed[back]

    straight, mixed = np.arange(N), np.random.default_rng(0).permutation(N)
    for small, large in itertools.pairwise(GRID):
        few, many = made(small, straight), made(large, straight)
        assert few[3].sum() < many[3].sum()
        for one, two in zip(few, many, strict=True):
            assert np.array_equal(one[few[3]], two[few[3]])
    for one, two in zip(made(0.2, straight), made(0.2, mixed), strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(made(0.2, straight)[3], made(0.2, straight, seed=1)[3])


def test_asymmetric_noise_by_hand() -> None:
    """100, 200 and 300 examples; weights off the diagonal sum to 2, 1 and 0: rates are as 2 : 1 : 0."""
    labels = np.repeat([0, 1, 2], [100, 200, 300])
    ids = [f"{index}" for index in range(600)]
    confusion = ((5.0, 1.0, 1.0), (0.0, 9.0, 1.0), (0.0, 0.0, 1.0))
    noisy = asymmetric(ids, labels, num_classes=3, rate=0.1, confusion=confusion)
    table = counted(noisy.labels, labels, 3)
    # 60 flips in all: 2 · 100 : 1 · 200 : 0, so 30 of class 0 and 30 of class 1.
    assert table[0, 0] == 70 and table[1, 1] == 170 and table[2].tolist() == [0, 0, 300]
    assert table[1].tolist() == [0, 170, 30]
    assert table[0, 1] + table[0, 2] == 30 and 5 <= table[0, 1] <= 25, "half each, within four deviations"
    assert noisy.class_rates == (0.3, 0.15, 0.0)
    assert noisy.rate == 0.1


def test_without_a_matrix_each_class_becomes_the_next() -> None:
    noisy = asymmetric(IDS, LABELS, num_classes=CLASSES, rate=0.2)
    assert np.array_equal(noisy.labels[noisy.changed], (LABELS[noisy.changed] + 1) % CLASSES)
    for label, rate in enumerate(noisy.class_rates):
        n = int((label == LABELS).sum())
        assert rate == round(0.2 * n) / n


def test_matrices_that_ask_too_much_are_refused() -> None:
    labels, ids = np.repeat([0, 1], 50), [str(index) for index in range(100)]
    with pytest.raises(UserError, match="120% of class 0"):
        asymmetric(ids, labels, num_classes=2, rate=0.6, confusion=((0.0, 1.0), (0.0, 1.0)))
    with pytest.raises(UserError, match="confuses no class"):
        asymmetric(ids, labels, num_classes=2, rate=0.1, confusion=((1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(UserError, match="for 3 classes"):
        asymmetric(ids, labels, num_classes=3, rate=0.1, confusion=((0.0, 1.0), (1.0, 0.0)))


def test_captions_are_exchanged_in_pairs_and_never_for_equal_ones() -> None:
    captions = ["same"] * 1000 + [f"own {index}" for index in range(2000)]
    noisy = swap_captions(IDS, LABELS, captions, num_classes=CLASSES, rate=0.3)
    assert noisy.changed.sum() == 900 == round(0.3 * N)
    assert np.array_equal(noisy.permutation[noisy.permutation], np.arange(N)), "a swap undoes itself"
    for index in np.flatnonzero(noisy.changed):
        assert captions[noisy.permutation[index]] != captions[index]
    assert np.array_equal(noisy.labels, LABELS)


def test_where_captions_are_alike_the_realised_rate_says_so() -> None:
    captions = ["same"] * 90 + ["other"] * 10
    noisy = swap_captions(IDS[:100], LABELS[:100], captions, num_classes=CLASSES, rate=0.5)
    assert noisy.rate == 0.2, "ten of the one kind can be exchanged for ten of the other"


def test_foreign_images_take_places_and_leave_labels() -> None:
    noisy = foreign_images(IDS, LABELS, num_classes=CLASSES, others=7, rate=0.1)
    assert (noisy.foreign != NONE).sum() == 300
    assert set(noisy.foreign[noisy.changed]) == set(range(7))
    assert np.array_equal(noisy.labels, LABELS)


def test_what_is_asked_for_in_words() -> None:
    assert parse("symmetric:0.1") == LabelNoise(kind="symmetric", rate=0.1)
    assert parse("foreign:0.05:cifar10").label == "foreign-of-cifar10-5"
    assert [LabelNoise(kind="asymmetric", rate=rate).label for rate in (0.3, 0.0125)] == [
        "asymmetric-30",
        "asymmetric-1.25",
    ]
    for wrong in ("symmetric", "symmetric:1", "symmetric:-0.1", "gaussian:0.1", "foreign:0.1", "symmetric:x"):
        with pytest.raises(UserError):
            parse(wrong)
    with pytest.raises(UserError, match="none"):
        apply(LabelNoise(kind="captions", rate=0.1), ids=IDS, labels=LABELS, num_classes=CLASSES)


def test_the_declaration_imports_nothing_heavy() -> None:
    code = "import sys, shifts.label_noise; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
