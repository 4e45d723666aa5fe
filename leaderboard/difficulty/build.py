"""How many published models err on each example: made from their published predictions.

    python -m leaderboard.difficulty.build PUBLISHED_RESULTS

PUBLISHED_RESULTS holds ``imagenetv2/model_predictions.npz`` and ``cifar10_1/model_predictions.npz``: answers
of 67 models on the ImageNet validation set (modestyachts/ImageNetV2 at 0b0c3fe) and of 30 models on CIFAR-10
and CIFAR-10.1 (modestyachts/CIFAR-10.1 at d9982ab), both MIT. Upstream's list of validation images goes by
class and, within a class, by number: images whose class the reassessed labels of Beyer et al. (arXiv
2006.07159) reject are missed by 68 % of the models in that order, and by 36 % in a random order within the
class. The order of the ImageNet-V2 lists cannot be tied to file names, so those sets are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shifts.readers.imagenet_tables import val_labels


def build(published: Path) -> Mapping[str, Any]:
    """``<split>`` → uint8 (N,) models that err on each example, in the order of the examples' numbers."""
    found: dict[str, Any] = {}
    with np.load(published / "imagenetv2" / "model_predictions.npz", allow_pickle=False) as archive:
        right = np.unpackbits(archive["correct_top1_bits_val"], axis=1)[:, :50_000]
        by_class = np.lexsort((np.arange(50_000), val_labels()))
        wrong = np.empty(50_000, dtype=np.uint8)
        wrong[by_class] = (1 - right).sum(axis=0)
        found["imagenet-val"] = wrong
    with np.load(published / "cifar10_1" / "model_predictions.npz", allow_pickle=False) as archive:
        for name, stored in (("cifar10-test", "orig"), ("cifar10.1-v4", "v4"), ("cifar10.1-v6", "v6")):
            errs = archive[f"pred_{stored}"] != archive[f"labels_{stored}"]
            found[name] = errs.sum(axis=0).astype(np.uint8)
    return found


if __name__ == "__main__":
    target = Path(__file__).with_name("difficulty.npz")
    np.savez_compressed(target, **build(Path(sys.argv[1])))
