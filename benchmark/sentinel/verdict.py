"""A result beside its published number: agrees, differs, or cannot be told. No torch, no images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shifts.errors import ResultsError

if TYPE_CHECKING:
    from benchmark.result import Result
    from benchmark.sentinel.published import Published

Status = Literal["agrees", "differs", "undecided"]

ALARM = 0.01  # of limited runs that are right, so many are called off by chance
# What loaders remark of copies whose pixels are not the published ones (``shifts.readers``).
NOT_COMPARABLE = "not comparable with published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a published number says of a result.

    Attributes:
        status: ``undecided`` where the images are not a random choice of the published ones.
        accuracy, n: measured.
        complete: whether all published images were there, so that no sampling noise is between the two.
        low, high: the accuracies that would agree.
        published: the figure that agrees, or the most trusted one.
        alike: other figures of the same model that the measured accuracy agrees with.
        remarks: warnings of the result that explain a difference by themselves.
    """

    status: Status
    accuracy: float
    n: int
    complete: bool
    low: float
    high: float
    published: Published
    alike: tuple[Published, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Published minus measured: what an explanation has to add."""
        return self.published.accuracy - self.accuracy

    def sentence(self) -> str:
        """One line for a reader, in percent."""
        figure = self.published
        said = f"the published {100 * figure.accuracy:.2f} ({figure.source})"
        if figure.note:
            said += f", {figure.note}"
        measured = f"{100 * self.accuracy:.2f} %"
        width = 100 * figure.tolerance
        if self.complete:
            if self.status == "agrees":
                return f"agrees with {said}: {measured}, within {width:.2g} points"
            return (
                f"off {said}: {measured} on all {self.n:,} images, {100 * -self.gap:+.2f} points, "
                f"where two harnesses differ by at most {width:.2g}"
            )
        expected = f"{self.n:,} images of it would give {100 * self.low:.1f} to {100 * self.high:.1f}"
        if self.status == "agrees":
            return f"agrees with {said} as far as {self.n:,} images tell: {measured}; {expected}"
        if self.status == "differs":
            return f"off {said}: {measured}, but {expected} in 99 of 100 random choices"
        return (
            f"not comparable with {said}: {measured} on {self.n:,} images that are no random choice "
            f"({expected} if they were)"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "complete": self.complete,
            "low": self.low,
            "high": self.high,
            "published": self.published.to_json(),
            "alike": [one.to_json() for one in self.alike],
            "remarks": list(self.remarks),
            "sentence": self.sentence(),
        }


def compare(
    result: Result, figures: Sequence[Published], *, elsewhere: Sequence[Published] = ()
) -> Verdict | None:
    """The verdict on a finished result, or None where nobody publishes a number.

    One publisher that agrees is enough: two differ among themselves by up to half a point on ImageNet-V2.

    Args:
        figures: of the model on the shift, the most trusted first.
        elsewhere: of the model on other sets.

    Raises:
        ResultsError: the result is of a failed evaluation.
    """
    if result.accuracy is None:
        raise ResultsError(f"{result.model} on {result.shift} was not measured")
    if not figures:
        return None
    verdicts = [_against(result, figure) for figure in figures]
    best = next((one for one in verdicts if one.status == "agrees"), verdicts[0])
    if best.status == "agrees":
        return best
    alike = tuple(figure for figure in elsewhere if _against(result, figure).status == "agrees")
    remarks = tuple(warning for warning in result.warnings if NOT_COMPARABLE in warning)
    return Verdict(
        **{name: getattr(best, name) for name in best.__slots__ if name not in ("alike", "remarks")},
        alike=alike,
        remarks=remarks,
    )


def _against(result: Result, figure: Published) -> Verdict:
    assert result.accuracy is not None, "failed results are refused before"
    accuracy, n = result.accuracy.value, result.n
    limited = result.provenance.get("limit") is not None and n < (figure.n or n + 1)
    partial = any(warning.startswith("partial") for warning in result.warnings)
    complete = not partial and not limited and figure.n in (None, n)
    low, high = (figure.accuracy - figure.tolerance, figure.accuracy + figure.tolerance)
    if not complete:
        low, high = _random_choice(low, high, n=n, population=figure.n)
    # Published figures are rounded; the slack is that of a binary fraction, not of a measurement.
    inside = low - 1e-9 <= accuracy <= high + 1e-9
    status: Status = "agrees" if inside else "differs"
    if not inside and not complete and (partial or not limited):
        status = "undecided"
    return Verdict(
        status=status,
        accuracy=accuracy,
        n=n,
        complete=complete,
        low=max(low, 0.0),
        high=min(high, 1.0),
        published=figure,
    )


def _random_choice(low: float, high: float, *, n: int, population: int | None) -> tuple[float, float]:
    """The accuracies on n images drawn without replacement that 99 of 100 draws stay within.

    Exact: the number of right ones is hypergeometric (binomial where the population is not known).

    Args:
        low, high: bounds of the accuracy on all images.
    """
    from scipy import stats

    def bound(accuracy: float, tail: float) -> float:
        accuracy = min(max(accuracy, 0.0), 1.0)
        if population is not None and n <= population:
            drawn = stats.hypergeom(population, round(accuracy * population), n)
        else:
            drawn = stats.binom(n, accuracy)
        return float(drawn.ppf(tail)) / n

    return bound(low, ALARM / 2), bound(high, 1 - ALARM / 2)
