"""Where a baseline's other models stand against its line, and what to say about a line before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.diagnostics import KneeTest, influences, knee_test
from benchmark.estimate import Estimate
from benchmark.intervals import mean_interval, normal_quantile, wilson_bounds
from benchmark.lines import WEAK_R2, BaselineFit, BaselinePoint
from benchmark.robustness import EffectiveRobustness, effective_robustness
from shifts.errors import FitError

# Evidence for a knee that is called very strong (Kass and Raftery 1995, JASA 90).
STRONG_BIC = 10.0
# Where the publisher does not say n, an accuracy is taken as known.
KNOWN = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Effective robustness of several models on one shift.

    Attributes:
        models: (model, effective robustness) pairs, the highest first.
        mean: over the models, with a Student-t interval of their scatter; None for a single model.
    """

    models: tuple[tuple[str, EffectiveRobustness], ...]
    mean: Estimate | None

    @property
    def highest(self) -> tuple[str, EffectiveRobustness]:
        """The model that lies highest above the line."""
        return self.models[0]

    def to_json(self) -> dict[str, Any]:
        """``{"n_models", "mean", "highest", "models"}``."""
        rows = [{"model": model, **one.to_json()} for model, one in self.models]
        mean = None if self.mean is None else self.mean.to_json()
        return {"n_models": len(rows), "mean": mean, "highest": rows[0], "models": rows}


def standing(fit: BaselineFit, points: Iterable[BaselinePoint], *, level: float = 0.95) -> Standing:
    """Effective robustness of models whose accuracies are published.

    Args:
        fit: the line; a model that is a member is compared with the line through the others.
        points: the models.
        level: confidence level in (0, 1).

    Raises:
        FitError: no model.
    """
    found = [
        (
            point.model,
            effective_robustness(
                fit,
                _published(point.reference_accuracy, point.reference_n, level),
                _published(point.shift_accuracy, point.shift_n, level),
                model=point.model,
                level=level,
            ),
        )
        for point in points
    ]
    if not found:
        raise FitError("no such model has both accuracies", hint="robustbench-shift baselines NAME")
    found.sort(key=lambda pair: (-pair[1].value, pair[0]))
    values = [one.value for _, one in found]
    mean = mean_interval(values, level=level) if len(values) > 1 else None
    return Standing(models=tuple(found), mean=mean)


def _published(accuracy: float, n: int | None, level: float) -> Estimate:
    if n is None:
        return Estimate(value=accuracy, low=accuracy, high=accuracy, level=level, method="given", n=KNOWN)
    low, high = wilson_bounds(accuracy, n, z=normal_quantile(level))
    return Estimate(
        value=accuracy, low=min(low, accuracy), high=max(high, accuracy), level=level, method="wilson", n=n
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a reader of a line should know.

    Attributes:
        knee: one line against two, or None with too few members.
        high_leverage: members that hold the line more than the others do (leverage above 4/n).
        slope_range: the slopes that leaving out one member gives, lowest and highest; None with four members.
        advice: sentences: what to report instead, what to look at.
    """

    knee: KneeTest | None
    high_leverage: tuple[str, ...]
    slope_range: tuple[float, float] | None
    advice: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        knee = None
        if self.knee is not None:
            knee = {name: getattr(self.knee, name) for name in KneeTest.__slots__}
        return {
            "knee": knee,
            "high_leverage": list(self.high_leverage),
            "slope_range": None if self.slope_range is None else list(self.slope_range),
            "advice": list(self.advice),
        }


def examine(fit: BaselineFit) -> Examination:
    """Look at a line: is it one, is it strong, does it hang on single models?"""
    advice = []
    if fit.r2 < WEAK_R2:
        advice.append(
            f"weak fit: r² {fit.r2:.2f} is below {WEAK_R2:g}, the reference accuracy says little about this "
            "shift; report the accuracies themselves and relative robustness (report --base MODEL) instead"
        )
    if fit.slope < 0:
        advice.append("negative slope: better models do worse here; effective robustness has no meaning")
    try:
        knee = knee_test(fit)
    except FitError:
        knee = None
    if knee is not None and knee.bic_gain > STRONG_BIC:
        advice.append(
            f"a knee at {100 * knee.knee:.1f} % reference accuracy (BIC gain {knee.bic_gain:.0f}): these are "
            "two lines, not one; compare only models on the same side of it"
        )
    heavy: Sequence[str] = ()
    slopes = None
    if fit.n_models > 4:
        pulls = influences(fit)
        heavy = [pull.model for pull in pulls if pull.leverage > 4 / fit.n_models]
        slopes = (min(p.slope_without for p in pulls), max(p.slope_without for p in pulls))
    noise = _sampling_noise(fit)
    if noise is not None and fit.residual_sd_accuracy < 1.5 * noise:
        advice.append(
            f"the models scatter around the line by {100 * fit.residual_sd_accuracy:.2f} points, little more "
            f"than the {100 * noise:.2f} points of the test sets' sampling noise: an effective robustness "
            f"below {200 * fit.residual_sd_accuracy:.1f} points means nothing here"
        )
    return Examination(knee=knee, high_leverage=tuple(heavy), slope_range=slopes, advice=tuple(advice))


def _sampling_noise(fit: BaselineFit) -> float | None:
    """Typical binomial standard deviation of accuracy minus expected accuracy; None where n is unknown."""
    variances = []
    for point in fit.members:
        if point.shift_n is None or point.reference_n is None:
            return None
        x, y, step = point.reference_accuracy, point.shift_accuracy, 1e-4
        inside = min(max(x, step), 1 - step)
        ahead, behind = fit.expected(inside + step), fit.expected(inside - step)
        steepness = (ahead - behind) / (2 * step)
        variances.append(y * (1 - y) / point.shift_n + steepness**2 * x * (1 - x) / point.reference_n)
    return math.sqrt(float(np.mean(variances)))
