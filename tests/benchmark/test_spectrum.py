"""Singular-value statistics by hand and against NumPy's decomposition, intervals against repeated draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmark import spectrum as module
from benchmark.spectrum import (
    Spectrum,
    largest_singular_value_ratio,
    singular_value_entropy,
    singular_values,
    spectrum,
)
from benchmark.spectrum_moments import Centre
from shifts.errors import UserError


def draw(n: int, dim: int, *, seed: int, mean: float = 1.0) -> np.ndarray:
    """Rectified features of ten clusters with a falling spectrum, the same distribution for every seed."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    scale = np.arange(1, dim + 1) ** -0.7
    turn = np.linalg.qr(fixed.normal(size=(dim, dim)))[0]
    clusters = mean * fixed.normal(size=(10, dim))
    return np.maximum(((clusters[rng.integers(0, 10, n)] + rng.normal(size=(n, dim))) * scale) @ turn, 0)


def by_numpy(features: np.ndarray, centre: Centre, normalise: bool) -> np.ndarray:
    """The definition, on the whole matrix at once."""
    rows = torch.from_numpy(features).double()
    if normalise:
        rows = torch.nn.functional.normalize(rows, dim=1)
    if centre != "none":
        rows = rows - rows.mean(dim=0 if centre == "samples" else 1, keepdim=True)
    return np.linalg.svd(rows.numpy(), compute_uv=False)


def test_both_statistics_by_hand() -> None:
    assert singular_value_entropy([3.0, 3.0, 3.0]) == pytest.approx(math.log(3))
    assert singular_value_entropy([5.0, 0.0]) == 0
    assert singular_value_entropy([1.0, 3.0]) == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))
    assert largest_singular_value_ratio([1.0, 3.0]) == pytest.approx(math.log(4 / 3))
    assert largest_singular_value_ratio([7.0]) == 0
    for wrong in ([], [0.0], [1.0, -1.0], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="finite"):
            singular_value_entropy(wrong)


@pytest.mark.parametrize("centre", ["none", "samples", "features"])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("shape", [(200, 30), (30, 200), (40, 40)])
def test_singular_values_equal_those_of_the_whole_matrix(
    centre: Centre, normalise: bool, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.spectrum_moments._PIECE", 1000)  # several pieces
    features = draw(*shape, seed=3).astype(np.float32) + 5
    expected = by_numpy(features, centre, normalise)
    found = singular_values(features, centre=centre, normalise=normalise)
    assert found.shape == expected.shape
    assert found == pytest.approx(expected, abs=1e-6 * expected[0])
    whole = spectrum(features, centre=centre, normalise=normalise)
    assert whole.values == pytest.approx(expected, abs=1e-6 * expected[0])
    assert whole.sve.value == pytest.approx(singular_value_entropy(expected), abs=1e-4)


def test_a_large_mean_costs_no_digits() -> None:
    features = draw(300, 20, seed=4)
    near = singular_values(features, normalise=False)
    assert singular_values(features + 1e6, normalise=False) == pytest.approx(near, rel=1e-6)


def test_without_centring_the_first_direction_is_the_mean() -> None:
    features = draw(500, 32, seed=5)
    plain, centred = (spectrum(features, centre=one) for one in ("none", "samples"))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    first = np.linalg.svd(unit)[2][0]
    mean = unit.mean(axis=0)
    assert abs(first @ mean) / np.linalg.norm(mean) > 0.99
    assert plain.lsvr.high < centred.lsvr.low, "the mean dominates until it is taken away"


@pytest.mark.parametrize("interval", ["jackknife", "bootstrap"])
def test_intervals_cover_other_draws_and_corrected_ones_many_examples(interval: module.Interval) -> None:
    repeats, n, dim = 120, 200, 24
    sets = [
        spectrum(draw(n, dim, seed=seed), interval=interval, resamples=60, seed=seed)
        for seed in range(repeats)
    ]
    many = singular_values(draw(40_000, dim, seed=10_000))
    truth = {"sve": singular_value_entropy(many), "lsvr": largest_singular_value_ratio(many)}

    def covered(name: str, value: float) -> float:
        return float(np.mean([getattr(one, name).low <= value <= getattr(one, name).high for one in sets]))

    for name, value in truth.items():
        expected = float(np.mean([getattr(one, name).value for one in sets]))
        assert covered(name, expected) >= 0.89, "95 % within three binomial standard errors"
        # Two first directions of almost one size trade places: the correction is of first order only.
        assert covered(f"{name}_corrected", value) >= 0.85
    assert covered("sve", truth["sve"]) < 0.3, "what is not corrected is biased by more than it varies"


def test_the_jackknife_stays_right_where_dimensions_are_many() -> None:
    sets = {
        name: [spectrum(draw(240, 96, seed=seed), interval=name, resamples=40) for seed in range(25)]
        for name in module.INTERVALS
    }
    real = float(np.std([one.sve.value for one in sets["jackknife"]], ddof=1))
    width = {
        name: np.mean([(one.sve.high - one.sve.low) / 2 / 1.96 for one in some])
        for name, some in sets.items()
    }
    assert width["jackknife"] == pytest.approx(real, rel=0.35)
    assert width["bootstrap"] > 1.5 * real
    assert all(one.few for one in sets["jackknife"])


def test_order_and_storage_move_nothing_and_the_seed_only_the_interval() -> None:
    features, names = draw(300, 16, seed=6), [f"image-{row}" for row in range(300)]
    first = spectrum(features, ids=names)
    turned = np.random.default_rng(0).permutation(300)
    again = spectrum(features[turned], ids=[names[row] for row in turned])
    assert again.sve.value == pytest.approx(first.sve.value, abs=1e-12)
    assert again.sve.low == pytest.approx(first.sve.low, abs=1e-9)
    assert again.examples != first.examples
    other = spectrum(features, ids=names, seed=1)
    assert other.sve.value == pytest.approx(first.sve.value, abs=1e-12)
    assert other.sve.low != first.sve.low


def test_parts_that_are_not_kept_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = draw(200, 16, seed=7)
    kept = spectrum(features)
    monkeypatch.setattr(module, "_KEPT_BYTES", 0)
    assert np.array_equal(spectrum(features).replicates, kept.replicates)
    with pytest.raises(UserError, match="matrices of that size"):
        spectrum(features, interval="bootstrap")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((19, 4)), "19 feature vectors"),
        (np.ones((30, 4)), "all features are the same"),
        (np.where(np.arange(120).reshape(30, 4) == 7, np.nan, 1.0), "not numbers"),
    ],
)
def test_what_has_no_spectrum_is_refused(features: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        spectrum(features)


def test_the_result_is_plain_json() -> None:
    found: Spectrum = spectrum(draw(100, 8, seed=8))
    document = found.to_json()
    assert document["n"] == 100 and document["dim"] == 8 and document["centre"] == "samples"
    assert len(document["singular_values"]) == 8
    assert document["sve"]["method"] == "jackknife of 40 parts"
