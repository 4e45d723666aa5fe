"""Which errors of a baseline do interventions correct, and are they the same ones?

Section 6 of Cohen-Wang, Vendrow and Madry (arXiv 2403.00194) asks whether pre-training and re-weighting mend
different mistakes: examples that the baseline often gets wrong and the intervention right, over many trials.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """Errors of a baseline, and what two interventions and their combination make of them.

    Attributes:
        n: examples.
        errors: examples that the baseline gets wrong in more than half of its trials.
        first, second, both: of these, how many the intervention gets right in more than half of its trials.
        overlap: how many the first and the second correct.
        jaccard: overlap / (first or second), Clopper-Pearson; None where neither corrects any.
        lift: overlap beside what it would be if the two were independent among the errors,
            first · second / errors; above one they tend to mend the same. None where one corrects none.
        covered: share of (first or second) that the combination corrects; None as for ``jaccard``.
    """

    n: int
    errors: int
    first: int
    second: int
    both: int
    overlap: int
    jaccard: Estimate | None
    lift: Estimate | None
    covered: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        counts = {name: getattr(self, name) for name in ("n", "errors", "first", "second", "both", "overlap")}
        estimates = {name: getattr(self, name) for name in ("jaccard", "lift", "covered")}
        shown = {name: None if one is None else one.to_json() for name, one in estimates.items()}
        return {**counts, **shown}


def corrected_examples(
    baseline: ArrayLike, *, first: ArrayLike, second: ArrayLike, both: ArrayLike
) -> Corrected:
    """Which errors of a baseline two interventions and their combination correct.

    Args:
        baseline: bool (T, N), whether the baseline is right, for T trials on the same N examples.
        first, second, both: bool (T', N), the same of the interventions and of both together.

    Raises:
        ValueError: not of this shape, or other examples.

    >>> found = corrected_examples(
    ...     [[False, False, False, False, True]], first=[[True, True, False, False, True]],
    ...     second=[[False, True, True, False, True]], both=[[True, True, False, False, False]],
    ... )
    >>> found.errors, found.first, found.second, found.overlap
    (4, 2, 2, 1)
    >>> found.jaccard.value, found.covered.value, found.lift.value  # 1 of 3, 2 of 3, 1 where 1 is expected
    (0.3333333333333333, 0.6666666666666666, 1.0)
    """
    wrong = ~_mostly(baseline, "baseline")
    named = {"first": first, "second": second, "both": both}
    right = {name: _mostly(values, name) for name, values in named.items()}
    for name, values in right.items():
        if values.shape != wrong.shape:
            raise ValueError(f"{name} has {len(values)} examples, the baseline {len(wrong)}")
    a, b, c = (right[name] & wrong for name in named)
    counts = {"first": int(a.sum()), "second": int(b.sum()), "both": int(c.sum())}
    errors, overlap, either = int(wrong.sum()), int((a & b).sum()), int((a | b).sum())
    lift = None
    if counts["first"] and counts["second"]:
        # Given what the first corrects, the second corrects a share of it beside its share of all errors.
        share = clopper_pearson(overlap, counts["first"])
        usual = counts["second"] / errors
        lift = dataclasses.replace(
            share, value=share.value / usual, low=share.low / usual, high=share.high / usual
        )
    return Corrected(
        n=len(wrong),
        errors=errors,
        **counts,
        overlap=overlap,
        jaccard=clopper_pearson(overlap, either) if either else None,
        lift=lift,
        covered=clopper_pearson(int(((a | b) & c).sum()), either) if either else None,
    )


def _mostly(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Whether an example is right in more than half of the trials."""
    right = np.asarray(values)
    if right.dtype != np.bool_ or right.ndim != 2 or not right.size:
        raise ValueError(f"{name} must be true or false, (trials, examples), not {right.dtype} {right.shape}")
    mostly: NDArray[np.bool_] = right.mean(axis=0) > 0.5
    return mostly
