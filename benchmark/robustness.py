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
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from benchmark.estimate import Estimate
from benchmark.intervals import normal_quantile, t_quantile
from shifts.errors import FitError, ResultsError

Floats = NDArray[np.float64]
Scale = Literal["probit", "logit", "linear"]
Method = Literal["least-squares", "theil-sen"]

MIN_MODELS = 4
WEAK_R2 = 0.7
# Where the number of examples is unknown, accuracies of 0 and 1 move this far inside.
UNKNOWN_N_MARGIN = 1e-4


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
    def expected(self, accuracy: Floats, *, n: int | None = None) -> Floats: ...

    def expected(self, accuracy: float | Floats, *, n: int | None = None) -> float | Floats:
        """Accuracy on the shift that the line expects.

        Args:
            accuracy: reference accuracy, a number or an array of any shape, fractions in [0, 1].
            n: examples behind it, for the boundary rule.

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
            to_scale(np.array(end), self.scale, margin=_margin(None)) for end in self.reference_range
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

    def _x(self, accuracy: ArrayLike, n: int | None) -> Floats:
        x = np.asarray(accuracy, dtype=np.float64)
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError("accuracies must be fractions in [0, 1] without NaN")
        return to_scale(x, self.scale, margin=_margin(n))

    def _bounds(
        self, accuracy: ArrayLike, *, level: float, kind: Literal["confidence", "prediction"]
    ) -> Band:
        x = self._x(accuracy, None)
        y = self.intercept + self.slope * x
        efficiency = 3 / math.pi if self.method == "theil-sen" else 1.0
        variance = (1 / self.n_models + (x - self.x_mean) ** 2 / self.sxx) / efficiency
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
    x = _transformed([(point.reference_accuracy, point.reference_n) for point in members], scale)
    y = _transformed([(point.shift_accuracy, point.shift_n) for point in members], scale)
    x_mean, sxx = float(x.mean()), float(((x - x.mean()) ** 2).sum())
    if np.ptp(x) < 1e-6:
        raise FitError(
            f"the {len(members)} baseline models have one and the same accuracy on {reference}",
            hint="a line needs models of different accuracy: add weaker and stronger ones",
        )
    if method == "theil-sen":
        first, second = np.triu_indices(len(x), k=1)
        apart = x[first] != x[second]
        rise, run = (y[second] - y[first])[apart], (x[second] - x[first])[apart]
        slope = float(np.median(rise / run))
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
    # The same boundary rule as for the members, by the number of examples of this model.
    inner, outer = _margin(reference.n), 1 - _margin(reference.n)
    accuracy = reference.value if fit.scale == "linear" else min(max(reference.value, inner), outer)
    band = fit.band(accuracy, level=level)
    expected, line_low, line_high = float(band.expected), float(band.low), float(band.high)
    ends = (min(max(end, 0.0), 1.0) for end in _rescaled(reference, level))
    from_reference = [fit.expected(end, n=reference.n) - expected for end in ends]
    shift_low, shift_high = _rescaled(shift, level)
    value = shift.value - expected
    down = math.hypot(shift.value - shift_low, max(0.0, *from_reference), line_high - expected)
    up = math.hypot(shift_high - shift.value, min(0.0, *from_reference), expected - line_low)
    lowest, highest = fit.reference_range
    prediction = fit.prediction_interval(accuracy, level=level)
    flags = ["extrapolated"] if reference.low > highest or reference.high < lowest else []
    flags += fit.flags
    if value - down <= 0 <= value + up or float(prediction.low) <= shift.value <= float(prediction.high):
        flags.append("within noise")
    return EffectiveRobustness(
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
    x, y = _coordinates(fit)
    leverage = 1 / fit.n_models + (x - fit.x_mean) ** 2 / fit.sxx
    residual = y - fit.intercept - fit.slope * x
    return tuple(
        Influence(
            model=point.model,
            leverage=float(leverage[row]),
            residual=float(residual[row]),
            slope_without=fit.without(point.model).slope,
        )
        for row, point in enumerate(fit.members)
    )


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
    x, y = _coordinates(fit)
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


def to_scale(accuracy: Floats, scale: Scale, *, margin: ArrayLike = UNKNOWN_N_MARGIN) -> Floats:
    """Accuracies on the scale; those closer than ``margin`` to 0 or 1 are moved there first."""
    if scale == "linear":
        return np.asarray(accuracy, dtype=np.float64)
    inner = np.clip(accuracy, margin, 1 - np.asarray(margin))
    return np.asarray(special.ndtri(inner) if scale == "probit" else special.logit(inner))


def from_scale(x: Floats, scale: Scale) -> Floats:
    """Accuracies from values on the scale; on the linear scale they may leave [0, 1]."""
    if scale == "linear":
        return np.asarray(x, dtype=np.float64)
    return np.asarray(special.ndtr(x) if scale == "probit" else special.expit(x))


def _margin(n: int | None) -> float:
    return UNKNOWN_N_MARGIN if n is None else 0.5 / n


def _transformed(pairs: Sequence[tuple[float, int | None]], scale: Scale) -> Floats:
    accuracy = np.array([pair[0] for pair in pairs])
    return to_scale(accuracy, scale, margin=np.array([_margin(pair[1]) for pair in pairs]))


def _coordinates(fit: BaselineFit) -> tuple[Floats, Floats]:
    x = _transformed([(point.reference_accuracy, point.reference_n) for point in fit.members], fit.scale)
    return x, _transformed([(point.shift_accuracy, point.shift_n) for point in fit.members], fit.scale)


def _boundary_rule(members: Sequence[BaselinePoint], scale: Scale) -> str:
    if scale == "linear":
        return "none needed on the linear scale"
    moved = 0
    for point in members:
        for accuracy, n in (
            (point.reference_accuracy, point.reference_n),
            (point.shift_accuracy, point.shift_n),
        ):
            moved += not _margin(n) <= accuracy <= 1 - _margin(n)
    return (
        "accuracies are kept within [0.5/n, 1 - 0.5/n], or within "
        f"[{UNKNOWN_N_MARGIN:g}, {1 - UNKNOWN_N_MARGIN:g}] where n is unknown; {moved} moved"
    )


def _rescaled(estimate: Estimate, level: float) -> tuple[float, float]:
    # Bounds of another level, as if they were normal quantiles away from the value.
    if estimate.level == level:
        return estimate.low, estimate.high
    ratio = normal_quantile(level) / normal_quantile(estimate.level)
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return estimate.value - ratio * below, estimate.value + ratio * above
