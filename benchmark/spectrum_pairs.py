"""The spectrum of a shift beside that of its reference, on equally many examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import t_quantile
from benchmark.spectrum import Spectrum, spectrum, spread
from shifts.data import hash_rank
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Sets that share most examples (a perturbed copy of the reference) are compared example by example.
SHARED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrumPair:
    """Two spectra of equally many examples, and their difference.

    Attributes:
        reference, shift: the spectra.
        paired: whether both are of the same examples, in the same order.
        sve, lsvr: shift minus reference.
    """

    reference: Spectrum
    shift: Spectrum
    paired: bool
    sve: Estimate
    lsvr: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "reference": self.reference.to_json(),
            "shift": self.shift.to_json(),
            "paired": self.paired,
            "difference": {"sve": self.sve.to_json(), "lsvr": self.lsvr.to_json()},
        }


def matched_rows(
    reference_ids: Sequence[str], shift_ids: Sequence[str], *, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Rows of both sets that make them comparable: both statistics grow with the number of examples.

    Returns:
        Rows of the reference and of the shift, equally many, and whether they are the same examples: those
        that both have, where these are ``SHARED`` of the smaller set, else as many of either as the smaller
        one has, chosen by id.
    """
    place = {name: row for row, name in enumerate(shift_ids)}
    shared = [row for row, name in enumerate(reference_ids) if name in place]
    size = min(len(reference_ids), len(shift_ids))
    if len(shared) >= SHARED * size:
        of_reference = np.array(shared, dtype=np.int64)
        of_shift = np.array([place[reference_ids[row]] for row in shared], dtype=np.int64)
        return of_reference, of_shift, True
    first, second = (np.sort(hash_rank(ids, "spectrum", "size", seed)[:size])
                     for ids in (reference_ids, shift_ids))  # fmt: skip
    return first, second, False


def spectrum_pair(
    reference: NDArray[np.floating],
    shift: NDArray[np.floating],
    *,
    reference_ids: Sequence[str],
    shift_ids: Sequence[str],
    seed: int = 0,
    level: float = 0.95,
    **settings: Any,
) -> SpectrumPair:
    """Both spectra on equally many examples, and the difference with its interval.

    Args:
        reference, shift: features (N, D) and (M, D).
        reference_ids, shift_ids: N and M strings.
        settings: of ``spectrum``.

    Raises:
        UserError: another number of dimensions, or a set of which only the leading values are known.
    """
    if reference.shape[1] != shift.shape[1]:
        raise UserError(
            f"the reference has features of {reference.shape[1]} dimensions, the shift of {shift.shape[1]}",
            hint="features of one and the same model",
        )
    first, second, paired = matched_rows(reference_ids, shift_ids, seed=seed)
    both = [
        spectrum(values, ids=ids, rows=rows, seed=seed, level=level, **settings)
        for values, ids, rows in ((reference, reference_ids, first), (shift, shift_ids, second))
    ]
    sve, lsvr = difference(*both, level=level)
    return SpectrumPair(reference=both[0], shift=both[1], paired=paired, sve=sve, lsvr=lsvr)


def difference(reference: Spectrum, shift: Spectrum, *, level: float = 0.95) -> tuple[Estimate, Estimate]:
    """SVE and LSVR of one spectrum minus those of another, e.g. of two models on the same examples.

    Of the same examples in the same order, the same parts are left out or drawn in both, and what they have
    in common cancels; otherwise the variances add up.

    Raises:
        UserError: the features were made ready in different ways, or there are no replicates.
    """
    if (reference.centre, reference.normalise, reference.interval) != (
        shift.centre, shift.normalise, shift.interval,
    ):  # fmt: skip
        raise UserError("spectra of features that were made ready in different ways cannot be compared")
    if not len(reference.replicates) or not len(shift.replicates):
        raise UserError(
            "where only the leading values are known, the difference of two spectra has no interval",
            hint="--limit gives a sample whose singular values can all be computed",
        )
    paired = reference.examples == shift.examples
    if paired:
        error = spread(shift.replicates - reference.replicates, reference.interval)
    else:
        error = np.hypot(*(spread(one.replicates, one.interval) for one in (reference, shift)))
    half = t_quantile(level, reference.parts - 1) * error
    pairs = ((reference.sve, shift.sve), (reference.lsvr, shift.lsvr))
    sve, lsvr = (
        Estimate(
            value=b.value - a.value,
            low=b.value - a.value - reach,
            high=b.value - a.value + reach,
            level=level,
            method=f"{'paired ' if paired else ''}{reference.interval} of {reference.parts} parts",
            n=min(a.n, b.n),
        )
        for (a, b), reach in zip(pairs, half.tolist(), strict=True)
    )
    return sve, lsvr
