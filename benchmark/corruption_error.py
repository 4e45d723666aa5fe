"""Mean corruption error: errors on corrupted images, normalised by AlexNet's (Hendrycks and Dietterich 2019).

arXiv 1903.12261, Sec. 4: CE of a corruption is the sum of the errors over the five severities divided by
AlexNet's, mCE the mean over 15 corruptions; relative CE takes the clean error off both sums first. It
is defined on the published images (``imagenet-c``); images corrupted in memory are other data and get none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.baselines import load_baseline
from shifts.perturbations.severities import COMMON

SOURCE = "imagenet-c"
SEVERITIES = range(1, 6)
NORMALISER = ("imagenet-testbed@1", "alexnet")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionError:
    """Normalised errors; fractions, 1 is as bad as AlexNet.

    Attributes:
        mce: mean over the 15 corruptions.
        relative_mce: the same after the clean error is taken off; None without a clean accuracy.
        by_corruption: corruption → CE.
        normaliser: whose errors divide.
    """

    mce: float
    relative_mce: float | None
    by_corruption: Mapping[str, float]
    normaliser: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "mce": self.mce,
            "relative_mce": self.relative_mce,
            "by_corruption": dict(self.by_corruption),
            "normaliser": self.normaliser,
        }


@functools.cache
def alexnet_accuracies() -> Mapping[str, float]:
    """Shift → AlexNet's accuracy, on ImageNet and on every corruption and severity from disk."""
    name, model = NORMALISER
    return {
        row.shift: row.accuracy
        for row in load_baseline(name).rows
        if row.model == model and (row.shift == "imagenet-val" or row.shift.startswith(f"{SOURCE}/"))
    }


def corruption_error(
    accuracies: Mapping[str, float], *, clean: float | None = None
) -> CorruptionError | None:
    """The mCE of a model.

    Args:
        accuracies: shift (``imagenet-c/fog/3``) → accuracy, a fraction; other shifts are passed over.
        clean: accuracy on ImageNet's validation set.

    Returns:
        None unless all 15 corruptions are there at all five severities: a part of them is no mCE.
    """
    alexnet = alexnet_accuracies()
    normal, relative = {}, {}
    for corruption in COMMON:
        names = [f"{SOURCE}/{corruption}/{severity}" for severity in SEVERITIES]
        if any(name not in accuracies for name in names):
            return None
        errors = np.array([1 - accuracies[name] for name in names])
        theirs = np.array([1 - alexnet[name] for name in names])
        normal[corruption] = float(errors.sum() / theirs.sum())
        if clean is not None:
            degraded = (errors - (1 - clean)).sum()
            relative[corruption] = float(degraded / (theirs - (1 - alexnet["imagenet-val"])).sum())
    return CorruptionError(
        mce=float(np.mean(list(normal.values()))),
        relative_mce=float(np.mean(list(relative.values()))) if relative else None,
        by_corruption=normal,
        normaliser=" ".join(reversed(NORMALISER)),
    )
