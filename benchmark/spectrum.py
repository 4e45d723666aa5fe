"""Singular values of features: how evenly a model uses its dimensions, and how much the first one dominates.

Chen et al. 2024 (arXiv 2403.06869, Section 3; first in arXiv 2309.17002): with the singular values s_1 >= s_2
>= ... of the features of a test set and p_i = s_i / sum_j s_j,

- SVE, singular value entropy, -sum_i p_i ln p_i: larger where more directions carry the features;
- LSVR, largest singular value ratio, -ln p_1: larger where the first direction dominates *less*.

In the paper both rise with noise in the pre-training labels; a higher SVE goes with better transfer, a higher
LSVR with worse robustness.

What the numbers mean depends on centring. Features after a ReLU are non-negative, so without centring the
first direction is the mean feature vector and LSVR says how far the features lie from the origin, not how
they vary; ``centre="samples"`` takes the mean away first, as a principal component analysis does. The
authors' released code centres each vector over its own entries (``centre="features"``), which leaves the mean
vector in. Numbers under different choices are not comparable; the choice is part of every ``Spectrum``.

Both statistics depend on the number of examples, too: with fewer, the small singular values come out smaller
and both lower (64 dimensions, 600 examples: the SVE by 0.018, three to four of its standard errors). Compare
sets of equal size, or the estimates that are corrected for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import t_quantile
from benchmark.resampling import draws
from benchmark.spectrum_moments import CENTRES, Centre, Moments, Ready, added, in_fewer_dimensions, moments
from shifts.data import hash_rank
from shifts.digest import digest
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Interval = Literal["jackknife", "bootstrap"]
INTERVALS: tuple[Interval, ...] = ("jackknife", "bootstrap")
PARTS = 40  # the examples are left out, or drawn, in so many random parts of equal size
RESAMPLES = 200
FEWEST = 20
# Below so many examples a dimension the small singular values are mostly those of the sampling.
FEW_PER_DIMENSION = 5
_KEPT_BYTES = 2**29  # parts are summed again rather than kept where they would take more
_STATISTICS = ("sve", "lsvr")


def singular_value_entropy(singular_values: ArrayLike) -> float:
    """SVE, in nats, between 0 (one direction) and ln K (K equal ones).

    Args:
        singular_values: float (K,), not negative, in any order; zeros count for nothing.

    Raises:
        ValueError: none, negative, not finite, or all 0.

    >>> round(singular_value_entropy([2.0, 1.0, 1.0]), 4)  # 0.5 ln 2 + 0.5 ln 4
    1.0397
    """
    shares = _shares(singular_values)
    positive = shares[shares > 0]
    return float(max(-(positive * np.log(positive)).sum(), 0.0))


def largest_singular_value_ratio(singular_values: ArrayLike) -> float:
    """LSVR, in nats: minus the logarithm of the largest one's share, between 0 and ln K.

    Args and errors as for ``singular_value_entropy``.

    >>> round(largest_singular_value_ratio([2.0, 1.0, 1.0]), 4)  # ln 2
    0.6931
    """
    return float(-np.log(_shares(singular_values).max()))


def singular_values(
    features: NDArray[np.floating], *, centre: Centre = "samples", normalise: bool = True
) -> Floats:
    """All singular values of features: float64 (min(N, D),), the largest first.

    Args:
        features: (N, D), N >= 2.
        centre: ``"none"``, over the ``"samples"``, or over the entries of each vector (``"features"``).
        normalise: scale each vector to length 1 first.
    """
    ready = _ready(features, centre=centre, normalise=normalise)
    return moments(ready, np.arange(ready.n), origin=_origin(ready)).singular_values(centre)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """Singular values of a set's features, with what they say.

    Attributes:
        values: float64 (K,), K <= min(n, dim), the largest first.
        sve, lsvr: at this number of examples; the interval is that of other draws of as many.
        sve_corrected, lsvr_corrected: what they would be of many more examples, to first order in 1 / n.
        replicates: float64 (R, 2), both statistics with a part left out, or of each resample.
        n, dim: examples, and dimensions of the features.
        centre, normalise: how the features were made ready.
        interval: how the intervals were made.
        examples: digest of the ids, in order: equal for sets that can be compared in pairs.
    """

    values: Floats
    sve: Estimate
    lsvr: Estimate
    sve_corrected: Estimate
    lsvr_corrected: Estimate
    replicates: Floats
    n: int
    dim: int
    centre: Centre
    normalise: bool
    interval: Interval
    examples: str

    @property
    def few(self) -> bool:
        """Whether there are too few examples for so many dimensions to speak of the model."""
        return self.n < FEW_PER_DIMENSION * self.dim

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **{name: getattr(self, name).to_json() for name in _STATISTICS},
            **{f"{name}_corrected": getattr(self, f"{name}_corrected").to_json() for name in _STATISTICS},
            "n": self.n,
            "dim": self.dim,
            "centre": self.centre,
            "normalise": self.normalise,
            "few_examples": self.few,
            "singular_values": self.values.tolist(),
        }


def spectrum(
    features: NDArray[np.floating],
    *,
    ids: Sequence[str] | None = None,
    centre: Centre = "samples",
    normalise: bool = True,
    interval: Interval = "jackknife",
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Spectrum:
    """Spectrum of features, with intervals over the examples.

    Random parts of the examples are left out in turn (jackknife of groups), or drawn with replacement
    (bootstrap). Both know the standard error, and Student's t makes it an interval. The jackknife is the
    default because it stays right where dimensions are many: with 256 dimensions and 600 examples the
    bootstrap's standard error of the SVE is almost three times too large, for a resample has fewer different
    examples still (``tests/benchmarks/spectrum.py`` measures it). Neither interval is one of percentiles:
    resampled statistics are biased by more than they vary.

    Args:
        features: (N, D); a memory map is read a piece at a time.
        ids: N strings; the parts depend on them and the seed alone. None numbers the rows.
        centre, normalise: as for ``singular_values``.
        interval: ``"jackknife"`` or ``"bootstrap"``.
        resamples: of the bootstrap.
        seed: of the parts and of the bootstrap.
        level: confidence level in (0, 1).

    Raises:
        UserError: fewer than ``FEWEST`` examples, features that are all the same or not finite, or too many
            dimensions for a bootstrap.
    """
    names = [str(row) for row in range(len(features))] if ids is None else list(ids)
    if len(names) != len(features) or len(names) < FEWEST:
        raise UserError(
            f"{len(features)} feature vectors with {len(names)} ids have no spectrum to speak of",
            hint=f"{FEWEST} examples or more, one id each",
        )
    ready = _ready(features, centre=centre, normalise=normalise)
    order = hash_rank(names, "spectrum", seed)
    parts = [np.sort(rows) for rows in np.array_split(order, min(PARTS, len(order)))]
    origin = _origin(ready)
    fits = len(parts) * 8 * ready.dim**2 <= _KEPT_BYTES
    if interval == "bootstrap" and not fits:
        raise UserError(
            f"a bootstrap over {ready.dim} dimensions would hold {len(parts)} matrices of that size",
            hint="the jackknife needs two",
        )
    kept = [moments(ready, rows, origin=origin) for rows in parts] if fits else None

    def each() -> Iterator[Moments]:
        yield from kept if kept is not None else (moments(ready, rows, origin=origin) for rows in parts)

    whole = reduce(Moments.__add__, each())
    if not np.isfinite(whole.products).all():
        raise UserError("features hold values that are not numbers", hint="look at the model's weights")
    values = whole.singular_values(centre)
    if not values[0] > 0:
        raise UserError(
            "all features are the same: they have no spectrum", hint="look at the model's weights"
        )
    if interval == "jackknife":
        resampled: Iterable[Moments] = (whole - part for part in each())
    else:
        assert kept is not None
        counts = draws(len(parts), resamples, np.random.default_rng(seed))
        resampled = (added(kept, weights) for weights in counts)
    replicates = np.array([_statistics(one.singular_values(centre)) for one in resampled])
    found = _statistics(values)
    error, bias = spread(replicates, interval), _bias(replicates, found, interval)
    # Of either kind: there are only so many parts that differ.
    half = t_quantile(level, len(parts) - 1) * error

    def estimate(which: int, value: float) -> Estimate:
        return Estimate(
            value=value,
            low=value - half[which],
            high=value + half[which],
            level=level,
            method=f"{interval} of {len(parts)} parts",
            n=ready.n,
        )

    return Spectrum(
        values=values,
        sve=estimate(0, found[0]),
        lsvr=estimate(1, found[1]),
        sve_corrected=estimate(0, found[0] - bias[0]),
        lsvr_corrected=estimate(1, found[1] - bias[1]),
        replicates=replicates,
        n=ready.n,
        dim=int(features.shape[1]),
        centre=centre,
        normalise=normalise,
        interval=interval,
        examples=digest(names),
    )


def spread(replicates: Floats, interval: Interval) -> Floats:
    """Standard errors of the columns of replicates (R, K): float64 (K,)."""
    around = ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)
    count = len(replicates)
    # Leaving a part out moves a mean by 1 / (count - 1) of what a fresh draw would.
    factor = (count - 1) / count if interval == "jackknife" else 1 / (count - 1)
    return np.asarray(np.sqrt(factor * around), dtype=np.float64)


def _bias(replicates: Floats, found: Floats, interval: Interval) -> Floats:
    """Of the statistics at n examples against those of many more, if it falls as 1 / n."""
    moved: Floats = replicates.mean(axis=0) - found
    return moved * (len(replicates) - 1) if interval == "jackknife" else moved


def _statistics(values: Floats) -> Floats:
    return np.array([singular_value_entropy(values), largest_singular_value_ratio(values)])


def _ready(features: NDArray[np.floating], *, centre: Centre, normalise: bool) -> Ready:
    if features.ndim != 2 or not features.size or features.dtype.kind != "f":
        raise ValueError(f"features are floats (N, D), not {features.dtype} {features.shape}")
    if centre not in CENTRES:
        raise ValueError(f"features are centred over one of {', '.join(CENTRES)}, not {centre!r}")
    ready = Ready(values=features, centre=centre, normalise=normalise)
    return in_fewer_dimensions(ready) if ready.n < ready.dim else ready


def _origin(ready: Ready) -> Floats | None:
    """Near the mean, where the mean is taken away in the end; else none."""
    first = next(ready.pieces(np.arange(ready.n)))
    return np.asarray(ready[first].mean(axis=0), dtype=np.float64) if ready.centre == "samples" else None


def _shares(singular_values: ArrayLike) -> Floats:
    values = np.asarray(singular_values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
        raise ValueError("singular values are a row of finite numbers, none negative and not all 0")
    return np.asarray(values / values.sum(), dtype=np.float64)
