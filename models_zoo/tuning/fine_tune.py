"""Full fine-tuning: every layer, from the weights that are there."""

from __future__ import annotations

from models_zoo.recipe import Augmentation, Stage
from shifts.label_noise import LabelNoise


def fine_tune(
    shift: str,
    *,
    split: str = "train",
    share: float = 1.0,
    epochs: int = 8,
    warmup_epochs: float = 1,
    learning_rate: float = 1e-5,
    weight_decay: float = 0.1,
    batch_size: int = 512,
    clip: float | None = 1.0,
    augment: str | tuple[Augmentation, ...] | None = None,
    view: Augmentation | None = None,
    noise: LabelNoise | None = None,
    objective: Augmentation | None = None,
    fresh_head: bool = False,
    trainable: str = "all",
) -> Stage:
    """A stage that trains all layers with AdamW and a cosine after a warm-up.

    The defaults are those of Cohen-Wang et al., arXiv 2403.00194, appendix B.3; there the learning rate is
    chosen by the accuracy on the reference from 3e-4, 1e-4, …, 1e-6.

    Args:
        objective: what to minimise in place of the cross-entropy; NMTune's is
            ``models_zoo.tuning.reshaping:Reshaping``.
        fresh_head: False goes on with the head that is there: a linear probe's, or a zero-shot one (FT from
            a zero-shot initialisation); True is plain fine-tuning with a new one.
        trainable: a shell pattern of parameter names trains these alone (``layer4.*``).
    """
    return Stage(
        shift=shift,
        split=split,
        share=share,
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=batch_size,
        clip=clip,
        augment=augment,
        view=view,
        noise=noise,
        objective=objective,
        fresh_head=fresh_head,
        trainable=trainable,
    )
