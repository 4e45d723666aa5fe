"""What a split into in support and out of support says, with intervals and in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import clopper_pearson, normal_quantile
from shifts.support import THRESHOLD, DensityRatio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# The paper leaves out shifts with fewer in-support examples: effective robustness on them is noise.
FEWEST = 50
BINS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPoint:
    """A bin of examples: mean predicted probability of "is from the shift", observed rate, examples."""

    predicted: float
    observed: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportReport:
    """A split with its uncertainty.

    Attributes:
        shares: threshold → share of the shift's examples that are in support (Clopper–Pearson).
        reference_share: the same of the reference's own examples, at the first threshold: what a shift with
            no difference would have.
        auroc: of telling reference from shift (DeLong).
        calibration: bins of equally many examples, after the temperature.
    """

    n_reference: int
    n_shift: int
    threshold: float
    shares: Mapping[float, Estimate]
    reference_share: Estimate
    auroc: Estimate
    temperature: float
    calibration: tuple[CalibrationPoint, ...]

    @property
    def share(self) -> Estimate:
        """In-support share at the threshold."""
        return self.shares[self.threshold]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "n_reference": self.n_reference,
            "n_shift": self.n_shift,
            "threshold": self.threshold,
            "in_support": {f"{at:g}": share.to_json() for at, share in self.shares.items()},
            "reference_in_support": self.reference_share.to_json(),
            "auroc": self.auroc.to_json(),
            "temperature": self.temperature,
            "calibration": [
                {"predicted": point.predicted, "observed": point.observed.to_json()}
                for point in self.calibration
            ],
            "words": self.words(),
        }

    def words(self) -> list[str]:
        """What it means for pre-training, in plain words that follow from the numbers."""
        share, n_in = self.share, round(self.share.value * self.n_shift)
        inside = f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
        if self.auroc.low <= 0.5:
            said = [
                f"These features cannot tell the shift from its reference (AUROC {_plain(self.auroc)}): as "
                "far as they see, it is in support. Pre-training is not expected to add robustness here "
                "beyond what better accuracy on the reference brings; a bias in the training data would "
                "have to be removed by other means (re-balancing, a curated set)."
            ]
        elif share.high < 0.5:
            said = [
                f"Mostly out of support: {inside} of the examples look like something the reference "
                "contains. On such a shift a model has to extrapolate, and that is where pre-training can "
                "help."
            ]
        elif share.low > 0.5:
            said = [
                f"Mostly in support: {inside} of the examples look like something the reference contains. "
                "Pre-training is not expected to add robustness on these; what fails there is bias in the "
                "reference, which other interventions address."
            ]
        else:
            said = [
                f"Mixed: {inside} of the examples are in support. Look at the two halves on their own; "
                "pre-training can help on the out-of-support half."
            ]
        for side, count in (("in", n_in), ("out of", self.n_shift - n_in)):
            if 0 < count < FEWEST:
                said.append(f"Only {count} examples are {side} support: accuracies on them say little.")
        if self.reference_share.value < 0.9:
            said.append(
                f"Of the reference's own examples only {100 * self.reference_share.value:.0f} % count as in "
                "support: the two sets overlap so little, or are so few, that the threshold is no safe guide."
            )
        return said


def support_report(ratio: DensityRatio, *, threshold: float = THRESHOLD) -> SupportReport:
    """Sum up a density ratio.

    Args:
        threshold: of p(x | reference) / p(x | shift); 0.2 in the paper, 0.1 in its notebook.
    """
    from scipy.special import expit

    n_shift, n_reference = len(ratio.shift), len(ratio.reference)
    thresholds = dict.fromkeys((threshold, THRESHOLD, 0.1))
    logits = np.concatenate([ratio.reference_logits, ratio.shift_logits])
    target = np.repeat([0, 1], [n_reference, n_shift])
    return SupportReport(
        n_reference=n_reference,
        n_shift=n_shift,
        threshold=threshold,
        shares={at: clopper_pearson(int(ratio.in_support(at).sum()), n_shift) for at in thresholds},
        reference_share=clopper_pearson(int((ratio.reference >= threshold).sum()), n_reference),
        auroc=auroc(ratio.reference_logits, ratio.shift_logits),
        temperature=ratio.temperature,
        calibration=calibration_curve(expit(logits), target),
    )


def auroc(negative: ArrayLike, positive: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Probability that a positive scores higher than a negative (ties half), with DeLong's interval.

    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, by ranks (Sun and Xu 2014); on the logit scale, so
    that the interval stays within [0, 1].

    Args:
        negative, positive: scores (M,) and (N,), two or more each.

    Raises:
        ValueError: fewer than two scores on a side.

    >>> auroc([1.0, 2.0, 3.0], [2.5, 3.5, 4.5]).value.__round__(4)
    0.8889
    """
    from scipy.stats import rankdata

    x, y = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    if min(len(x), len(y)) < 2:
        raise ValueError("an AUROC needs two scores on each side")
    ranks = rankdata(np.concatenate([x, y]))
    above = (ranks[: len(x)] - rankdata(x)) / len(y)
    below = 1 - (ranks[len(x) :] - rankdata(y)) / len(x)
    value = float(above.mean())
    error = math.sqrt(float(above.var(ddof=1)) / len(x) + float(below.var(ddof=1)) / len(y))
    n = len(x) + len(y)
    edge = 0.5 / n
    inner = min(max(value, edge), 1 - edge)
    half = normal_quantile(level) * error / (inner * (1 - inner))
    middle = math.log(inner / (1 - inner))
    low, high = (1 / (1 + math.exp(-(middle + side * half))) for side in (-1, 1))
    return Estimate(
        value=value, low=min(low, value), high=max(high, value), level=level, method="delong, logit", n=n
    )


def calibration_curve(
    probability: NDArray[np.float64], target: NDArray[np.int64], *, bins: int = BINS
) -> tuple[CalibrationPoint, ...]:
    """Predicted against observed in bins of equally many examples (Clopper–Pearson, as in the paper).

    Of few examples there are fewer bins, of 40 or more each.

    Args:
        probability: float64 (N,) of being 1.
        target: 0 or 1, (N,).
    """
    order = np.argsort(probability, kind="stable")
    return tuple(
        CalibrationPoint(
            predicted=float(probability[some].mean()),
            observed=clopper_pearson(int(target[some].sum()), len(some)),
        )
        for some in np.array_split(order, min(bins, max(len(order) // 40, 1)))
        if len(some)
    )


def weighted_accuracy(
    correct: NDArray[np.bool_], weights: NDArray[np.float64], *, level: float = 0.95
) -> Estimate:
    """Accuracy of examples that weigh differently, with the interval of a ratio of means.

    Args:
        correct: bool (N,); weights: float64 (N,), not all zero.
    """
    share = weights / weights.sum()
    value = float(weights @ correct / weights.sum())
    # Linearised variance of a ratio; Kish's effective size for the finite-sample factor.
    effective = 1 / float((share**2).sum())
    error = math.sqrt(float((share**2) @ (correct - value) ** 2) * effective / max(effective - 1, 1e-9))
    half = normal_quantile(level) * error
    low, high = max(value - half, 0.0), min(value + half, 1.0)
    return Estimate(
        value=value, low=low, high=high, level=level, method="weighted", n=max(round(effective), 1)
    )


def purity_and_recall(inside: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[Estimate, Estimate]:
    """How many of those called in support are, and how many of those that are were found.

    Raises:
        ValueError: none is called in support, or none is.
    """
    if not inside.any() or not truth.any():
        raise ValueError("purity and recall need examples in support")
    both = int((inside & truth).sum())
    return clopper_pearson(both, int(inside.sum())), clopper_pearson(both, int(truth.sum()))


def _plain(one: Estimate) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
