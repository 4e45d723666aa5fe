"""Confidence intervals for proportions, means and paired differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchmark.estimate import Estimate

Floats = NDArray[np.float64]

# Elements that one chunk of resamples may hold at a time (8 bytes each).
_CHUNK = 4_000_000


def wilson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Wilson score interval of a proportion; the default for accuracies (Wilson 1927, JASA 22).

    Args:
        successes: examples answered right, 0..n.
        n: examples.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no examples, or a count that cannot be.

    >>> interval = wilson(8, 10)
    >>> round(interval.low, 4), interval.value, round(interval.high, 4)
    (0.4902, 0.8, 0.9433)
    """
    _check_counts(successes, n)
    p = successes / n
    low, high = wilson_bounds(p, n, z=normal_quantile(level))
    return Estimate(value=p, low=min(low, p), high=max(high, p), level=level, method="wilson", n=n)


def wilson_bounds(p: float, n: float, *, z: float) -> tuple[float, float]:
    """Wilson bounds of a proportion for a normal quantile ``z``; n may be an effective sample size."""
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    """Exact interval of a proportion: never covers less than its level (Clopper and Pearson 1934).

    Args and errors as for ``wilson``.

    >>> interval = clopper_pearson(8, 10)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.4439, 0.9748)
    """
    _check_counts(successes, n)
    tail = (1 - check_level(level)) / 2
    low = float(special.betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Estimate(value=successes / n, low=low, high=high, level=level, method="clopper-pearson", n=n)


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Student-t interval of a mean.

    Args:
        values: float (N,), N >= 2, one per example, in any unit.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two values (one value has no spread to measure), or NaN.

    >>> interval = mean_interval([1.0, 2.0, 3.0, 4.0])
    >>> interval.value, round(interval.low, 4), round(interval.high, 4)
    (2.5, 0.4457, 4.5543)
    """
    x = _finite(values)
    if x.ndim != 1 or x.size < 2:
        raise ValueError(f"the interval of a mean needs at least two values in one row, not shape {x.shape}")
    mean = float(x.mean())
    half = t_quantile(level, x.size - 1) * float(x.std(ddof=1)) / float(np.sqrt(x.size))
    return Estimate(value=mean, low=mean - half, high=mean + half, level=level, method="student-t", n=x.size)


def stratified_interval(
    successes: ArrayLike, n: ArrayLike, *, weights: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Interval of a weighted mean of per-group proportions (balanced accuracy, adjusted average).

    A Wilson interval with the effective sample size p(1-p)/var, var = sum_g w_g^2 p_g(1-p_g)/n_g (Franco et
    al. 2019, J. Survey Statistics and Methodology 7). In var each p_g is (x_g + 1/2)/(n_g + 1), so that a
    group without an error does not count as known exactly.

    Args:
        successes: int (G,), examples answered right per group.
        n: int (G,), examples per group, each >= 1.
        weights: float (G,), not negative, of any sum; None for equal weights.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no group, an empty group, counts that cannot be, or weights that sum to 0.

    >>> interval = stratified_interval([90, 10], [100, 20])
    >>> round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)
    (0.7, 0.5778, 0.7991)
    """
    x, size = _finite(successes), _finite(n)
    if x.ndim != 1 or x.shape != size.shape or not x.size:
        raise ValueError(f"successes {x.shape} and n {size.shape} must be rows of one length >= 1")
    if (size < 1).any() or (x < 0).any() or (x > size).any():
        raise ValueError("every group needs n >= 1 and 0 <= successes <= n")
    w = np.ones_like(x) if weights is None else _finite(weights)
    if w.shape != x.shape or (w < 0).any() or not w.sum():
        raise ValueError("weights must be one per group, not negative, and not all 0")
    w = w / w.sum()
    value = min(float(w @ (x / size)), 1.0)
    smoothed = (x + 0.5) / (size + 1)
    centre = float(w @ smoothed)
    n_effective = centre * (1 - centre) / float(w**2 @ (smoothed * (1 - smoothed) / size))
    low, high = wilson_bounds(value, n_effective, z=normal_quantile(level))
    total = int(size.sum())
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        method="stratified-wilson",
        n=total,
    )


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[Floats], Floats] | None = None,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Percentile bootstrap over examples (Efron 1979).

    Args:
        values: float (N, ...), one row per example.
        statistic: maps resamples (R, N, ...) to values (R,), working along axis 1; None for the mean.
        seed: of the generator; equal seeds give equal intervals whatever the chunking.
        resamples: how often to resample.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no values, NaN, or a statistic that is not finite on some resample.

    >>> interval = bootstrap([0.0, 1.0, 1.0, 1.0], seed=0)
    >>> interval.value, interval.low, interval.high
    (0.75, 0.25, 1.0)
    """
    x = _finite(values)
    if not x.ndim or not len(x):
        raise ValueError("a bootstrap needs at least one example")
    compute = statistic or (lambda sample: sample.mean(axis=1))
    rng = np.random.default_rng(seed)

    def draw(count: int) -> Floats:
        return x[rng.integers(0, len(x), size=(count, len(x)))]

    drawn = _resample(draw, compute, resamples=resamples, width=x.size)
    return _percentile(float(compute(x[None])[0]), drawn, level=level, n=len(x))


def bootstrap_counts(
    counts: ArrayLike,
    statistic: Callable[[NDArray[np.int64]], Floats],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Percentile bootstrap of a statistic that only needs how often each kind of example occurs.

    Resampling N examples is a multinomial draw of the kinds' counts: the same distribution as ``bootstrap``
    at the cost of the number of kinds, not of examples.

    Args:
        counts: int (K,), examples of each kind.
        statistic: maps counts (R, K) to values (R,).
        seed, resamples, level: as for ``bootstrap``.

    >>> interval = bootstrap_counts([20, 80], lambda c: c[:, 1] / 100, seed=0)
    >>> interval.value, interval.low, interval.high
    (0.8, 0.72, 0.88)
    """
    kinds = np.asarray(counts)
    if kinds.ndim != 1 or not kinds.sum() or (kinds < 0).any():
        raise ValueError("counts must be a row of numbers of examples, not all 0")
    n = int(kinds.sum())
    rng = np.random.default_rng(seed)
    drawn = _resample(
        lambda count: rng.multinomial(n, kinds / n, size=count),
        statistic,
        resamples=resamples,
        width=kinds.size,
    )
    return _percentile(float(statistic(kinds[None])[0]), drawn, level=level, n=n)


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, *, seed: int, resamples: int = 2000, level: float = 0.95
) -> Estimate:
    """Mean difference a - b of two models on the same examples, by paired bootstrap.

    Args:
        a, b: float or bool (N,), one value per example in the same order (correctness, loss, ...).
        seed, resamples, level: as for ``bootstrap``.

    Raises:
        ValueError: rows of different length, no example, or NaN.

    >>> interval = paired_bootstrap([1, 1, 1, 0] * 25, [1, 0, 1, 0] * 25, seed=0)
    >>> interval.value, interval.low, interval.high
    (0.25, 0.16, 0.34)
    """
    first, second = _finite(a), _finite(b)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"paired values need one length >= 1, not {first.shape} and {second.shape}")
    kinds, counts = np.unique(first - second, return_counts=True)
    if kinds.size <= 64:  # correctness has three kinds of pairs: draw their counts, not the examples
        return bootstrap_counts(
            counts, lambda drawn: drawn @ kinds / first.size, seed=seed, resamples=resamples, level=level
        )
    return bootstrap(first - second, seed=seed, resamples=resamples, level=level)


def paired_proportions(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Difference of two accuracies on the same examples with Tango's score interval (Statist. Med. 17, 1998).

    Args:
        a, b: bool (N,), whether each model is right, in the same order.
        level: confidence level in (0, 1).

    Raises:
        ValueError: rows of different length, no example, or values other than 0 and 1.

    >>> interval = paired_proportions([1, 1, 1, 0] * 25, [1, 0, 1, 0] * 25)
    >>> interval.value, round(interval.low, 4), round(interval.high, 4)
    (0.25, 0.1755, 0.343)
    """
    first, second = _correct(a, b)
    n, only_a, only_b = first.size, int((first & ~second).sum()), int((~first & second).sum())
    value = (only_a - only_b) / n
    z = normal_quantile(level)

    def score(delta: float) -> float:
        # The standardised difference at delta; the nuisance P(only b) is at its constrained maximum.
        half = (-only_a - only_b + (2 * n - only_a + only_b) * delta) / (4 * n)
        root = half * half + only_b * delta * (1 - delta) / (2 * n)
        variance = n * (2 * (np.sqrt(max(root, 0.0)) - half) + delta * (1 - delta))
        distance = only_a - only_b - n * delta
        return float(distance / np.sqrt(variance)) if variance > 0 else float(np.sign(distance)) * np.inf

    low = _bisect(lambda delta: score(delta) >= z, -1.0, value)
    high = _bisect(lambda delta: score(delta) > -z, value, 1.0)
    return Estimate(value=value, low=min(low, value), high=max(high, value), level=level, method="tango", n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Exact McNemar test of two models on the same examples.

    Attributes:
        only_a, only_b: examples that one model alone answers right.
        n: examples.
        p_value: two-sided, exact binomial; 1.0 where the models never disagree.
    """

    only_a: int
    only_b: int
    n: int
    p_value: float


def mcnemar(a: ArrayLike, b: ArrayLike) -> McNemar:
    """Exact McNemar test that two models are equally often right (McNemar 1947).

    Args and errors as for ``paired_proportions``.

    >>> mcnemar([1, 1, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0]).p_value
    0.125
    """
    first, second = _correct(a, b)
    only_a, only_b = int((first & ~second).sum()), int((~first & second).sum())
    tail = float(special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)) if only_a + only_b else 1.0
    return McNemar(only_a=only_a, only_b=only_b, n=first.size, p_value=min(1.0, 2 * tail))


def normal_quantile(level: float) -> float:
    """Half-width in standard deviations of a two-sided normal interval (1.96 at 0.95)."""
    return float(special.ndtri(0.5 + check_level(level) / 2))


def t_quantile(level: float, df: float) -> float:
    """Half-width in standard errors of a two-sided Student-t interval."""
    return float(special.stdtrit(df, 0.5 + check_level(level) / 2))


def check_level(level: float) -> float:
    """The level, if it is one."""
    if not 0 < level < 1:
        raise ValueError(f"level {level} is not between 0 and 1")
    return level


def _check_counts(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} examples is not a proportion")


def _finite(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise ValueError("values must be finite")
    return x


def _correct(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"paired answers need one length >= 1, not {first.shape} and {second.shape}")
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("paired answers are right (1) or wrong (0)")
    return first.astype(bool), second.astype(bool)


def _resample(
    draw: Callable[[int], NDArray[np.generic]],
    statistic: Callable[..., Floats],
    *,
    resamples: int,
    width: int,
) -> Floats:
    chunk = max(1, _CHUNK // width)
    counts = [min(chunk, resamples - start) for start in range(0, resamples, chunk)]
    return np.concatenate([np.asarray(statistic(draw(count)), dtype=np.float64) for count in counts])


def _percentile(value: float, drawn: Floats, *, level: float, n: int) -> Estimate:
    if not (np.isfinite(value) and np.isfinite(drawn).all()):
        raise ValueError("the statistic is not finite on every resample")
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    # A biased statistic can lie outside the percentiles of its own resamples.
    return Estimate(
        value=value, low=min(low, value), high=max(high, value), level=level, method="bootstrap", n=n
    )


def _bisect(inside_left: Callable[[float], bool], left: float, right: float) -> float:
    # 60 halvings of an interval no longer than 2 leave less than 1e-17.
    for _ in range(60):
        middle = (left + right) / 2
        left, right = (middle, right) if inside_left(middle) else (left, middle)
    return (left + right) / 2
