"""Published per-example predictions, and forgeries made from their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leaderboard.lints.copies import AGREEMENT, FEWEST_ERRORS, SAME_ERRORS
from leaderboard.lints.errors import DEVIATIONS, LOWEST_ACCURACY, THRESHOLD, within_classes
from leaderboard.lints.errors import FEWEST_ERRORS as FEWEST_OF_EITHER

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RealSet:
    """Models on one set: wrong bool (M, N), predictions (M, N) or None, labels (N,)."""

    name: str
    wrong: Bools
    predictions: NDArray[np.int64] | None
    labels: NDArray[np.int64]


def real_sets(data: Path) -> Iterator[RealSet]:
    """67 models on four ImageNet sets, 30 on three CIFAR-10 sets."""
    published = data / "published_results"
    with np.load(published / "imagenetv2" / "model_predictions.npz", allow_pickle=False) as archive:
        for key in ("val", "v2_threshold07", "v2_matched_frequency", "v2_top_images"):
            labels = archive[f"labels_{key}"].astype(np.int64)
            right = np.unpackbits(archive[f"correct_top1_bits_{key}"], axis=1)[:, : len(labels)]
            said = archive[f"pred_top1_{key}"].astype(np.int64) if "matched" in key else None
            yield RealSet(f"imagenet-{key}", right == 0, said, labels)
    with np.load(published / "cifar10_1" / "model_predictions.npz", allow_pickle=False) as archive:
        for key in ("orig", "v4", "v6"):
            labels = archive[f"labels_{key}"].astype(np.int64)
            said = archive[f"pred_{key}"].astype(np.int64)
            yield RealSet(f"cifar10-{key}", said != labels, said, labels)


def flagged(wrong: Bools, hard: NDArray[np.float64], labels: NDArray[np.int64]) -> bool | None:
    """What the lint says of errors among judges that saw the very images; None where it does not judge."""
    few = min(int(wrong.sum()), int((~wrong).sum())) < FEWEST_OF_EITHER
    found = None if few or 1 - wrong.mean() < LOWEST_ACCURACY else within_classes(wrong, hard, labels)
    return None if found is None else found[0] + DEVIATIONS * found[1] < THRESHOLD


def others_errors(one: RealSet, model: int) -> NDArray[np.float64]:
    """Share of the other models that err on each example."""
    return np.asarray((one.wrong.sum(axis=0) - one.wrong[model]) / (len(one.wrong) - 1))


def forgeries(one: RealSet, model: int, rng: np.random.Generator) -> dict[str, Bools]:
    """Errors of several kinds of forgery, all at the accuracy of the model."""
    n = len(one.labels)
    wrong = one.wrong[model]
    drawn = rng.random(n) < wrong.mean()
    counts = np.bincount(one.labels)
    by_class = np.bincount(one.labels, weights=wrong) / np.maximum(counts, 1)
    found = {"independent": drawn, "rates of classes": rng.random(n) < by_class[one.labels]}
    for share in (0.25, 0.5, 0.6, 0.7, 0.8, 0.9):
        found[f"{share:.0%} redrawn"] = np.where(rng.random(n) < share, drawn, wrong)
    second = one.wrong[rng.choice([row for row in range(len(one.wrong)) if row != model])]
    found["mixture of two"] = np.where(rng.random(n) < 0.5, wrong, second)
    hard = others_errors(one, model)
    found["drawn by difficulty"] = rng.random(n) < hard * min(1.0, float(wrong.mean() / hard.mean()))
    return found


def copy_flagged(first: NDArray[np.int64], second: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """What the lint for copies says of two rows of predictions."""
    same = first == second
    either = (first != labels) | (second != labels)
    near = either.sum() >= FEWEST_ERRORS and same[either].mean() > SAME_ERRORS
    return bool(same.mean() > AGREEMENT or near)


def changed(
    said: NDArray[np.int64], classes: int, share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """A copy with a share of its answers drawn anew."""
    anew = rng.integers(0, classes, len(said))
    return np.where(rng.random(len(said)) < share, anew, said)
