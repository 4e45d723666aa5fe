"""A small network for CIFAR-10 at 16 × 16 pixels, trained from scratch on this machine in seconds.

For studies that need dozens of models: it learns from a fifth of the compressed training images, and leaves
the others to pre-train on and to hold out.
"""

from __future__ import annotations

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess

SIDE = 16
WIDTH = 16
CLASSES = 10
NAME = "cifar10-cnn16"
POOL, TRAIN, HELD_OUT = (0.0, 0.6), (0.6, 0.8), (0.8, 1.0)  # parts of every class
MOVE = Augmentation(function="models_zoo.augmentations:crop_and_flip", parameters={"pad": 2})

RECIPE = Recipe(
    network="models_zoo.networks.small:cnn",
    arguments={"width": WIDTH},
    stages=(
        # An epoch is one over a fifth of 50,000 images: of a copy of 10,000 each is seen five times in it.
        Stage(shift="cifar10-compressed", part=TRAIN, epochs=4, learning_rate=3e-3, augment=(MOVE,)),
    ),
)


def recipe(name: str) -> Recipe:
    """The recipe of the one model of this family."""
    assert name == NAME
    return RECIPE


MODELS.register(
    ModelSpec(
        name=NAME,
        title="three convolutions from scratch on a fifth of CIFAR-10 as JPEG, 16 pixels",
        label_space="cifar10",
        preprocess=Preprocess(
            resize=SIDE, crop=(SIDE, SIDE), mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
        ),
        loader="models_zoo.sources.digits_models:load",
        recipe="models_zoo.sources.cifar_small:recipe",
        arguments={"network": RECIPE.network, **RECIPE.arguments},
        # Three convolutions with batch norm, and the last layer, counted by hand.
        parameters=(27 + 2) * WIDTH
        + (18 * WIDTH + 4) * WIDTH
        + (72 * WIDTH + 8) * WIDTH
        + (4 * WIDTH + 1) * CLASSES,
        family="standard",
        training_data=("cifar10",),
        licence="MIT",
        citation="this project",
        source="trained on this machine by its recipe",
        suite="cifar10-compressed",
    )
)
