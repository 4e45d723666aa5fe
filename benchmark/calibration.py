"""How far probabilities can be believed: NLL, Brier score, calibration error, reliability bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.estimate import Estimate
from benchmark.groups import answers
from benchmark.intervals import mean_interval, wilson

Floats = NDArray[np.float64]

# The smallest normal float64; a label probability below it counts as this much in the NLL (at most 708.4).
SMALLEST_PROBABILITY = float(np.finfo(np.float64).tiny)
# Confidences of one bin and one answer that are this close (in bins) are one kind in the ECE's bootstrap.
_CELLS_PER_BIN = 20


def nll(label_probability: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean negative log likelihood in nats; Student-t interval.

    Probabilities below the smallest normal float64 (2.2e-308) count as that, and the method then reads
    ``"student-t, clipped"``: the true value is larger, possibly infinite.

    Args:
        label_probability: float64 (N,), N >= 2, probability of the labelled class.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or values outside [0, 1].

    >>> round(nll([0.5, 0.25]).value, 4)
    1.0397
    """
    p = probabilities(label_probability, "label_probability")
    estimate = mean_interval(-np.log(np.clip(p, SMALLEST_PROBABILITY, 1.0)), level=level)
    method = "student-t, clipped" if (p < SMALLEST_PROBABILITY).any() else "student-t"
    return Estimate(
        value=estimate.value, low=estimate.low, high=estimate.high, level=level, method=method, n=p.size
    )


def brier(
    label_probability: ArrayLike, squared_probability_sum: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Mean Brier score, 0 (best) to 2; Student-t interval.

    The sum over classes of (p_c - y_c)^2 (Brier 1950), not its half and not its mean over classes; equal to
    squared_probability_sum - 2 label_probability + 1.

    Args:
        label_probability: float64 (N,), N >= 2, probability of the labelled class.
        squared_probability_sum: float (N,), sum over classes of the squared probabilities.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or values outside [0, 1].

    >>> round(brier([0.7, 0.2], [0.7**2 + 0.3**2, 0.2**2 + 0.8**2]).value, 4)
    0.73
    """
    p = probabilities(label_probability, "label_probability")
    squares = probabilities(squared_probability_sum, "squared_probability_sum", shape=p.shape)
    return mean_interval(squares - 2 * p + 1, level=level)


def ece(
    confidence: ArrayLike,
    correct: ArrayLike,
    *,
    bins: int = 15,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """Expected calibration error: mean over examples of |accuracy - confidence| of their bin, in [0, 1].

    Bins have equal width and are (low, high]; confidence 0 falls into the first (Guo et al. 2017, ICML). The
    value is the usual plug-in one, which noise within bins biases upward; a plain percentile bootstrap adds
    the same bias once more and never covers the truth of a calibrated model. Here the percentiles are centred
    on the value, and the lower bound is moved down by the largest bias there can be,
    sqrt(2/pi) sum_b sqrt(sum_i (confidence_i - correct_i)^2) / N.

    Args:
        confidence: float (N,), N >= 2, probability of the predicted class.
        correct: bool (N,), whether the prediction is the label.
        bins: number of bins.
        seed, resamples: of the bootstrap; equal seeds give equal intervals.
        level: confidence level in (0, 1).

    Raises:
        ValueError: fewer than two examples, NaN, or confidences outside [0, 1].

    >>> round(ece([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]).value, 4)
    0.1
    """
    p = probabilities(confidence, "confidence")
    right = answers(correct)
    if right.shape != p.shape or p.size < 2 or bins < 1:
        raise ValueError(
            f"an ECE over {bins} bins is not defined for {p.shape} confidences, {right.shape} answers"
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.searchsorted(edges[1:-1], p, side="left")
    within = np.clip((p - edges[which]) * (bins * _CELLS_PER_BIN), 0, _CELLS_PER_BIN - 1).astype(np.int64)
    cell = (which * _CELLS_PER_BIN + within) * 2 + right
    gap = p - right
    counts = np.bincount(cell, minlength=bins * _CELLS_PER_BIN * 2)
    occupied = np.flatnonzero(counts)
    # What one example of each kind adds to its bin's sum of gaps.
    share = np.bincount(cell, weights=gap, minlength=counts.size)[occupied] / counts[occupied]
    of_bin = occupied // (2 * _CELLS_PER_BIN)
    first = np.flatnonzero(np.r_[True, of_bin[1:] != of_bin[:-1]])
    rng = np.random.default_rng(seed)
    # Not a matrix product: its last bits depend on how many threads the library uses.
    kinds = rng.multinomial(p.size, counts[occupied] / p.size, size=resamples) * share
    drawn = np.add.reduceat(kinds, first, axis=1)
    errors = np.abs(drawn).sum(axis=1) / p.size
    tail = (1 - level) / 2
    below, above = np.quantile(errors, [tail, 1 - tail]) - errors.mean()
    value = float(np.abs(np.bincount(which, weights=gap)).sum() / p.size)
    bias = np.sqrt(2 / np.pi) * np.sqrt(np.bincount(which, weights=gap**2)).sum() / p.size
    low, high = max(0.0, value + min(0.0, below) - bias), min(1.0, value + max(0.0, above))
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        level=level,
        method="bootstrap, centred",
        n=p.size,
    )


def probabilities(values: ArrayLike, name: str, *, shape: tuple[int, ...] | None = None) -> Floats:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1 or not p.size or (shape is not None and p.shape != shape):
        raise ValueError(
            f"{name} must be a row of N >= 1 values{f', {shape}' if shape else ''}, not {p.shape}"
        )
    # Sums of float32 probabilities reach a little above 1.
    if not ((p >= 0) & (p <= 1 + 1e-4)).all():
        raise ValueError(f"{name} must be probabilities in [0, 1] without NaN")
    return p


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Examples of similar confidence.

    Attributes:
        low, high: the bin is (low, high].
        n: examples in it, at least 1.
        confidence: their mean confidence.
        accuracy: with its Wilson interval.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Estimate


def reliability_bins(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15, level: float = 0.95
) -> tuple[ReliabilityBin, ...]:
    """What a reliability diagram shows: the occupied ones of ``bins`` bins of equal width, as in ``ece``.

    Args:
        confidence: float (N,), probability of the predicted class.
        correct: bool (N,), whether the prediction is the label.
        bins: number of bins.
        level: confidence level in (0, 1).

    Raises:
        ValueError: no example, NaN, or confidences outside [0, 1].

    >>> [(one.n, one.accuracy.value) for one in reliability_bins([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0])]
    [(2, 0.5), (2, 1.0)]
    """
    p, right = probabilities(confidence, "confidence"), answers(correct)
    if right.shape != p.shape or bins < 1:
        raise ValueError(f"{p.shape} confidences and {right.shape} answers in {bins} bins do not fit")
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.searchsorted(edges[1:-1], p, side="left")
    return tuple(
        ReliabilityBin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            n=int((which == place).sum()),
            confidence=float(p[which == place].mean()),
            accuracy=wilson(int(right[which == place].sum()), int((which == place).sum()), level=level),
        )
        for place in np.unique(which).tolist()
    )
