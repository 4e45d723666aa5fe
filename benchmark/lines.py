"""The line through baseline models on the probit, logit or linear scale, and its bands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.intervals import t_quantile
from benchmark.scales import UNKNOWN_N_MARGIN, Floats, Scale, from_scale, margin_of, to_scale, transformed
from shifts.errors import FitError

Counts = NDArray[np.int64]
Method = Literal["least-squares", "theil-sen"]

MIN_MODELS = 4
WEAK_R2 = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePoint:
    """A baseline model's two accuracies.

    Attributes:
        reference_accuracy, shift_accuracy: fractions in [0, 1].
        reference_n, shift_n: examples behind each, or None where the publisher does not say.
        family: as in ``ModelSpec``.

    Raises:
        ValueError: an accuracy outside [0, 1] (percent?) or NaN, or a number of examples below 1.
    """

    model: str
    reference_accuracy: float
    reference_n: int | None
    shift_accuracy: float
    shift_n: int | None
    family: str

    def __post_init__(self) -> None:
        for accuracy in (self.reference_accuracy, self.shift_accuracy):
            if not 0 <= accuracy <= 1:
                raise ValueError(f"{self.model}: accuracy {accuracy} is not a fraction in [0, 1]")
        for n in (self.reference_n, self.shift_n):
            if n is not None and n < 1:
                raise ValueError(f"{self.model}: an accuracy over {n} examples")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A model that is not part of the line, and why."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """The line and its bounds at some reference accuracies; arrays of one shape, accuracies in [0, 1].

    Attributes:
        kind: ``"confidence"`` (where the mean line lies) or ``"prediction"`` (where one more baseline
            model would lie; wider).
    """

    accuracy: Floats
    expected: Floats
    low: Floats
    high: Floats
    level: float
    kind: Literal["confidence", "prediction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFit:
    """A line through baseline models.

    Attributes:
        slope, intercept: of the line on the scale.
        r2: coefficient of determination on the scale; 0 where all shift accuracies are equal.
        residual_sd: on the scale, with n_models - 2 degrees of freedom (Theil-Sen: 1.4826 times the median
            absolute residual).
        residual_sd_accuracy: of accuracy minus expected accuracy, a fraction, n_models - 2 degrees of
            freedom.
        x_mean, sxx: mean and sum of squared deviations of the members' reference accuracies on the scale.
        members: the points the line goes through.
        excluded: the others, with the reason.
        boundary_rule: what was done to accuracies of 0 and 1, in words.
        baseline: name with version of the published baseline, or None for points of one's own.
    """

    reference: str
    shift: str
    scale: Scale
    method: Method
    slope: float
    intercept: float
    r2: float
    residual_sd: float
    residual_sd_accuracy: float
    x_mean: float
    sxx: float
    members: tuple[BaselinePoint, ...]
    excluded: tuple[Excluded, ...]
    boundary_rule: str
    baseline: str | None

    @property
    def n_models(self) -> int:
        """Models the line goes through."""
        return len(self.members)

    @property
    def flags(self) -> tuple[str, ...]:
        """``"weak fit"`` when r2 < 0.7, ``"negative slope"`` when better models do worse on the shift."""
        weak = ("weak fit",) if self.r2 < WEAK_R2 else ()
        return (*weak, "negative slope") if self.slope < 0 else weak

    @property
    def reference_range(self) -> tuple[float, float]:
        """Lowest and highest reference accuracy among the members."""
        accuracies = [point.reference_accuracy for point in self.members]
        return min(accuracies), max(accuracies)

    @overload
    def expected(self, accuracy: float, *, n: int | None = None) -> float: ...

    @overload
    def expected(self, accuracy: Floats, *, n: int | Counts | None = None) -> Floats: ...

    def expected(self, accuracy: float | Floats, *, n: int | Counts | None = None) -> float | Floats:
        """Accuracy on the shift that the line expects.

        Args:
            accuracy: reference accuracy, a number or an array of any shape, fractions in [0, 1].
            n: examples behind it, for the boundary rule; one number, or int64 of a shape that fits.

        Returns:
            A float for a number, else float64 of the same shape.

        Raises:
            ValueError: an accuracy outside [0, 1], or NaN.
        """
        y = self.intercept + self.slope * self._x(accuracy, n)
        result = from_scale(y, self.scale)
        return float(result) if result.ndim == 0 else result

    def band(self, accuracy: ArrayLike, *, level: float = 0.95) -> Band:
        """Confidence band of the mean line (Student t): where the line itself lies, not where models lie.

        Half-width on the scale: t s sqrt(1/n + (x - mean)^2 / sxx); bounds mapped back to accuracies. For
        Theil-Sen it is approximate, widened by its asymptotic efficiency 3/pi (Sen 1968, JASA 63).
        """
        return self._bounds(accuracy, level=level, kind="confidence")

    def prediction_interval(self, accuracy: ArrayLike, *, level: float = 0.95) -> Band:
        """Where one more baseline model would lie: t s sqrt(1 + 1/n + (x - mean)^2 / sxx) on the scale."""
        return self._bounds(accuracy, level=level, kind="prediction")

    def without(self, model: str) -> BaselineFit:
        """The line through the other members.

        Raises:
            ValueError: the model is not a member.
            FitError: fewer than four members remain, or no spread among them.
        """
        others = [point for point in self.members if point.model != model]
        if len(others) == len(self.members):
            raise ValueError(f"{model!r} is not a member of the fit")
        fit = fit_baseline(
            others,
            reference=self.reference,
            shift=self.shift,
            scale=self.scale,
            method=self.method,
            baseline=self.baseline,
        )
        left_out = Excluded(model=model, reason="left out")
        return dataclasses.replace(fit, excluded=(*self.excluded, left_out))

    def to_json(self, *, level: float = 0.95, band_points: int = 21) -> dict[str, Any]:
        """The fit as plain JSON values; the band is sampled over the members' range."""
        low, high = (
            to_scale(np.array(end), self.scale, margin=margin_of(None)) for end in self.reference_range
        )
        accuracy = from_scale(np.linspace(low, high, band_points), self.scale)
        confidence = self.band(accuracy, level=level)
        prediction = self.prediction_interval(accuracy, level=level)
        return {
            "reference": self.reference,
            "shift": self.shift,
            "scale": self.scale,
            "method": self.method,
            "slope": self.slope,
            "intercept": self.intercept,
            "r2": self.r2,
            "residual_sd": self.residual_sd,
            "residual_sd_accuracy": self.residual_sd_accuracy,
            "n_models": self.n_models,
            "baseline": self.baseline,
            "boundary_rule": self.boundary_rule,
            "reference_range": list(self.reference_range),
            "band": {
                "level": level,
                "accuracy": accuracy.tolist(),
                "expected": confidence.expected.tolist(),
                "low": confidence.low.tolist(),
                "high": confidence.high.tolist(),
                "prediction_low": prediction.low.tolist(),
                "prediction_high": prediction.high.tolist(),
            },
            "members": [dataclasses.asdict(point) for point in self.members],
            "excluded": [dataclasses.asdict(excluded) for excluded in self.excluded],
            "flags": list(self.flags),
        }

    def _x(self, accuracy: ArrayLike, n: int | Counts | None) -> Floats:
        x = np.asarray(accuracy, dtype=np.float64)
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError("accuracies must be fractions in [0, 1] without NaN")
        return to_scale(x, self.scale, margin=margin_of(n))

    def _bounds(
        self, accuracy: ArrayLike, *, level: float, kind: Literal["confidence", "prediction"]
    ) -> Band:
        x = self._x(accuracy, None)
        y = self.intercept + self.slope * x
        efficiency = 3 / math.pi if self.method == "theil-sen" else 1.0
        # Powers of plain numbers: NumPy's of an array may differ from that of a number in the last bit.
        squares = np.reshape([distance**2 for distance in np.ravel(x - self.x_mean).tolist()], x.shape)
        variance = (1 / self.n_models + squares / self.sxx) / efficiency
        variance = variance + 1 if kind == "prediction" else variance
        half = t_quantile(level, self.n_models - 2) * self.residual_sd * np.sqrt(variance)
        return Band(
            accuracy=np.asarray(accuracy, dtype=np.float64),
            expected=from_scale(y, self.scale),
            low=from_scale(y - half, self.scale),
            high=from_scale(y + half, self.scale),
            level=level,
            kind=kind,
        )


def fit_baseline(
    points: Sequence[BaselinePoint],
    *,
    reference: str,
    shift: str,
    scale: Scale = "probit",
    method: Method = "least-squares",
    min_reference_accuracy: float | None = None,
    exclude: Mapping[str, str] | None = None,
    baseline: str | None = None,
) -> BaselineFit:
    """Fit the line through baseline models; every model counts the same.

    Args:
        points: one per model.
        reference, shift: names, for the record.
        scale: the accuracies are transformed by it before the fit.
        method: ``"theil-sen"`` takes medians of pairwise slopes and is not drawn by single odd models.
        min_reference_accuracy: models below it stay out.
        exclude: model → reason, for models that stay out.
        baseline: name with version, for the record.

    Raises:
        FitError: fewer than four models, or no spread in their reference accuracies.
        ValueError: an unknown scale or method, or a model that appears twice.

    >>> points = [
    ...     BaselinePoint(model=f"m{i}", reference_accuracy=0.1 * i, reference_n=None,
    ...                   shift_accuracy=0.08 * i - 0.01, shift_n=None, family="standard")
    ...     for i in range(2, 9)
    ... ]
    >>> fit = fit_baseline(points, reference="val", shift="new", scale="linear")
    >>> round(fit.slope, 6), round(fit.intercept, 6), round(fit.expected(0.5), 6)
    (0.8, -0.01, 0.39)
    """
    if scale not in get_args(Scale) or method not in get_args(Method):
        raise ValueError(f"no scale {scale!r} or no method {method!r}")
    if len({point.model for point in points}) < len(points):
        raise ValueError("a model appears twice among the points")
    reasons = dict(exclude or {})
    if min_reference_accuracy is not None:
        for point in points:
            if point.reference_accuracy < min_reference_accuracy:
                below = f"reference accuracy {point.reference_accuracy:.4f} below {min_reference_accuracy:g}"
                reasons.setdefault(point.model, below)
    members = tuple(point for point in points if point.model not in reasons)
    if len(members) < MIN_MODELS:
        raise FitError(
            f"a line from {reference} to {shift} needs {MIN_MODELS} baseline models or more, "
            f"not {len(members)} ({len(points) - len(members)} excluded)",
            hint="evaluate more models on both, exclude fewer, or choose another baseline",
        )
    x = transformed([(point.reference_accuracy, point.reference_n) for point in members], scale)
    y = transformed([(point.shift_accuracy, point.shift_n) for point in members], scale)
    x_mean, sxx = float(x.mean()), float(((x - x.mean()) ** 2).sum())
    if np.ptp(x) < 1e-6:
        raise FitError(
            f"the {len(members)} baseline models have one and the same accuracy on {reference}",
            hint="a line needs models of different accuracy: add weaker and stronger ones",
        )
    if method == "theil-sen":
        slope = float(np.median(pair_slopes(x, y)[0]))
        intercept = float(np.median(y - slope * x))
    else:
        slope = float((x - x_mean) @ (y - y.mean())) / sxx
        intercept = float(y.mean()) - slope * x_mean
    residuals = y - intercept - slope * x
    degrees = len(members) - 2
    total = float(((y - y.mean()) ** 2).sum())
    if method == "theil-sen":
        residual_sd = 1.4826 * float(np.median(np.abs(residuals))) * math.sqrt(len(members) / degrees)
    else:
        residual_sd = math.sqrt(float(residuals @ residuals) / degrees)
    accuracies = np.array([point.shift_accuracy for point in members])
    off = accuracies - from_scale(intercept + slope * x, scale)
    return BaselineFit(
        reference=reference,
        shift=shift,
        scale=scale,
        method=method,
        slope=slope,
        intercept=intercept,
        r2=1 - float(residuals @ residuals) / total if total > 0 else 0.0,
        residual_sd=residual_sd,
        residual_sd_accuracy=math.sqrt(float(off @ off) / degrees),
        x_mean=x_mean,
        sxx=sxx,
        members=members,
        excluded=tuple(
            Excluded(model=point.model, reason=reasons[point.model])
            for point in points
            if point.model in reasons
        ),
        boundary_rule=_boundary_rule(members, scale),
        baseline=baseline,
    )


def coordinates(fit: BaselineFit) -> tuple[Floats, Floats]:
    """Reference and shift accuracies of the members on the fit's scale, float64 (M,) each."""
    x = transformed([(point.reference_accuracy, point.reference_n) for point in fit.members], fit.scale)
    return x, transformed([(point.shift_accuracy, point.shift_n) for point in fit.members], fit.scale)


def pair_slopes(x: Floats, y: Floats) -> tuple[Floats, Counts, Counts]:
    """Slopes of the P pairs of points of different x, float64 (P,), and the rows of each pair's points."""
    first, second = np.triu_indices(len(x), k=1)
    apart = x[first] != x[second]
    first, second = first[apart], second[apart]
    return (y[second] - y[first]) / (x[second] - x[first]), first, second


def _boundary_rule(members: Sequence[BaselinePoint], scale: Scale) -> str:
    if scale == "linear":
        return "none needed on the linear scale"
    pairs = [(point.reference_accuracy, point.reference_n) for point in members]
    pairs += [(point.shift_accuracy, point.shift_n) for point in members]
    accuracy = np.array([pair[0] for pair in pairs])
    margin = np.array([UNKNOWN_N_MARGIN if n is None else 0.5 / n for _, n in pairs])
    moved = int(((accuracy < margin) | (accuracy > 1 - margin)).sum())
    return (
        "accuracies are kept within [0.5/n, 1 - 0.5/n], or within "
        f"[{UNKNOWN_N_MARGIN:g}, {1 - UNKNOWN_N_MARGIN:g}] where n is unknown; {moved} moved"
    )
