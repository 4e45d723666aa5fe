"""In support and out of support: known densities, planted halves, remembered splits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from shifts.data import Rows
from shifts.errors import CorruptDataError, DataNotFoundError, UserError
from shifts.spec import SHIFTS
from shifts.support import (
    IN,
    OUT,
    calibrate,
    density_ratio,
    difficulty_weights,
    half,
    keep,
    kept,
    split_file,
)


def names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(n)]


def test_the_ratio_of_two_gaussians_is_found() -> None:
    """Equal covariances: the log ratio is linear, so logistic regression can be right."""
    draw = np.random.default_rng(0)
    reference, shift = draw.normal(0, 1, (4000, 1)), draw.normal(1, 1, (2000, 1))
    found = density_ratio(
        reference, shift, reference_ids=names("r", 4000), shift_ids=names("s", 2000), strength=1.0
    )
    true = norm.logpdf(shift[:, 0], 0) - norm.logpdf(shift[:, 0], 1)
    np.testing.assert_allclose(np.log(found.shift), true, atol=0.35)
    assert abs(np.mean(np.log(found.shift) - true)) < 0.08, "the sizes of the sets are taken out"
    assert 0.9 < found.temperature < 1.1


def test_a_planted_mixture_is_taken_apart() -> None:
    draw = np.random.default_rng(1)
    reference = draw.normal(0, 1, (900, 16))
    truth = draw.random(900) < 0.4
    shift = draw.normal(0, 1, (900, 16)) + np.where(truth, 0.0, 4.0)[:, None]
    found = density_ratio(reference, shift, reference_ids=names("r", 900), shift_ids=names("s", 900))
    for threshold in (0.1, 0.2):
        inside = found.in_support(threshold)
        assert truth[inside].mean() >= 0.99
        assert inside[truth].mean() >= 0.99


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_regularisation_is_not_chosen_by_a_measure_that_much_support_saturates(seed: int) -> None:
    """Where 40 % of the shift is the reference, all strengths have one AUROC, but not the same ratios."""
    draw = np.random.default_rng(seed)
    reference = draw.normal(0, 1, (600, 64)) @ draw.normal(0, 1, (64, 64))
    truth = draw.random(600) < 0.4
    shift = reference + np.where(truth, 0.0, 4.0)[:, None] * draw.normal(0, 1, 64)
    ids = names("i", 600)
    found = density_ratio(reference, shift, reference_ids=ids, shift_ids=ids, folds=5)
    inside = found.in_support()
    assert truth[inside].mean() >= 0.99
    assert inside[truth].mean() >= 0.99
    assert 0.7 < found.temperature < 1.3


def test_the_split_does_not_depend_on_the_order_of_the_examples() -> None:
    draw = np.random.default_rng(2)
    reference, shift = draw.normal(0, 1, (120, 3)), draw.normal(0.5, 1, (80, 3))
    ids = names("r", 120), names("s", 80)
    one = density_ratio(reference, shift, reference_ids=ids[0], shift_ids=ids[1], folds=5, strength=0.1)
    order = draw.permutation(80)
    other = density_ratio(
        reference, shift[order], reference_ids=ids[0], shift_ids=[ids[1][i] for i in order], folds=5,
        strength=0.1,
    )  # fmt: skip
    np.testing.assert_allclose(other.shift, one.shift[order], rtol=1e-6)


def test_an_image_and_its_copy_are_in_one_fold() -> None:
    """Each image is far from all others, its copy right beside it on a random side: nothing can be learnt,
    unless a classifier has seen the one when it is asked about the other."""
    draw = np.random.default_rng(3)
    place = draw.normal(0, 10, (60, 200))
    nudge = draw.normal(0, 0.5, (60, 200))
    found = density_ratio(
        place - nudge, place + nudge, reference_ids=names("i", 60), shift_ids=names("i", 60), strength=1.0
    )
    ranks = found.shift_logits.mean() - found.reference_logits.mean()
    assert abs(ranks) < 0.5


def test_temperature_mends_logits_that_are_too_sure() -> None:
    draw = np.random.default_rng(4)
    logits = draw.normal(0, 2, 20_000)
    target = (draw.random(20_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    assert calibrate(3 * logits, target) == pytest.approx(1 / 3, rel=0.05)


def test_difficulty_is_made_equal() -> None:
    draw = np.random.default_rng(5)
    difficulty = np.concatenate([draw.binomial(10, 0.3, 500), draw.binomial(10, 0.5, 3000)])
    inside = np.arange(3500) < 500
    weights = difficulty_weights(difficulty, inside)
    assert weights.mean() == pytest.approx(1)
    weighted = np.average(difficulty[~inside], weights=weights)
    assert weighted == pytest.approx(difficulty[inside].mean(), abs=0.02)
    assert difficulty[~inside].mean() > weighted + 1.5
    with pytest.raises(UserError):
        difficulty_weights(difficulty, np.zeros(3500, dtype=bool))


def test_bad_input_is_the_users() -> None:
    few = np.zeros((3, 2))
    with pytest.raises(UserError, match="folds"):
        density_ratio(few, few, reference_ids=names("r", 3), shift_ids=names("s", 3))
    broken = np.full((20, 2), np.nan)
    with pytest.raises(UserError, match="not numbers"):
        density_ratio(broken, broken, reference_ids=names("r", 20), shift_ids=names("s", 20))


def test_the_halves_of_a_remembered_split_are_shifts() -> None:
    with pytest.raises(DataNotFoundError, match="not been split"):
        SHIFTS.get("digits/pad/in-support")
    keep("digits/pad", ["a", "b", "c"], np.array([0.5, 0.1, 0.2]), threshold=0.2, made_with={"model": "m"})
    inside, outside = SHIFTS.get("digits/pad/in-support"), SHIFTS.get("digits/pad/out-of-support")
    assert (inside.support, outside.support) == ("in", "out")
    assert inside.reference == SHIFTS.get("digits/pad").reference
    assert len({SHIFTS.get("digits/pad").digest("x"), inside.digest("x"), outside.digest("x")}) == 3
    rows = Rows(ids=["c", "b", "a"], labels=np.zeros(3, dtype=np.int64), num_classes=2, seed=0)
    split = kept("digits/pad")["digest"]
    assert half(rows, shift="digits/pad", split=split, side=IN).tolist() == [0, 2]
    assert half(rows, shift="digits/pad", split=split, side=OUT).tolist() == [1]
    more = Rows(ids=["a", "d"], labels=np.zeros(2, dtype=np.int64), num_classes=2, seed=0)
    with pytest.raises(UserError, match="'d'"):
        half(more, shift="digits/pad", split=split, side=IN)
    keep("digits/pad", ["a", "b", "c"], np.array([0.5, 0.1, 0.2]), threshold=0.3, made_with={"model": "m"})
    with pytest.raises(UserError, match="anew"):
        half(rows, shift="digits/pad", split=split, side=IN)
    assert SHIFTS.get("digits/pad/in-support").digest("x") != inside.digest("x")


def test_a_changed_file_is_noticed() -> None:
    keep("digits/pad", ["a", "b"], np.array([0.5, 0.1]), threshold=0.2, made_with={})
    document = json.loads(split_file("digits/pad").read_text())
    document["ratio"][1] = 9.0
    split_file("digits/pad").write_text(json.dumps(document))
    with pytest.raises(CorruptDataError):
        kept("digits/pad")
