"""Small networks for CIFAR-10 at 16 × 16 pixels, trained from scratch on this machine in seconds.

For studies that need dozens of models: they learn from a fifth of the compressed training images, and leave
the others to pre-train on and to hold out.
"""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess

SIDE = 16
WIDTH = 16
NAME, KINDS = "cifar10-cnn16", "cifar10-kinds-cnn16"
POOL, TRAIN, HELD_OUT = (0.0, 0.6), (0.6, 0.8), (0.8, 1.0)  # parts of every class
MOVE = Augmentation(function="models_zoo.augmentations:crop_and_flip", parameters={"pad": 2})

_COMMON: dict[str, Any] = {"epochs": 4, "learning_rate": 3e-3, "augment": (MOVE,)}

# An epoch is one over a fifth of 50,000 images: of a copy of 10,000 each is seen five times in it.
RECIPES = {
    name: Recipe(
        network="models_zoo.networks.small:cnn",
        arguments={"width": WIDTH},
        stages=(Stage(shift=shift, part=TRAIN, **_COMMON),),
    )
    for name, shift in ((NAME, "cifar10-compressed"), (KINDS, "cifar10-kinds-tinted-0.9"))
}


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return RECIPES[name]


def _register(name: str, *, title: str, classes: int, **fields: Any) -> None:
    made = RECIPES[name]
    MODELS.register(
        ModelSpec(
            name=name,
            title=f"three convolutions from scratch on a fifth of CIFAR-10 as JPEG, 16 pixels{title}",
            preprocess=Preprocess(
                resize=SIDE, crop=(SIDE, SIDE), mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
            ),
            loader="models_zoo.sources.digits_models:load",
            recipe="models_zoo.sources.cifar_small:recipe",
            arguments={"network": made.network, **made.arguments},
            # Three convolutions with batch norm, and the last layer, counted by hand.
            parameters=(27 + 2) * WIDTH
            + (18 * WIDTH + 4) * WIDTH
            + (72 * WIDTH + 8) * WIDTH
            + (4 * WIDTH + 1) * classes,
            family="standard",
            licence="MIT",
            citation="this project",
            source="trained on this machine by its recipe",
            **fields,
        )
    )


_register(
    NAME, title="", classes=10, label_space="cifar10", training_data=("cifar10",), suite="cifar10-compressed"
)
_register(
    KINDS,
    title=": vehicle or animal, in colours that mostly tell",
    classes=2,
    label_space="cifar10-kinds",
    training_data=("cifar10-kinds", "cifar10"),
    suite="cifar10-kinds-tinted-0.9",
)
