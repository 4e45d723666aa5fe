"""The line through baseline models and how far above it a model lies: effective robustness.

Over baseline models a line is fitted through (T(accuracy on the reference), T(accuracy on the shift)) with T
the probit, logit or identity. Effective robustness is the model's accuracy on the shift minus what the line
expects of its reference accuracy, in plain accuracy (Taori et al. 2020, arXiv 2007.00644, Sec. 2; Miller et
al. 2021, arXiv 2107.04649; Cohen-Wang et al. 2024, arXiv 2403.00194, App. B.1.2).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import normal_quantile
from benchmark.lines import BaselineFit
from benchmark.scales import Scale, margin_of
from shifts.errors import ResultsError


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRobustness:
    """Accuracy on a shift minus what the baseline line expects of the reference accuracy.

    Attributes:
        estimate: the difference with its interval, a fraction; n is that of the shift.
        expected: accuracy on the shift that the line expects.
        scale, baseline, r2, n_models: of the fit that was used.
        flags: ``"extrapolated"`` (the reference accuracy lies outside the members' range by more than its
            noise), ``"weak fit"``, ``"negative slope"``, ``"within noise"`` (the interval contains zero, or
            the accuracy lies within the prediction interval of the line).
    """

    estimate: Estimate
    expected: float
    scale: Scale
    baseline: str | None
    r2: float
    n_models: int
    flags: tuple[str, ...]

    @property
    def value(self) -> float:
        """The difference in accuracy."""
        return self.estimate.value

    @property
    def low(self) -> float:
        """Lower bound."""
        return self.estimate.low

    @property
    def high(self) -> float:
        """Upper bound."""
        return self.estimate.high

    def to_json(self) -> dict[str, Any]:
        """The estimate's fields and the others side by side."""
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "estimate"}
        return {**self.estimate.to_json(), **rest, "flags": list(self.flags)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EffectiveRobustness:
        """What ``to_json`` wrote.

        Raises:
            ResultsError: a field is missing, unknown or of a wrong kind.
        """
        inner = {field.name for field in dataclasses.fields(Estimate)}
        rest = {name: value for name, value in document.items() if name not in inner}
        estimate = Estimate.from_json({name: value for name, value in document.items() if name in inner})
        try:
            return cls(**{**rest, "estimate": estimate, "flags": tuple(rest["flags"])})
        except (TypeError, KeyError) as error:
            raise ResultsError(f"not an effective robustness: {error}") from error


def effective_robustness(
    fit: BaselineFit,
    reference: Estimate,
    shift: Estimate,
    *,
    model: str | None = None,
    level: float = 0.95,
) -> EffectiveRobustness:
    """How far a model's accuracy on a shift lies above the baseline line.

    The interval combines three sources of noise: that of the accuracy on the shift, that of the reference
    accuracy carried through the line, and that of the line (its confidence band). Each enters with its own,
    possibly lopsided, bounds, which are combined as root sums of squares (Zou and Donner 2008, Statist. Med.
    27); where all bounds are symmetric this is the delta method. The scatter of models around the line is not
    part of it: that is what effective robustness measures. Members measured on the same images share some of
    the noise, which cancels in the difference; the interval does not use that and is on the wide side.

    Args:
        fit: the line.
        reference, shift: the model's accuracies with their intervals, of any level.
        model: its name; a member of the fit is compared with the line through the others.
        level: confidence level in (0, 1).

    Raises:
        FitError: the model is a member and too few others remain.
    """
    if model is not None and any(point.model == model for point in fit.members):
        fit = fit.without(model)
    return above_line(fit, [(reference, shift)], level=level)[0]


def above_line(
    fit: BaselineFit, accuracies: Sequence[tuple[Estimate, Estimate]], *, level: float = 0.95
) -> list[EffectiveRobustness]:
    """Effective robustness of many models that are no members of the fit; the same numbers as one by one.

    Args:
        accuracies: (on the reference, on the shift) of each model.
    """
    found = []
    # The same boundary rule as for the members, by the number of examples of each model.
    margins = [margin_of(reference.n) for reference, _ in accuracies]
    inside = [
        reference.value if fit.scale == "linear" else min(max(reference.value, margin), 1 - margin)
        for (reference, _), margin in zip(accuracies, margins, strict=True)
    ]
    band, more = fit.band(inside, level=level), fit.prediction_interval(inside, level=level)
    ends = [[min(max(end, 0.0), 1.0) for end in _rescaled(reference, level)] for reference, _ in accuracies]
    at_ends = fit.expected(np.reshape(ends, (-1, 2)), n=np.array([[one.n] for one, _ in accuracies]))
    lowest, highest = fit.reference_range
    columns = (band.expected, band.low, band.high, more.low, more.high, at_ends)
    for (reference, shift), expected, line_low, line_high, least, most, carried in zip(
        accuracies, *(column.tolist() for column in columns), strict=True
    ):
        from_reference = [end - expected for end in carried]
        shift_low, shift_high = _rescaled(shift, level)
        value = shift.value - expected
        down = math.hypot(shift.value - shift_low, max(0.0, *from_reference), line_high - expected)
        up = math.hypot(shift_high - shift.value, min(0.0, *from_reference), expected - line_low)
        flags = ["extrapolated"] if reference.low > highest or reference.high < lowest else []
        flags += fit.flags
        if value - down <= 0 <= value + up or least <= shift.value <= most:
            flags.append("within noise")
        found.append(
            EffectiveRobustness(
                estimate=Estimate(
                    value=value, low=value - down, high=value + up, level=level, method="mover", n=shift.n
                ),
                expected=expected,
                scale=fit.scale,
                baseline=fit.baseline,
                r2=fit.r2,
                n_models=fit.n_models,
                flags=tuple(flags),
            )
        )
    return found


def relative_robustness(model: Estimate, base: Estimate, *, level: float = 0.95) -> Estimate:
    """Accuracy of a model on a shift minus that of the model it was made from (Taori et al. 2020, Sec. 2).

    Newcombe's interval, as if the two were measured on different images; with answers per example
    ``intervals.paired_proportions`` is tighter.

    >>> a = Estimate(value=0.6, low=0.5, high=0.7, method="wilson", n=100)
    >>> b = Estimate(value=0.5, low=0.4, high=0.6, method="wilson", n=100)
    >>> round(relative_robustness(a, b).low, 4)
    -0.0414
    """
    (low, high), (base_low, base_high) = _rescaled(model, level), _rescaled(base, level)
    value = model.value - base.value
    return Estimate(
        value=value,
        low=value - math.hypot(model.value - low, base_high - base.value),
        high=value + math.hypot(high - model.value, base.value - base_low),
        level=level,
        method="newcombe",
        n=min(model.n, base.n),
    )


def _rescaled(estimate: Estimate, level: float) -> tuple[float, float]:
    # Bounds of another level, as if they were normal quantiles away from the value.
    if estimate.level == level:
        return estimate.low, estimate.high
    ratio = normal_quantile(level) / normal_quantile(estimate.level)
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return estimate.value - ratio * below, estimate.value + ratio * above
