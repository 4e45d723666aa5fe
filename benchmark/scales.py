"""Scales on which accuracies lie on a line: probit, logit, linear; and what happens at 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Scale = Literal["probit", "logit", "linear"]

# Where the number of examples is unknown, accuracies of 0 and 1 move this far inside.
UNKNOWN_N_MARGIN = 1e-4


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


@overload
def margin_of(n: int | None) -> float: ...


@overload
def margin_of(n: NDArray[np.int64]) -> Floats: ...


def margin_of(n: int | NDArray[np.int64] | None) -> float | Floats:
    """How far inside (0, 1) an accuracy of 0 or 1 over n examples is moved: half an example."""
    return UNKNOWN_N_MARGIN if n is None else 0.5 / n


def transformed(pairs: Sequence[tuple[float, int | None]], scale: Scale) -> Floats:
    """float64 (M,): (accuracy, n) pairs on the scale, each with its own margin at 0 and 1."""
    accuracy = np.array([pair[0] for pair in pairs])
    return to_scale(accuracy, scale, margin=np.array([margin_of(pair[1]) for pair in pairs]))
