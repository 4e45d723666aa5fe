"""Rules that keep some examples of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from shifts.data import Rows, hash_rank
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_shift(rows: Rows, *, p_minority: float, side: Literal["reference", "shifted"]) -> NDArray[np.int64]:
    """Label shift by sampling rates: indices of the examples kept, int64.

    Half of the classes, drawn by the seed, are the minority. In the reference the majority is kept whole and
    the minority at the rate p / (1 − p); in the shifted set the two change places
    (Cohen-Wang et al., arXiv 2403.00194, section 5.1, appendix B.3; p = 0.2 there).
    """
    if not 0.0 < p_minority <= 0.5:
        raise UserError(f"p_minority must lie in (0, 0.5], not {p_minority}")
    minority = set(minority_classes(rows.num_classes, seed=rows.seed).tolist())
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        reduced = (label in minority) == (side == "reference")
        rate = p_minority / (1.0 - p_minority) if reduced else 1.0
        order = hash_rank([rows.ids[index] for index in members.tolist()], rows.seed, "label shift")
        kept.append(members[order[: round(rate * len(members))]])
    return np.sort(np.concatenate(kept))


def minority_classes(num_classes: int, *, seed: int) -> NDArray[np.int64]:
    """The half of the classes that is rare in the reference: int64 (C // 2,)."""
    names = [str(label) for label in range(num_classes)]
    return np.sort(hash_rank(names, seed, "minority")[: num_classes // 2])


def fraction(rows: Rows, *, share: float, seed: int) -> NDArray[np.int64]:
    """A share of the examples, stratified by class, nested: a smaller share lies within a larger one."""
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        order = hash_rank([rows.ids[index] for index in members.tolist()], seed, "fraction")
        kept.append(members[order[: max(round(share * len(members)), min(len(members), 1))]])
    return np.sort(np.concatenate(kept))
