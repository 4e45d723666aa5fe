"""Linear probing: a new last layer on frozen features."""

from __future__ import annotations

from models_zoo.recipe import Augmentation, Stage
from shifts.label_noise import LabelNoise


def linear_probe(
    shift: str,
    *,
    split: str = "train",
    share: float = 1.0,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    batch_size: int = 512,
    augment: str | tuple[Augmentation, ...] | None = None,
    view: Augmentation | None = None,
    noise: LabelNoise | None = None,
) -> Stage:
    """A stage that trains a fresh last layer alone, with AdamW and a cosine.

    The defaults are those of Cohen-Wang et al., arXiv 2403.00194, appendix B.3. The frozen body stays in
    evaluation mode: it computes the features that were probed.
    """
    return Stage(
        shift=shift,
        split=split,
        share=share,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=batch_size,
        augment=augment,
        view=view,
        noise=noise,
        trainable="head",
        fresh_head=True,
    )
