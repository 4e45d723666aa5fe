"""A last layer fitted to cached features, as a stage."""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Augmentation, Stage
from models_zoo.tuning.methods import METHODS
from shifts.errors import UnknownNameError


def on_features(
    shift: str,
    method: str,
    *,
    split: str = "train",
    share: float = 1.0,
    augment: str | tuple[Augmentation, ...] | None = None,
    view: Augmentation | None = None,
    **parameters: Any,
) -> Stage:
    """A stage that computes the features of the frozen body once and fits a last layer to them.

    Args:
        method: one of ``models_zoo.tuning.methods``.
        share: of the examples of each class; epochs are passes over these.
        augment, view: make two views of each image, as the code released with NMTune does in every epoch, but
            here once: cross-entropy is of both, consistency between them. None takes the images as they are,
            as published for linear probes.
        parameters: of the method, where they are not its own.

    Raises:
        UnknownNameError: no such method.
    """
    if method not in METHODS:
        raise UnknownNameError(f"there is no method {method!r}", hint=f"methods: {', '.join(METHODS)}")
    fit = METHODS[method].fit
    return Stage(
        shift=shift,
        split=split,
        share=share,
        epochs=1,
        learning_rate=0.0,
        augment=augment,
        view=view,
        head_fit=Augmentation(function=fit.function, parameters={**fit.parameters, **parameters}),
    )
