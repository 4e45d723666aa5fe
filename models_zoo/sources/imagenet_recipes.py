"""Published recipes at full scale, as configurations: they need the user's data and a GPU, and no other code.

``train NAME --smoke`` takes a few steps of each on whatever part of the data is at hand.
"""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.sources.cifar_scratch import HE
from models_zoo.spec import MODELS, ModelSpec, Preprocess

COHEN_WANG = "Cohen-Wang, Vendrow and Madry, arXiv 2403.00194"
IMAGENET = Preprocess(resize=256, crop=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CROP = Augmentation(function="models_zoo.augmentations:random_resized_crop")
FLIP = (Augmentation(function="models_zoo.augmentations:crop_and_flip", parameters={"pad": 0}),)
RESNET50 = "models_zoo.networks.library:resnet50"

# What several recipes share; arguments not said by the papers are the libraries' defaults.
_VIT: dict[str, Any] = {
    "epochs": 100,
    "warmup_epochs": 10,
    "learning_rate": 3e-3,
    "weight_decay": 0.1,
    "batch_size": 512,
    "label_smoothing": 0.1,
    "clip": 1.0,
    "view": CROP,
}

RECIPES = {
    # Appendix B.3. Its checkpoints of the epochs 50 to 85 are the baseline line.
    "imagenet-vit-b32-scratch": Recipe(
        network="models_zoo.networks.library:clip_image_tower",
        arguments={"architecture": "ViT-B-32"},
        stages=(Stage(shift="imagenet-train", **_VIT),),
        keep=tuple(range(50, 86)),
        threads=None,
        accelerator=True,
    ),
    # The same for label shift, where there are half as many images.
    "imagenet-vit-b32-scratch-200": Recipe(
        network="models_zoo.networks.library:clip_image_tower",
        arguments={"architecture": "ViT-B-32"},
        stages=(Stage(shift="imagenet-train", **{**_VIT, "epochs": 200, "warmup_epochs": 20}),),
        keep=tuple(range(102, 171, 2)),
        threads=None,
        accelerator=True,
    ),
    # torchvision's reference training of its first weights.
    "imagenet-resnet50-scratch": Recipe(
        network=RESNET50,
        stages=(
            Stage(
                shift="imagenet-train",
                epochs=90,
                optimiser="sgd",
                learning_rate=0.1,
                schedule="step",
                milestones=(30, 60),
                weight_decay=1e-4,
                batch_size=256,
                view=CROP,
            ),
        ),
        keep=tuple(range(10, 90, 10)),
        threads=None,
        accelerator=True,
    ),
    # Section 7 and appendix B.6, with a batch size and a rate of its grid.
    "celeba-resnet18-scratch": Recipe(
        network="models_zoo.networks.library:resnet18",
        stages=(
            Stage(
                shift="celeba",
                epochs=32,
                optimiser="sgd",
                learning_rate=0.1,
                schedule="triangular",
                warmup_epochs=4,
                weight_decay=5e-4,
                batch_size=128,
                augment=FLIP,
            ),
        ),
        threads=None,
        accelerator=True,
    ),
    # Section 6 and appendix B.5; trained also on shares of the data (`@share-25`), with as many steps.
    "fmow-resnet50-scratch": Recipe(
        network=RESNET50,
        stages=(
            Stage(
                shift="fmow",
                epochs=64,
                optimiser="sgd",
                learning_rate=0.2,
                schedule="triangular",
                warmup_epochs=8,
                weight_decay=5e-4,
                batch_size=128,
                augment=FLIP,
            ),
        ),
        threads=None,
        accelerator=True,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return RECIPES[name]


def _register(name: str, title: str, citation: str, **fields: Any) -> None:
    MODELS.register(
        ModelSpec(
            name=name,
            title=title,
            preprocess=IMAGENET,
            family="standard",
            loader="models_zoo.sources.cifar_scratch:load",
            recipe="models_zoo.sources.imagenet_recipes:recipe",
            arguments={"network": RECIPES[name].network, **RECIPES[name].arguments},
            licence="MIT",
            citation=citation,
            source="trained on this machine by its recipe",
            **fields,
        )
    )


for _name, _said in (("imagenet-vit-b32-scratch", ""), ("imagenet-vit-b32-scratch-200", ", 200 epochs")):
    _register(
        _name,
        f"ViT-B/32 of open_clip, from scratch on ImageNet{_said}",
        f"{COHEN_WANG}, appendix B.3",
        label_space="imagenet-1k",
        training_data=("imagenet-1k",),
        parameters=87_849_216 + 512 * 1000 + 1000,
        suite="imagenet",
    )
_register(
    "imagenet-resnet50-scratch",
    "ResNet-50, from scratch on ImageNet",
    HE,
    label_space="imagenet-1k",
    training_data=("imagenet-1k",),
    parameters=25_557_032,
    suite="imagenet",
)
_register(
    "celeba-resnet18-scratch",
    "ResNet-18, from scratch on CelebA's hair colours",
    f"{COHEN_WANG}, section 7",
    label_space="celeba",
    training_data=("celeba",),
    parameters=11_689_512 - 998 * 513,
    suite="celeba",
)
_register(
    "fmow-resnet50-scratch",
    "ResNet-50, from scratch on satellite images of 2002 to 2012",
    f"{COHEN_WANG}, appendix B.5",
    label_space="fmow",
    training_data=("fmow",),
    parameters=25_557_032 - 938 * 2049,
    suite="fmow",
)
