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
from benchmark.spectrum_large import leading_values, tail_of
from benchmark.spectrum_moments import (
    CENTRES,
    Centre,
    Moments,
    Ready,
    in_fewer_dimensions,
    moments,
    resampled,
)
from benchmark.spectrum_statistics import (
    STATISTICS,
    largest_singular_value_ratio,
    singular_value_entropy,
    statistics,
)
from shifts.data import generator, hash_rank
from shifts.digest import digest
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Spectrum",
    "largest_singular_value_ratio",
    "singular_value_entropy",
    "singular_values",
    "spectrum",
    "spread",
]

Interval = Literal["jackknife", "bootstrap"]
INTERVALS: tuple[Interval, ...] = ("jackknife", "bootstrap")
PARTS = 40  # the examples are left out, or drawn, in so many random parts of equal size
RESAMPLES = 200
FEWEST = 20
# Below so many examples a dimension the small singular values are mostly those of the sampling.
FEW_PER_DIMENSION = 5
EXACT = 4096  # the side of the largest matrix whose eigenvalues are all computed
LEADING = 512  # how many are where it is larger
_KEPT_BYTES = 2**29  # parts are summed again rather than kept where they would take more


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
    ready = in_fewer_dimensions(ready) if ready.n < ready.dim else ready
    return moments(ready, origin=_origin(ready)).singular_values(centre)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """Singular values of a set's features, with what they say.

    Attributes:
        values: float64 (K,), K <= min(n, dim), the largest first.
        sve, lsvr: at this number of examples; the interval is that of other draws of as many. Where there
            are more than ``EXACT`` examples and dimensions, only the leading values are computed: the
            interval then holds what the others may add, and knows nothing of the examples.
        sve_corrected, lsvr_corrected: what they would be of many more examples, to first order in 1 / n;
            None where only the leading values are known.
        replicates: float64 (R, 2), both statistics with a part left out, or of each resample; R is 0 where
            only the leading values are known.
        n, dim: examples, and dimensions of the features.
        centre, normalise: how the features were made ready.
        interval: how the intervals were made.
        examples: digest of the ids, in order: equal for sets that can be compared in pairs.
    """

    values: Floats
    sve: Estimate
    lsvr: Estimate
    sve_corrected: Estimate | None
    lsvr_corrected: Estimate | None
    replicates: Floats
    n: int
    dim: int
    centre: Centre
    normalise: bool
    interval: Interval
    examples: str

    @property
    def parts(self) -> int:
        """In how many parts the examples were left out or drawn."""
        return min(PARTS, self.n)

    @property
    def few(self) -> bool:
        """Whether there are too few examples for so many dimensions to speak of the model."""
        return self.n < FEW_PER_DIMENSION * self.dim

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = [name + ending for name in STATISTICS for ending in ("", "_corrected")]
        found: dict[str, Estimate | None] = {name: getattr(self, name) for name in names}
        return {
            **{name: None if one is None else one.to_json() for name, one in found.items()},
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
    rows: NDArray[np.int64] | None = None,
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
    bootstrap's standard error of the SVE is three to four times too large, for a resample has fewer different
    examples still (``tests/benchmarks/spectrum.py`` measures it). Neither interval is one of percentiles:
    resampled statistics are biased by more than they vary.

    Args:
        features: (N, D); a memory map is read a piece at a time.
        ids: N strings; the parts depend on them and the seed alone. None numbers the rows.
        rows: int64 (n,), which examples to take, in this order; None for all.
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
    if len(names) != len(features):
        raise ValueError(f"{len(names)} ids for {len(features)} feature vectors")
    ready = _ready(features, centre=centre, normalise=normalise, rows=rows)
    names = names if rows is None else [names[row] for row in rows.tolist()]
    if ready.n < FEWEST:
        raise UserError(
            f"{ready.n} feature vectors have no spectrum to speak of", hint=f"{FEWEST} examples or more"
        )
    made: dict[str, Any] = {
        "n": ready.n,
        "dim": ready.dim,
        "centre": centre,
        "normalise": normalise,
        "interval": interval,
        "examples": digest(names),
    }
    if min(ready.n, ready.dim) > EXACT:
        return _bounded(ready, seed=seed, level=level, made=made)
    ready = in_fewer_dimensions(ready) if ready.n < ready.dim else ready
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
        samples: Iterable[Moments] = (whole - part for part in each())
    else:
        assert kept is not None
        counts = draws(len(parts), resamples, generator(seed, "spectrum"))
        samples = resampled(kept, counts)
    replicates = np.array([statistics(one.singular_values(centre)) for one in samples])
    found = statistics(values)
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
        **made,
    )


def _bounded(ready: Ready, *, seed: int, level: float, made: dict[str, Any]) -> Spectrum:
    """Of a set with too many examples and dimensions for all of its singular values."""
    values, energy = leading_values(ready, count=LEADING, seed=seed)
    ends = np.array([statistics(tail_of(values, energy, among=min(ready.n, ready.dim), flat=flat))
                     for flat in (False, True)])  # fmt: skip

    def between(which: int) -> Estimate:
        low, high = sorted(ends[:, which].tolist())
        method = f"bounds: {len(values)} values and the sum of squares of the rest"
        return Estimate(value=(low + high) / 2, low=low, high=high, level=level, method=method, n=ready.n)

    return Spectrum(
        values=values,
        sve=between(0),
        lsvr=between(1),
        sve_corrected=None,
        lsvr_corrected=None,
        replicates=np.zeros((0, len(STATISTICS))),
        **made,
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


def _ready(
    features: NDArray[np.floating],
    *,
    centre: Centre,
    normalise: bool,
    rows: NDArray[np.int64] | None = None,
) -> Ready:
    if features.ndim != 2 or not features.size or features.dtype.kind != "f":
        raise ValueError(f"features are floats (N, D), not {features.dtype} {features.shape}")
    if centre not in CENTRES:
        raise ValueError(f"features are centred over one of {', '.join(CENTRES)}, not {centre!r}")
    return Ready(values=features, centre=centre, normalise=normalise, chosen=rows)


def _origin(ready: Ready) -> Floats | None:
    """Near the mean, where the mean is taken away in the end; else none."""
    first = next(ready.pieces())
    return np.asarray(ready[first].mean(axis=0), dtype=np.float64) if ready.centre == "samples" else None
