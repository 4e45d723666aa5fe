"""Paired bootstrap of effective robustness: over the images that all models share, and over the models.

The members of a line and the model in question are measured on the same images, so part of their noise is
common and cancels in the difference. Resampling images together for all models keeps that; resampling models
adds the uncertainty of which models there happen to be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchmark.estimate import Estimate
from benchmark.intervals import check_level
from benchmark.scales import Floats, Scale, from_scale, to_scale

# Images are drawn in so many random blocks at most: the spread of 1,000 blocks is that of the images within
# 2 %, and drawing 10,000 images 10,000 times for 200 models would take minutes.
BLOCKS = 1_000
# Above so many, independent Poisson(1) counts stand for draws with replacement (Hanley and MacGibbon 2006,
# Comput. Methods Programs Biomed. 83): accuracies are ratios, so the total need not be fixed.
_POISSON_FROM = 100
_MIN_SPREAD = 1e-9


def paired_effective_robustness(
    reference_correct: ArrayLike,
    shift_correct: ArrayLike,
    *,
    members_reference: ArrayLike,
    members_shift: ArrayLike,
    scale: Scale = "probit",
    resamples: int = 10_000,
    over_models: bool = True,
    blocks: int = BLOCKS,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Effective robustness of one model with its paired bootstrap interval.

    Args:
        reference_correct: bool (N1,), whether the model is right on each image of the reference.
        shift_correct: bool (N2,), on the shift.
        members_reference: bool (M, N1), M >= 4 baseline models on the same images in the same order; the
            model itself is not among them.
        members_shift: bool (M, N2).
        scale: of the line, which is fitted by least squares in every resample.
        resamples: how often to resample.
        over_models: also resample the members (False: the line of exactly these models).
        blocks: images are drawn in this many random blocks of equal size; one by one where they are fewer.
        seed: of the generator; equal seeds give equal intervals.
        level: confidence level in (0, 1).

    Returns:
        The difference in accuracy with its percentile interval, centred on the value; n is that of the shift.

    Raises:
        ValueError: shapes that do not fit, fewer than four members, or no spread among them.
    """
    rng = np.random.default_rng(seed)
    sets = [
        _stacked(reference_correct, members_reference, "reference"),
        _stacked(shift_correct, members_shift, "shift"),
    ]
    if len(sets[0]) != len(sets[1]) or len(sets[0]) < 5:
        raise ValueError(f"{len(sets[0]) - 1} and {len(sets[1]) - 1} members; a line needs four or more")
    whole = [right.mean(axis=1, keepdims=True) for right in sets]
    sizes = [right.shape[1] for right in sets]
    weights = np.ones((len(sets[0]) - 1, 1), dtype=np.float32)
    value = float(_differences(whole[0], whole[1], weights, scale=scale, sizes=sizes)[0])
    drawn = [resampled_accuracies(right, resamples=resamples, blocks=blocks, rng=rng) for right in sets]
    if over_models:
        weights = draws(len(sets[0]) - 1, resamples, rng).T
    differences = _differences(drawn[0], drawn[1], weights, scale=scale, sizes=sizes)
    differences = differences[np.isfinite(differences)]
    if differences.size < 0.95 * resamples:
        raise ValueError("too many resamples have members of one and the same accuracy: no line")
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Estimate(
        value=value,
        low=min(value, float(low)),
        high=max(value, float(high)),
        level=level,
        method="paired bootstrap",
        n=sizes[1],
    )


def _stacked(model: ArrayLike, members: ArrayLike, name: str) -> NDArray[np.bool_]:
    own, others = np.asarray(model, dtype=bool), np.asarray(members, dtype=bool)
    if own.ndim != 1 or others.ndim != 2 or others.shape[1:] != own.shape or not own.size:
        raise ValueError(f"on the {name}, answers {own.shape} and members' answers {others.shape} do not fit")
    return np.concatenate([own[None], others])


def resampled_accuracies(
    right: NDArray[np.bool_], *, resamples: int, blocks: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Accuracies (M, R) of M models on resampled images, the same draw for all of them.

    Args:
        right: bool (M, N), whether each model is right on each image.
        resamples: R.
        blocks: images are drawn in this many random blocks of equal size; one by one where they are fewer.
        rng: the generator.
    """
    n = right.shape[1]
    count = min(n, blocks)
    # A random image per block at first; the blocks then differ in size by one image at most.
    order = rng.permutation(n)
    edges = np.linspace(0, n, count + 1).astype(np.int64)[:-1]
    sums = np.add.reduceat(right[:, order], edges, axis=1, dtype=np.float32)
    sizes = np.diff(np.append(edges, n)).astype(np.float32)
    weights = draws(count, resamples, rng) if count < _POISSON_FROM else _poisson(count, resamples, rng)
    accuracies: NDArray[np.float32] = (sums @ weights.T) / (weights @ sizes)
    return accuracies


def draws(count: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each of ``count`` things is drawn among ``count`` draws with replacement, (R, count)."""
    picks = rng.integers(0, count, size=(resamples, count), dtype=np.int32)
    picks += np.arange(resamples, dtype=np.int32)[:, None] * count
    times = np.bincount(picks.ravel(), minlength=resamples * count)
    return times.astype(np.float32).reshape(resamples, count)


def _poisson(count: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Poisson(1) counts (R, count), from 16 random bits each by the inverse distribution function."""
    steps = (np.arange(65536) + 0.5) / 65536
    quantiles = np.searchsorted(special.pdtr(np.arange(12), 1.0), steps).astype(np.float32)
    return quantiles[rng.integers(0, 65536, size=(resamples, count), dtype=np.uint16)]


def _differences(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    weights: NDArray[np.float32],
    *,
    scale: Scale,
    sizes: list[int],
) -> Floats:
    """Effective robustness (R,) of the first of M + 1 models against the weighted line through the others."""
    on_x = _scaled(x, scale, 0.5 / sizes[0])
    on_y = _scaled(y[1:], scale, 0.5 / sizes[1])
    total = weights.sum(axis=0)
    members = on_x[1:]

    def mean(values: NDArray[np.floating]) -> Floats:
        summed: Floats = np.einsum("mr,mr->r", weights, values, dtype=np.float64) / total
        return summed

    mean_x, mean_y = mean(members), mean(on_y)
    centred = members - mean_x.astype(np.float32)
    weighted = centred * weights
    spread = np.einsum("mr,mr->r", weighted, centred, dtype=np.float64)
    slope = np.where(spread > _MIN_SPREAD, np.einsum("mr,mr->r", weighted, on_y, dtype=np.float64), np.nan)
    slope = slope / np.maximum(spread, _MIN_SPREAD)
    expected = from_scale(mean_y + slope * (on_x[0] - mean_x), scale)
    return np.asarray(y[0] - expected, dtype=np.float64)


def _scaled(accuracy: NDArray[np.floating], scale: Scale, margin: float) -> NDArray[np.float32]:
    """Accuracies on the scale in single precision: 1e-7 of an accuracy is far below any noise here."""
    return to_scale(np.asarray(accuracy, dtype=np.float32), scale, margin=np.float32(margin)).astype(
        np.float32
    )
