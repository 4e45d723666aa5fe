"""Corrected examples by hand, and against sets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmark.corrected import corrected_examples


def test_against_sets_of_examples_over_trials() -> None:
    draw = np.random.default_rng(0)
    right = {name: draw.random((5, 400)) < p for name, p in
             (("baseline", 0.4), ("first", 0.6), ("second", 0.55), ("both", 0.8))}  # fmt: skip
    found = corrected_examples(
        right["baseline"], first=right["first"], second=right["second"], both=right["both"]
    )
    mostly = {
        name: {i for i in range(400) if sum(bool(v) for v in values[:, i]) >= 3}
        for name, values in right.items()
    }
    errors = set(range(400)) - mostly["baseline"]
    first, second, both = (mostly[name] & errors for name in ("first", "second", "both"))
    assert (found.n, found.errors) == (400, len(errors))
    assert (found.first, found.second, found.both) == (len(first), len(second), len(both))
    assert found.overlap == len(first & second)
    assert found.jaccard is not None
    assert found.lift is not None
    assert found.covered is not None
    assert found.jaccard.value == len(first & second) / len(first | second)
    assert found.covered.value == len(both & (first | second)) / len(first | second)
    assert found.lift.value == pytest.approx(len(first & second) * len(errors) / len(first) / len(second))
    exact = binomtest(len(first & second), len(first | second)).proportion_ci(method="exact")
    assert (found.jaccard.low, found.jaccard.high) == pytest.approx((exact.low, exact.high))
    assert found.lift.low < 1 < found.lift.high, "independent draws correct errors independently"


def test_half_of_the_trials_is_not_most() -> None:
    half = [[True, False], [False, False]]
    found = corrected_examples(half, first=half, second=half, both=[[True, True]] * 2)
    assert (found.errors, found.first, found.both) == (2, 0, 2)
    assert found.jaccard is None
    assert found.lift is None
    assert found.covered is None


def test_where_only_one_corrects_nothing_is_in_common() -> None:
    wrong = [[False] * 10]
    found = corrected_examples(wrong, first=[[True] * 4 + [False] * 6], second=wrong, both=wrong)
    assert found.jaccard is not None
    assert (found.jaccard.value, found.overlap) == (0.0, 0)
    assert found.lift is None
    assert found.to_json()["covered"]["value"] == 0.0


def test_other_examples_or_numbers_are_refused() -> None:
    some = [[True, False]]
    with pytest.raises(ValueError, match="second"):
        corrected_examples(some, first=some, second=[[True]], both=some)
    with pytest.raises(ValueError, match="baseline"):
        corrected_examples([[1, 0]], first=some, second=some, both=some)
