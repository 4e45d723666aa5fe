"""Intervals against SciPy, published examples and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from benchmark import intervals
from benchmark.intervals import (
    bootstrap,
    bootstrap_counts,
    clopper_pearson,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    paired_proportions,
    stratified_interval,
    wilson,
)

COUNTS = st.integers(1, 60_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(COUNTS, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_proportions_agree_with_scipy(counts: tuple[int, int], level: float) -> None:
    k, n = counts
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = stats.binomtest(k, n).proportion_ci(level, method=method)
        estimate = ours(k, n, level=level)
        assert estimate.low == pytest.approx(theirs.low, abs=1e-9)
        assert estimate.high == pytest.approx(theirs.high, abs=1e-9)
        assert (estimate.value, estimate.n, estimate.level) == (k / n, n, level)


def test_the_mean_agrees_with_scipy() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=37)
    low, high = stats.t.interval(0.9, 36, loc=x.mean(), scale=stats.sem(x))
    estimate = mean_interval(x, level=0.9)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=1e-12)


def test_one_stratum_is_nearly_wilson() -> None:
    one, plain = stratified_interval([70], [100]), wilson(70, 100)
    assert (one.value, one.low, one.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-3)


@pytest.mark.parametrize(
    ("truth", "sizes", "weights"),
    [
        ([0.98, 0.9, 0.6, 0.95], [200, 50, 30, 120], None),
        ([0.98, 0.9, 0.6, 0.95], [2255, 2255, 642, 642], [3498, 184, 56, 1057]),
        (list(np.linspace(0.3, 1.0, 100)), [10] * 100, None),
        ([1.0, 0.0, 0.5], [20, 20, 20], None),
    ],
    ids=["groups", "waterbirds-weights", "many-small-classes", "groups-at-the-ends"],
)
def test_the_stratified_interval_covers(
    truth: list[float], sizes: list[int], weights: list[float] | None
) -> None:
    rng = np.random.default_rng(1)
    target = np.average(truth, weights=weights)
    hits = rng.binomial(sizes, truth, size=(1500, len(sizes)))
    covered = [
        e.low <= target <= e.high for e in (stratified_interval(row, sizes, weights=weights) for row in hits)
    ]
    assert 0.935 <= np.mean(covered) <= 0.99


def test_the_bootstrap_agrees_with_scipy_and_is_deterministic() -> None:
    x = np.random.default_rng(2).normal(size=80)
    ours = bootstrap(x, lambda sample: np.median(sample, axis=1), seed=3, resamples=4000)
    theirs = stats.bootstrap((x,), np.median, n_resamples=4000, method="percentile", random_state=4)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.05)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.05)
    assert ours == bootstrap(x, lambda sample: np.median(sample, axis=1), seed=3, resamples=4000)


def test_chunks_keep_the_memory_bounded_and_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).normal(size=101)
    counts = [3, 40, 58]
    whole = bootstrap(x, seed=1, resamples=50), bootstrap_counts(counts, lambda c: c[:, 0] / 101, seed=1)
    monkeypatch.setattr(intervals, "_CHUNK", 7 * 101)
    shapes: list[int] = []

    def mean(sample: np.ndarray) -> np.ndarray:
        shapes.append(len(sample))
        return np.asarray(sample.mean(axis=1))

    assert bootstrap(x, mean, seed=1, resamples=50) == whole[0]
    assert max(shapes) == 7
    assert bootstrap_counts(counts, lambda c: c[:, 0] / 101, seed=1) == whole[1]


def test_counts_and_examples_have_the_same_bootstrap_law() -> None:
    x = np.repeat([0.0, 1.0], [30, 170])
    by_example = bootstrap(x, seed=0, resamples=20_000)
    by_count = bootstrap_counts([30, 170], lambda c: c[:, 1] / 200, seed=0, resamples=20_000)
    assert (by_example.low, by_example.high) == pytest.approx((by_count.low, by_count.high), abs=0.006)


def test_paired_differences_agree_with_each_other() -> None:
    rng = np.random.default_rng(6)
    a = rng.random(2000) < 0.8
    b = np.where(rng.random(2000) < 0.9, a, rng.random(2000) < 0.5)
    boot, tango = paired_bootstrap(a, b, seed=0), paired_proportions(a, b)
    d = a.astype(float) - b
    assert boot.value == tango.value == pytest.approx(d.mean())
    wald = 1.959964 * d.std() / np.sqrt(2000)
    for estimate in (boot, tango):
        assert (estimate.low, estimate.high) == pytest.approx((d.mean() - wald, d.mean() + wald), abs=1.5e-3)
    continuous = paired_bootstrap(a + rng.normal(0, 1e-6, 2000), b, seed=0)  # draws examples, not counts
    assert (continuous.low, continuous.high) == pytest.approx((boot.low, boot.high), abs=1.5e-3)


@pytest.mark.parametrize("table", [(43, 0, 1, 0), (20, 12, 2, 6), (0, 0, 5, 5), (50, 8, 8, 4), (9, 1, 0, 0)])
def test_tango_inverts_the_constrained_score_test(table: tuple[int, int, int, int]) -> None:
    both, only_a, only_b, neither = table
    a = np.repeat([1, 1, 0, 0], table)
    b = np.repeat([1, 0, 1, 0], table)
    n = sum(table)
    estimate = paired_proportions(a, b)

    def z(delta: float) -> float:
        # The likelihood of (only a, only b, agree) maximised over P(only b) with the difference fixed.
        def loss(q: float) -> float:
            cells = np.clip([q + delta, q, 1 - delta - 2 * q], 1e-300, None)
            return -float(np.dot([only_a, only_b, both + neither], np.log(cells)))

        q = optimize.minimize_scalar(
            loss, bounds=(max(0.0, -delta), (1 - delta) / 2), method="bounded", options={"xatol": 1e-13}
        ).x
        return float((only_a - only_b - n * delta) / np.sqrt(n * (2 * q + delta - delta**2)))

    if estimate.low > -1 + 1e-9:
        assert z(estimate.low) == pytest.approx(1.959964, abs=1e-3)
    if estimate.high < 1 - 1e-9:
        assert z(estimate.high) == pytest.approx(-1.959964, abs=1e-3)


def test_tango_covers() -> None:
    # Planted: P(only a) = 0.10, P(only b) = 0.04, so the difference is 0.06, over 150 examples.
    rng = np.random.default_rng(7)
    covered = 0
    for only_a, only_b, rest in rng.multinomial(150, [0.10, 0.04, 0.86], size=600):
        estimate = paired_proportions(
            np.repeat([1, 0, 1], [only_a, only_b, rest]), np.repeat([0, 1, 1], [only_a, only_b, rest])
        )
        covered += estimate.low <= 0.06 <= estimate.high
    assert 0.925 <= covered / 600 <= 0.98


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_mcnemar_agrees_with_the_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    a, b = np.array(pairs).T
    test = mcnemar(a, b)
    assert (test.only_a, test.only_b, test.n) == ((a & ~b).sum(), (b & ~a).sum(), len(pairs))
    disagree = test.only_a + test.only_b
    expected = stats.binomtest(test.only_a, disagree).pvalue if disagree else 1.0
    assert test.p_value == pytest.approx(expected, rel=1e-9)
    estimate = paired_proportions(a, b)
    swapped = paired_proportions(b, a)
    assert (estimate.low, estimate.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(0, 0),
        lambda: wilson(3, 2),
        lambda: wilson(1, 2, level=95),
        lambda: clopper_pearson(-1, 4),
        lambda: mean_interval([]),
        lambda: mean_interval([1.0]),
        lambda: mean_interval([1.0, float("nan")]),
        lambda: stratified_interval([], []),
        lambda: stratified_interval([0], [0]),
        lambda: stratified_interval([1, 1], [2, 2], weights=[0, 0]),
        lambda: bootstrap([], seed=0),
        lambda: bootstrap([float("inf")], seed=0),
        lambda: bootstrap_counts([0, 0], lambda c: c[:, 0], seed=0),
        lambda: paired_bootstrap([1], [1, 0], seed=0),
        lambda: paired_proportions([], []),
        lambda: paired_proportions([2], [1]),
        lambda: mcnemar([1, 0], [1]),
    ],
)
def test_what_has_no_interval_raises(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
