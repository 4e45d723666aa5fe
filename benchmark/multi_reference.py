"""Effective robustness against several reference sets at once (Shi et al. 2023, arXiv 2302.01381).

A model trained elsewhere may look robust only because the one reference is not its own distribution. Here the
accuracy on the shift is expected from the accuracies on several references together:
T(shift) = b + sum_k a_k T(reference_k), fitted by least squares over models of different training data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.baselines.table import Baseline, MemberRule
from benchmark.estimate import Estimate
from benchmark.intervals import normal_quantile, t_quantile, wilson_bounds
from benchmark.lines import MIN_MODELS
from benchmark.scales import Floats, Scale, from_scale, margin_of, to_scale, transformed
from shifts.errors import FitError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneFit:
    """A plane through baseline models over K references.

    Attributes:
        references, slopes: K names and coefficients on the scale.
        r2, residual_sd: on the scale; the latter with n - K - 1 degrees of freedom.
        residual_sd_accuracy: of accuracy minus expected accuracy, a fraction.
        condition: of the standardised references; above 30 they are nearly one, and the single slopes mean
            nothing.
        members: names of the models.
        inverse: (K + 1, K + 1), the inverse of the design's cross product, for the band.
    """

    references: tuple[str, ...]
    shift: str
    scale: Scale
    slopes: tuple[float, ...]
    intercept: float
    r2: float
    residual_sd: float
    residual_sd_accuracy: float
    condition: float
    members: tuple[str, ...]
    baseline: str | None
    inverse: Floats

    @property
    def n_models(self) -> int:
        """Models the plane goes through."""
        return len(self.members)

    def expected(self, accuracies: Mapping[str, float], *, level: float = 0.95) -> Estimate:
        """Accuracy on the shift that the plane expects, with the confidence band of the mean plane.

        Args:
            accuracies: reference → accuracy, a fraction; one for every reference.
            level: confidence level in (0, 1).

        Raises:
            FitError: a reference is missing.
        """
        missing = [name for name in self.references if name not in accuracies]
        if missing:
            raise FitError(f"the plane needs the accuracy on {', '.join(missing)}", hint="evaluate it, too")
        values = np.array([accuracies[name] for name in self.references])
        row = np.concatenate([[1.0], to_scale(values, self.scale, margin=margin_of(None))])
        y = float(row @ np.array([self.intercept, *self.slopes]))
        degrees = self.n_models - len(self.references) - 1
        half = t_quantile(level, degrees) * self.residual_sd * math.sqrt(float(row @ self.inverse @ row))
        low, value, high = (float(from_scale(np.array(end), self.scale)) for end in (y - half, y, y + half))
        return Estimate(
            value=value, low=low, high=high, level=level, method="confidence band", n=self.n_models
        )

    def above(self, baseline: Baseline, models: Sequence[str]) -> dict[str, Estimate]:
        """Effective robustness against the plane of a baseline's models that have every accuracy.

        The interval combines the band of the mean plane with the binomial noise of the accuracy on the shift;
        the noise of the references is left out, which matters where they are small sets.

        Args:
            baseline: where the accuracies are looked up.
            models: names; those that lack an accuracy are passed over.
        """
        rows = {(row.model, row.shift): row for row in baseline.rows}
        found = {}
        for model in models:
            if any((model, name) not in rows for name in (*self.references, self.shift)):
                continue
            expected = self.expected({name: rows[model, name].accuracy for name in self.references})
            row = rows[model, self.shift]
            low, high = row.accuracy, row.accuracy
            if row.n is not None:
                low, high = wilson_bounds(row.accuracy, row.n, z=normal_quantile(expected.level))
            value = row.accuracy - expected.value
            found[model] = Estimate(
                value=value,
                low=value - math.hypot(row.accuracy - low, expected.high - expected.value),
                high=value + math.hypot(high - row.accuracy, expected.value - expected.low),
                level=expected.level,
                method="mover",
                n=row.n or self.n_models,
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "references": list(self.references),
            "shift": self.shift,
            "scale": self.scale,
            "slopes": list(self.slopes),
            "intercept": self.intercept,
            "r2": self.r2,
            "residual_sd": self.residual_sd,
            "residual_sd_accuracy": self.residual_sd_accuracy,
            "condition": self.condition,
            "n_models": self.n_models,
            "baseline": self.baseline,
            "members": list(self.members),
        }


def fit_plane(
    baseline: Baseline,
    *,
    references: Sequence[str],
    shift: str,
    scale: Scale = "probit",
    members: MemberRule | None = None,
) -> PlaneFit:
    """The plane through a baseline's models that have an accuracy on every reference and on the shift.

    Args:
        baseline: of any families: Shi et al. fit over models of different training data.
        references: two names or more.
        shift: name of the shift.
        scale: the accuracies are transformed by it before the fit.
        members: None for all families.

    Raises:
        FitError: fewer models than K + 3, or references that cannot be told apart.
        UnknownNameError: the baseline does not have a set.
    """
    rule = MemberRule() if members is None else members
    axes = {}
    for name in references:
        points = baseline.points(name, shift)
        out = rule.reasons(points)
        axes[name] = {point.model: point for point in points if point.model not in out}
    models = sorted(set.intersection(*(set(axis) for axis in axes.values())))
    if len(models) < max(MIN_MODELS, len(references) + 3):
        raise FitError(
            f"a plane over {len(references)} references needs {len(references) + 3} models or more "
            f"that have all of them and {shift}, not {len(models)}",
            hint="take a baseline with more models, or fewer references",
        )
    columns = [
        transformed([(axis[m].reference_accuracy, axis[m].reference_n) for m in models], scale)
        for axis in axes.values()
    ]
    first = axes[references[0]]
    y = transformed([(first[m].shift_accuracy, first[m].shift_n) for m in models], scale)
    design = np.stack([np.ones(len(models)), *columns], axis=1)
    spread = design[:, 1:] - design[:, 1:].mean(axis=0)
    scales = spread.std(axis=0)
    if (scales < 1e-6).any() or np.linalg.matrix_rank(design) < design.shape[1]:
        raise FitError(
            "the references cannot be told apart over these models",
            hint="leave one reference out, or add models trained on other data",
        )
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    residuals = y - design @ solution
    degrees = len(models) - design.shape[1]
    accuracies = np.array([first[m].shift_accuracy for m in models])
    off = accuracies - from_scale(design @ solution, scale)
    total = float(((y - y.mean()) ** 2).sum())
    return PlaneFit(
        references=tuple(references),
        shift=shift,
        scale=scale,
        slopes=tuple(float(slope) for slope in solution[1:]),
        intercept=float(solution[0]),
        r2=1 - float(residuals @ residuals) / total if total > 0 else 0.0,
        residual_sd=math.sqrt(float(residuals @ residuals) / degrees),
        residual_sd_accuracy=math.sqrt(float(off @ off) / degrees),
        condition=float(np.linalg.cond(spread / scales)),
        members=tuple(models),
        baseline=baseline.identifier,
        inverse=np.linalg.inv(design.T @ design),
    )
