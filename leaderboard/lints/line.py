"""An accuracy on a shift that no model with this reference accuracy has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit
from benchmark.scales import to_scale
from leaderboard.lints import Case, Finding
from leaderboard.ranking import line
from shifts.errors import FitError

DEVIATIONS = 5.0


def far_from_the_line(case: Case) -> Iterator[Finding]:
    """Residual from the baseline line in standard deviations: of the line's residuals and the sampling noise.

    A model of a kind that the line has not seen (zero-shot, far more data) may well be there; then that is
    the reason to give.
    """
    accuracies = {one.spec.name: one.metrics.metrics["accuracy"] for one in case.scored}
    for one in case.scored:
        reference = accuracies.get(one.spec.reference or "")
        own = accuracies[one.spec.name]
        if reference is None or own is None or one.spec.reference is None:
            continue
        fit = line(one.spec.reference, one.spec.name)
        if isinstance(fit, str) or fit.flags:
            continue  # a weak line says nothing
        with suppress(ValueError, FitError):  # not a member, or too few others
            fit = fit.without(case.manifest.model.name)
        away = residual(fit, reference, own)
        yield Finding(
            shift=one.spec.name,
            value=away,
            threshold=DEVIATIONS,
            flagged=abs(away) > DEVIATIONS,
            reason=f"accuracy {own.value:.1%}, where the line through {fit.n_models} models expects "
            f"{fit.expected(reference.value):.1%} of a reference accuracy of {reference.value:.1%} "
            f"({away:+.1f} standard deviations; family {case.manifest.model.family})",
        )


def residual(fit: BaselineFit, reference: Estimate, own: Estimate) -> float:
    """How many standard deviations an accuracy lies above the line, on the line's scale."""
    x, x_noise = _on_scale(reference, fit)
    y, y_noise = _on_scale(own, fit)
    spread = math.hypot(fit.residual_sd, fit.slope * x_noise, y_noise)
    return (y - fit.intercept - fit.slope * x) / spread


def _on_scale(estimate: Estimate, fit: BaselineFit) -> tuple[float, float]:
    """An accuracy on the line's scale, kept off 0 and 1, and its standard error there."""
    inner = 0.5 / estimate.n
    value = min(max(estimate.value, inner), 1 - inner)
    step = min(value, 1 - value) / 10
    low, middle, high = to_scale(np.array([value - step, value, value + step]), fit.scale).tolist()
    error = math.sqrt(value * (1 - value) / estimate.n)
    return middle, error * (high - low) / (2 * step)
