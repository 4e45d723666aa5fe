"""Scratch models for PACS: a small convolutional network for each domain, trained on this machine.

Each learns on the four fifths of its domain that the domain's reference leaves for training, at 64 × 64
pixels (``pacs-cnn-32``: at 32 × 32). They show how a network without pre-training falls from one style to
another; they are no match for published domain-generalisation results, which start from ImageNet weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models_zoo.recipe import Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 16
EPOCHS = 10
CLASSES = 7
DOMAINS = ("photo", "art", "cartoon", "sketch")
NAMES = {("pacs-cnn" if domain == "photo" else f"pacs-{domain}-cnn"): domain for domain in DOMAINS}
SIDES = {**dict.fromkeys(NAMES, 64), "pacs-cnn-32": 32}
NAMES["pacs-cnn-32"] = "photo"  # at a quarter of the cost, for studies of many models


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    domain = NAMES[name]
    return Recipe(
        network="models_zoo.networks.small:cnn",
        arguments={"width": WIDTH},
        stages=(
            Stage(
                shift=f"pacs-{domain}",
                split=domain,
                epochs=EPOCHS,
                learning_rate=3e-3,
                augment="models_zoo.sources.pacs_models:mirror_and_move",
            ),
        ),
    )


def _parameters() -> int:
    """Weights and biases of three convolutions with batch norm and a linear head, counted by hand."""
    return (
        (27 + 2) * WIDTH + (18 * WIDTH + 4) * WIDTH + (72 * WIDTH + 8) * WIDTH + 4 * WIDTH * CLASSES + CLASSES
    )


MODELS.register(
    *(
        ModelSpec(
            name=name,
            title=f"three convolutions from scratch at {SIDES[name]} pixels, trained on PACS {domain}",
            label_space="pacs",
            preprocess=Preprocess(
                resize=SIDES[name],
                crop=(SIDES[name], SIDES[name]),
                mean=(0.5, 0.5, 0.5),
                std=(0.25, 0.25, 0.25),
            ),
            loader="models_zoo.sources.digits_models:load",
            recipe="models_zoo.sources.pacs_models:recipe",
            arguments={"network": "models_zoo.networks.small:cnn", "width": WIDTH},
            parameters=_parameters(),
            family="standard",
            training_data=(f"pacs-{domain}",),
            licence="MIT",
            citation="this project",
            source="trained on this machine by its recipe",
            suite=f"pacs-{domain}",
        )
        for name, domain in NAMES.items()
    )
)


def mirror_and_move(images: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror every second image on average and move each by up to 6 pixels; what comes in is the edge."""
    import numpy as np

    reach = 6
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for index, image in enumerate(images):
        padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        top, left = (int(offset) for offset in draw.integers(0, 2 * reach + 1, size=2))
        moved = padded[top : top + height, left : left + width]
        result[index] = moved[:, ::-1] if draw.random() < 0.5 else moved
    return result
