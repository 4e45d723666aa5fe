"""Small models that are pre-trained on this machine in seconds: on turned images, on images with captions.

What a study of noise in pre-training starts from (``@noise-symmetric-10``): the classes are those of the
pretext, and a linear probe or fine-tuning makes them those of a data set. The pair of towers answers without
being tuned: it compares an image with the captions of upright, uncoloured digits.
"""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.sources.cifar_small import MOVE, SIDE
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from shifts.sources.cifar10 import CLASSES
from shifts.sources.digits_turned import PALETTE, WORDS

WIDTH = 16
DIM = 32
CAPTION = "a {colour} {class}"
TURNING = ("upright", "turned", "left", "right", "upside", "down")
VOCABULARY = ("a", *PALETTE, *WORDS, *TURNING)

_NOISE = "models_zoo.sources.digits_models:pixel_noise"
_HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_CNN: dict[str, Any] = {"network": "models_zoo.networks.small:cnn", "arguments": {"width": WIDTH}}
_VIT: dict[str, Any] = {
    "network": "models_zoo.networks.vision_transformer:SmallViT",
    "arguments": {"side": 16, "patch": 4, "width": 48, "depth": 3, "heads": 3},
}
_DIGITS: dict[str, Any] = {"split": "pretrain", "augment": _NOISE}


def _towers(*vocabulary: str) -> dict[str, Any]:
    return {
        "network": "models_zoo.networks.two_tower:TwoTower",
        "arguments": {"vocabulary": vocabulary, "width": WIDTH, "dim": DIM},
    }


def _captioned(caption: str) -> Augmentation:
    return Augmentation(function="models_zoo.contrastive:Contrastive", parameters={"caption": caption})


RECIPES = {
    "digits-turned-cnn": Recipe(
        **_CNN, stages=(Stage(shift="digits-turned", epochs=20, learning_rate=3e-3, **_DIGITS),)
    ),
    "digits-turned-vit": Recipe(
        **_VIT,
        stages=(
            Stage(
                shift="digits-turned",
                epochs=20,
                learning_rate=2e-3,
                decayed="matrices",
                warmup_epochs=1,
                **_DIGITS,
            ),
        ),
    ),
    "digits-two-tower": Recipe(
        **_towers(*VOCABULARY),
        stages=(
            Stage(
                shift="digits-coloured",
                epochs=20,
                learning_rate=3e-3,
                decayed="matrices",
                batch_size=128,
                objective=_captioned(CAPTION),
                **_DIGITS,
            ),
        ),
    ),
    # An epoch is one over the 50,000 images of the published split: of a copy of 10,000 each of the 6,000 of
    # the pretext is seen more than eight times in it.
    "cifar10-turned-cnn": Recipe(
        **_CNN,
        stages=(Stage(shift="cifar10-turned", epochs=6, learning_rate=3e-3, augment=(MOVE,)),),
    ),
    "cifar10-two-tower": Recipe(
        **_towers("a", *CLASSES, *TURNING),
        stages=(
            Stage(
                shift="cifar10-turned",
                epochs=6,
                learning_rate=3e-3,
                decayed="matrices",
                batch_size=128,
                objective=_captioned("a {class}"),
                augment=(MOVE,),
            ),
        ),
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return RECIPES[name]


def _convolutions(outputs: int) -> int:
    """Weights and biases of three convolutions with batch norm and a last layer, counted by hand."""
    return (27 + 2) * WIDTH + (18 * WIDTH + 4) * WIDTH + (72 * WIDTH + 8) * WIDTH + (4 * WIDTH + 1) * outputs


def _transformer(outputs: int) -> int:
    """Weights and biases of the small transformer, counted by hand."""
    width, depth, tokens = 48, 3, 17
    block = 12 * width**2 + 13 * width
    return (3 * 16 + 1) * width + (1 + tokens) * width + depth * block + 2 * width + (width + 1) * outputs


def _register(name: str, title: str, **fields: Any) -> None:
    made = RECIPES[name]
    shown: dict[str, Any] = {
        "label_space": made.stages[0].shift,
        "preprocess": _HALF,
        "family": "standard",
        "training_data": (made.stages[0].shift,),
        "loader": "models_zoo.sources.cifar_scratch:load",
        "suite": made.stages[0].shift,
        "arguments": {},
    } | fields
    shown["arguments"] = {"network": made.network, **made.arguments, **shown["arguments"]}
    MODELS.register(
        ModelSpec(
            name=name,
            title=title,
            recipe="models_zoo.sources.pretext_models:recipe",
            licence="MIT",
            citation="this project",
            source="trained on this machine by its recipe",
            **shown,
        )
    )


_register("digits-turned-cnn", "three convolutions, digits and their turns", parameters=_convolutions(40))
_register("digits-turned-vit", "small transformer, digits and their turns", parameters=_transformer(40))
_register(
    "digits-two-tower",
    "image and text tower trained on digits with captions, zero-shot",
    label_space="digits",
    suite="digits",
    family="zero-shot",
    loader="models_zoo.networks.zero_shot_pair:load",
    arguments={"class_names": WORDS, "templates": ("a white {} upright",)},
    parameters=_convolutions(DIM),
)
_CIFAR10: dict[str, Any] = {
    "preprocess": Preprocess(
        resize=SIDE, crop=(SIDE, SIDE), mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)
    ),
    "training_data": ("cifar10-turned", "cifar10"),
}
_register(
    "cifar10-turned-cnn",
    "three convolutions, objects of CIFAR-10 and their turns",
    parameters=_convolutions(40),
    **_CIFAR10,
)
_register(
    "cifar10-two-tower",
    "image and text tower trained on CIFAR-10 with captions, zero-shot",
    label_space="cifar10",
    suite="cifar10-compressed",
    family="zero-shot",
    loader="models_zoo.networks.zero_shot_pair:load",
    arguments={"class_names": CLASSES, "templates": ("a {} upright",)},
    parameters=_convolutions(DIM),
    **_CIFAR10,
)
