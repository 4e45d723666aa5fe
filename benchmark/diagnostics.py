"""Whether a line deserves its trust: the pull of single members, and one line against two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from benchmark.lines import MIN_MODELS, BaselineFit, coordinates, pair_slopes
from benchmark.scales import Floats, from_scale
from shifts.errors import FitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How much one member pulls at the line.

    Attributes:
        leverage: 1/n + (x - mean)^2 / sxx, between 1/n and 1; they sum to 2. Above 4/n is high.
        residual: on the scale.
        slope_without: slope of the line through the other members.
    """

    model: str
    leverage: float
    residual: float
    slope_without: float


def influences(fit: BaselineFit) -> tuple[Influence, ...]:
    """Leverage, residual and leave-one-out slope of every member, in the order of the members.

    Raises:
        FitError: the fit has only four members, so none can be left out.
    """
    if fit.n_models <= MIN_MODELS:
        raise FitError(
            f"no member of a line through {fit.n_models} models can be left out",
            hint="evaluate more models on both",
        )
    x, y = coordinates(fit)
    leverage = 1 / fit.n_models + (x - fit.x_mean) ** 2 / fit.sxx
    residual = y - fit.intercept - fit.slope * x
    if fit.method == "theil-sen":
        slopes = _medians_without(x, y)
    else:
        slopes = _slopes_without(fit, x, leverage, residual)
    return tuple(
        Influence(model=point.model, leverage=one, residual=rest, slope_without=slope)
        for point, one, rest, slope in zip(
            fit.members, leverage.tolist(), residual.tolist(), slopes.tolist(), strict=True
        )
    )


def _slopes_without(fit: BaselineFit, x: Floats, leverage: Floats, residual: Floats) -> Floats:
    """Least-squares slope without each member (Cook and Weisberg 1982, section 2.2), float64 (M,).

    It is slope - (x - mean) residual / (sxx (1 - leverage)). Leverages sum to 2, so three members at most
    have more than 1/2: they are left out in earnest, where the formula would divide by next to nothing.
    """
    heavy = leverage > 0.5
    change = (x - fit.x_mean) * residual / (fit.sxx * np.where(heavy, 1.0, 1 - leverage))
    slopes: Floats = fit.slope - change
    for row in np.flatnonzero(heavy).tolist():
        slopes[row] = fit.without(fit.members[row].model).slope
    return slopes


def _medians_without(x: Floats, y: Floats) -> Floats:
    """Median slope of the pairs that lack each member, float64 (M,), from one sort of all slopes."""
    slopes, first, second = pair_slopes(x, y)
    order = np.argsort(slopes, kind="stable")
    slopes = slopes[order]
    # Each member's pairs by their places among the sorted slopes: all of them in one array, cut at starts.
    owner = np.stack([first[order], second[order]], axis=1).ravel()
    places = np.argsort(owner, kind="stable") // 2
    starts = np.searchsorted(np.sort(owner), np.arange(x.size + 1))
    medians = np.empty_like(x)
    for row in range(x.size):
        gone = places[starts[row] : starts[row + 1]]
        # How many of the remaining slopes lie before each one that is gone; it never falls.
        before = gone - np.arange(gone.size)
        left = slopes.size - gone.size
        middle = np.array([(left - 1) // 2, left // 2])
        medians[row] = slopes[middle + np.searchsorted(before, middle, side="right")].mean()
    return medians


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeTest:
    """One line against two that meet at a knee.

    Attributes:
        knee: reference accuracy where the two best lines meet.
        slope_below, slope_above: on the scale.
        f, p_value: F test with 2 and n - 4 degrees of freedom; the knee is searched for, so the p-value is
            approximate and somewhat too small.
        bic_gain: BIC of one line minus BIC of two; above 10 the evidence for a knee is very strong.
    """

    knee: float
    slope_below: float
    slope_above: float
    f: float
    p_value: float
    bic_gain: float


def knee_test(fit: BaselineFit, *, min_side: int = 3) -> KneeTest:
    """Whether two lines that meet describe the members better than one (as on ImageNet-A).

    Args:
        fit: its members and scale are used, by least squares.
        min_side: members on either side of the knee at least.

    Raises:
        FitError: too few members for two lines.
    """
    x, y = coordinates(fit)
    inside = np.unique(x)
    inside = inside[[(x <= k).sum() >= min_side and (x >= k).sum() >= min_side for k in inside]]
    n = x.size
    if n < 2 * min_side or n < 6 or not inside.size:
        raise FitError(
            f"a knee needs {max(6, 2 * min_side)} baseline models of different accuracy, not {n}",
            hint="evaluate more models on both",
        )
    ones = np.ones_like(x)

    def squares(*columns: Floats) -> tuple[float, Floats]:
        design = np.stack(columns, axis=1)
        solution: Floats = np.linalg.lstsq(design, y, rcond=None)[0].astype(np.float64)
        rest = y - design @ solution
        return float(rest @ rest), solution

    one, _ = squares(ones, x)
    grid = np.linspace(inside[0], inside[-1], 101)
    fits = [(*squares(ones, x, np.maximum(x - k, 0.0)), float(k)) for k in grid]
    two, solution, knee = min(fits, key=lambda found: found[0])
    floor = np.finfo(np.float64).eps * max(float(y @ y), 1e-300)
    f = max(0.0, (one - two) / 2 / (max(two, floor) / (n - 4)))
    return KneeTest(
        knee=float(from_scale(np.array(knee), fit.scale)),
        slope_below=float(solution[1]),
        slope_above=float(solution[1] + solution[2]),
        f=f,
        p_value=float(special.fdtrc(2, n - 4, f)),
        bic_gain=n * math.log(max(one, floor) / max(two, floor)) - 2 * math.log(n),
    )
