"""LoRA: low-rank adapters beside frozen weights, and a head."""

from __future__ import annotations

from models_zoo.recipe import Augmentation, LoRA, Stage


def lora(
    shift: str,
    *,
    rank: int = 8,
    alpha: float = 8.0,
    layers: tuple[str, ...] = ("*",),
    split: str = "train",
    share: float = 1.0,
    epochs: int = 30,
    warmup_epochs: float = 0,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    batch_size: int = 64,
    clip: float | None = None,
    augment: str | tuple[Augmentation, ...] | None = None,
    view: Augmentation | None = None,
    objective: Augmentation | None = None,
    fresh_head: bool = True,
) -> Stage:
    """A stage that trains adapters and the head with AdamW and a cosine; the adapters are then folded in.

    The defaults follow the code released with Chen et al., arXiv 2403.06869: rank 8, and the loop of its
    other ways to tune (30 epochs, batches of 64). There the adapters sit on the two linear layers of each
    block's MLP: ``layers=("*.mlp.fc1", "*.mlp.fc2")`` in timm's names, ``("*.mlp.c_fc", "*.mlp.c_proj")`` in
    open_clip's. Batch statistics stay as they are, as in a linear probe.

    Args:
        layers: shell patterns of names of layers.
        objective: what to minimise in place of the cross-entropy; NMTune's is
            ``models_zoo.tuning.reshaping:Reshaping``.
        fresh_head: False goes on with the head that is there.
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
        objective=objective,
        fresh_head=fresh_head,
        lora=LoRA(rank=rank, alpha=alpha, layers=layers),
    )
