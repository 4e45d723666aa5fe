"""Which of the things that were tried explains the gap: arrays in, findings out. No torch, no images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.intervals import normal_quantile, paired_proportions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Right = NDArray[np.bool_]

LEVEL = 0.99  # of an interval that a published number has to lie in
# An effect counts when it is so many standard errors from none: some thirty alternatives are tried.
EFFECT = 3.0
DROPPED = 3.5  # standard errors; an alternative further off is tried on no more images
ODDS = 20.0  # a candidate so many times less likely than the best is not named beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an alternative has to explain.

    Attributes:
        accuracy, n: measured, as run.
        published: the accuracy that it should be.
        tolerance: by which harnesses differ.
        population: images of the whole set, or None where unknown.
        complete: whether the measured accuracy is that of the whole set.
    """

    accuracy: float
    n: int
    published: float
    tolerance: float
    population: int | None
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An alternative against the run as it was, on the same images.

    Attributes:
        key: what was changed, in a word: ``"interpolation"``.
        says: what was done instead: ``"resized bicubic, not bilinear"``.
        n: images both were tried on.
        as_run, accuracy: on those images.
        difference, low, high: between the two, with the paired 99 % interval.
        predicted, error: the accuracy on the whole set under the alternative, and its standard error.
        explains: it moves the accuracy, towards the published number, and as far.
        possible: the published number is within reach, but no effect was shown on so few images.
        likelihood: natural logarithm, up to a constant shared by all alternatives of one diagnosis.
    """

    key: str
    says: str
    n: int
    as_run: float
    accuracy: float
    difference: float
    low: float
    high: float
    predicted: float
    error: float
    explains: bool
    possible: bool
    likelihood: float

    def sentence(self) -> str:
        """The evidence in one line, in percent."""
        interval = f"{100 * self.difference:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"
        return (
            f"{self.says}: {100 * self.accuracy:.1f} % on {self.n:,} images, as run "
            f"{100 * self.as_run:.1f} % ({interval}), so {self.forecast()} on all"
        )

    def forecast(self) -> str:
        """The accuracy on the whole set under the alternative, with its 99 % half-width, in percent."""
        return f"{100 * self.predicted:.1f} ± {100 * normal_quantile(LEVEL) * self.error:.1f} %"

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def find(key: str, says: str, right: Right, as_run: Right, *, target: Target) -> Finding:
    """Measure one alternative against the run as it was.

    Args:
        right, as_run: bool (m,), on the same m randomly chosen images.

    The accuracy on the whole set is the measured one plus the paired difference, or the sample's own, by
    whichever is surer: of a full evaluation only the difference is uncertain.
    """
    m = len(right)
    gained, lost = int((right & ~as_run).sum()), int((~right & as_run).sum())
    difference = (gained - lost) / m
    shrink = _shrink(m, target.population)
    # Half an image more in each cell keeps the error of "no image changed" above zero (Agresti and Min 2005).
    wide = gained + lost + 1
    spread = math.sqrt((wide - (gained - lost) ** 2 / (m + 2)) / (m + 2) ** 2) * shrink
    own = math.sqrt(_adjusted_variance(int(right.sum()), m)) * shrink
    rest = 0.0
    if not target.complete:
        rest = math.sqrt(_adjusted_variance(round(target.accuracy * target.n), target.n)) * _shrink(
            target.n, target.population
        )
    predicted, error = target.accuracy + difference, math.hypot(spread, rest)
    if own < error:
        predicted, error = float(right.mean()), own
    gap = target.published - predicted
    within = abs(gap) <= normal_quantile(LEVEL) * error + target.tolerance
    towards = difference * (target.published - target.accuracy) > 0
    shown = towards and abs(difference) > EFFECT * spread
    variance = error**2 + target.tolerance**2
    interval = paired_proportions(right, as_run, level=LEVEL)
    return Finding(
        key=key,
        says=says,
        n=m,
        as_run=float(as_run.mean()),
        accuracy=float(right.mean()),
        difference=difference,
        low=interval.low,
        high=interval.high,
        predicted=predicted,
        error=error,
        explains=within and shown,
        possible=within and not shown,
        likelihood=-0.5 * gap * gap / variance - 0.5 * math.log(variance),
    )


def in_reach(finding: Finding, *, target: Target) -> bool:
    """Whether more images could still show that the alternative explains the gap."""
    return abs(finding.predicted - target.published) <= DROPPED * finding.error + target.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The findings in order.

    Attributes:
        causes: those that explain the gap, the likeliest first, without those that are far less likely.
        possible: those that might, for which the sample was too small.
        partial: moves the accuracy clearly towards the published number, but not far enough; the best
            first; only where nothing explains the gap.
        others: everything else that was tried.
    """

    causes: tuple[Finding, ...] = ()
    possible: tuple[Finding, ...] = ()
    partial: tuple[Finding, ...] = ()
    others: tuple[Finding, ...] = ()


def rank(findings: Sequence[Finding], *, target: Target) -> Ranking:
    """Order what was tried by how well it explains the gap."""
    ordered = sorted(findings, key=lambda one: -one.likelihood)
    explaining = [one for one in ordered if one.explains]
    causes = [one for one in explaining if explaining[0].likelihood - one.likelihood <= math.log(ODDS)]
    possible = [one for one in ordered if one.possible]
    sign = 1 if target.published > target.accuracy else -1
    partial = [] if causes else [one for one in ordered if _closes(one, sign) and not one.possible]
    partial.sort(key=lambda one: -sign * one.difference)
    taken = {id(one) for one in (*causes, *possible, *partial)}
    return Ranking(
        causes=tuple(causes),
        possible=tuple(possible),
        partial=tuple(partial),
        others=tuple(one for one in ordered if id(one) not in taken),
    )


def _closes(one: Finding, sign: int) -> bool:
    return one.low * sign > 0 and one.high * sign > 0


def matched(prediction: NDArray[np.int64], labels: NDArray[np.int64], *, classes: int) -> Right:
    """Whether predictions are right once classes are renamed one to one in the way that fits best.

    Each half of the images is judged by the renaming that was found on the other, so that noise is not
    fitted: bool (m,).

    >>> labels = np.tile(np.arange(3), 40)
    >>> float(matched((labels + 1) % 3, labels, classes=3).mean())
    1.0
    """
    from scipy.optimize import linear_sum_assignment

    right = np.zeros(len(labels), dtype=bool)
    half = np.arange(len(labels)) % 4 < 2  # not every other one: rows often alternate between classes
    for learnt, judged in ((half, ~half), (~half, half)):
        counts = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(counts, (prediction[learnt], labels[learnt]), 1)
        # Of equally good renamings the one that changes least.
        rows, columns = linear_sum_assignment(counts + 1e-3 * np.eye(classes), maximize=True)
        renamed = np.empty(classes, dtype=np.int64)
        renamed[rows] = columns
        right[judged] = renamed[prediction[judged]] == labels[judged]
    return right


def enough_to_match(m: int, classes: int) -> bool:
    """Whether a renaming can be learnt from half of m images."""
    return m >= 20 * classes


def all_findings(
    tried: Mapping[str, tuple[str, str, Right]], as_run: Right, *, target: Target
) -> list[Finding]:
    """The findings of everything that was tried: name → (key, what was done, right on the first images)."""
    return [
        find(key, says, right, as_run[: len(right)], target=target) for key, says, right in tried.values()
    ]


def _adjusted_variance(successes: int, n: int) -> float:
    """Of a proportion, with two successes and two failures more (Agresti and Coull 1998)."""
    p = (successes + 2) / (n + 4)
    return p * (1 - p) / (n + 4)


def _shrink(m: int, population: int | None) -> float:
    """The finite population correction of a standard error."""
    if population is None or population <= 1:
        return 1.0
    return math.sqrt(max(population - m, 0) / (population - 1))
