"""Spectra beside each other, and those of which only the leading values are computed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark import spectrum as module
from benchmark.spectrum import largest_singular_value_ratio, singular_value_entropy, singular_values, spectrum
from benchmark.spectrum_large import leading_values, tail_of
from benchmark.spectrum_moments import CENTRES, Centre, Ready
from benchmark.spectrum_pairs import difference, matched_rows, spectrum_pair
from shifts.errors import UserError
from tests.benchmark.test_spectrum import draw


def names(n: int, prefix: str = "image") -> list[str]:
    return [f"{prefix}-{row}" for row in range(n)]


def test_the_same_examples_are_paired_in_any_order() -> None:
    features = draw(300, 16, seed=1)
    noisy = features + 0.05 * np.random.default_rng(0).normal(size=features.shape)
    turned = np.random.default_rng(1).permutation(300)
    plain = spectrum_pair(features, noisy, reference_ids=names(300), shift_ids=names(300))
    pair = spectrum_pair(
        features, noisy[turned], reference_ids=names(300), shift_ids=[names(300)[row] for row in turned]
    )
    assert pair.paired and pair.sve.value == pytest.approx(plain.sve.value, abs=1e-12)
    assert pair.sve.value == pytest.approx(pair.shift.sve.value - pair.reference.sve.value)
    width = pair.sve.high - pair.sve.low
    alone = pair.reference.sve.high - pair.reference.sve.low
    assert width < 0.5 * alone, "what both have in common cancels"


def test_a_set_compared_with_itself_differs_by_nothing() -> None:
    features = draw(200, 16, seed=2)
    pair = spectrum_pair(features, features, reference_ids=names(200), shift_ids=names(200))
    assert (pair.sve.low, pair.sve.value, pair.sve.high) == (0, 0, 0)


def test_sets_of_other_examples_are_cut_to_one_size() -> None:
    first, second, paired = matched_rows(names(500), names(120, "other"))
    assert not paired and len(first) == len(second) == 120
    assert np.array_equal(second, np.arange(120))
    again, *_ = matched_rows(names(500)[::-1], names(120, "other"))
    assert sorted(499 - again) == first.tolist(), "chosen by id"
    shared, theirs, paired = matched_rows(names(100), [*names(95)[::-1], "extra"])
    assert paired and shared.tolist() == list(range(95)) and theirs.tolist() == list(range(95))[::-1]


def test_unpaired_differences_cover_none_where_there_is_none() -> None:
    covered = 0
    for seed in range(60):
        pair = spectrum_pair(
            draw(400, 16, seed=2 * seed), draw(150, 16, seed=2 * seed + 1),
            reference_ids=names(400), shift_ids=names(150, "other"),
        )  # fmt: skip
        assert not pair.paired
        covered += pair.sve.low <= 0 <= pair.sve.high
    assert covered >= 53, "sets of unequal size would differ by their bias"


def test_what_cannot_be_compared_is_refused() -> None:
    features = draw(100, 8, seed=3)
    with pytest.raises(UserError, match="different ways"):
        difference(spectrum(features), spectrum(features, centre="none"))
    with pytest.raises(UserError, match="of 8 dimensions, the shift of 7"):
        spectrum_pair(features, features[:, :7], reference_ids=names(100), shift_ids=names(100))


@pytest.mark.parametrize("centre", CENTRES)
def test_leading_values_are_those_of_the_whole_matrix(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.spectrum_moments._PIECE", 5000)
    features = draw(400, 120, seed=4)
    expected = singular_values(features, centre=centre)
    found, energy = leading_values(Ready(values=features, centre=centre, normalise=True), count=30, seed=0)
    assert found == pytest.approx(expected[:30], rel=0.02)
    assert found[:10] == pytest.approx(expected[:10], rel=1e-4)
    assert (found <= expected[:30] + 1e-9).all()
    assert energy == pytest.approx(float(expected @ expected))


def test_no_tail_of_that_energy_lies_outside_the_bounds() -> None:
    rng = np.random.default_rng(5)
    values = np.sort(rng.uniform(1, 3, 20))[::-1]
    count = 200
    for power in (0.1, 0.5, 1.0, 2.0, 5.0):
        tail = values[-1] * rng.uniform(0, 1, count) ** power
        energy = float(values @ values + tail @ tail)
        ends = [tail_of(values, energy, among=20 + count, flat=flat) for flat in (False, True)]
        whole = np.concatenate([values, tail])
        for statistic in (singular_value_entropy, largest_singular_value_ratio):
            low, high = (statistic(end) for end in ends)
            assert low <= statistic(whole) <= high
        assert [float(end @ end) for end in ends] == pytest.approx([energy, energy])


def test_a_large_set_has_bounds_that_hold_the_exact_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    features = draw(500, 150, seed=6)
    exact = spectrum(features)
    monkeypatch.setattr(module, "EXACT", 100)
    monkeypatch.setattr(module, "LEADING", 40)
    found = spectrum(features)
    assert len(found.values) == 40 and found.sve_corrected is None
    assert found.sve.low <= exact.sve.value <= found.sve.high
    assert found.lsvr.low <= exact.lsvr.value <= found.lsvr.high
    assert found.sve.method.startswith("bounds")
    assert found.to_json()["sve_corrected"] is None
    with pytest.raises(UserError, match="no interval"):
        difference(found, found)
