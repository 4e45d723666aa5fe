"""The pre-trainings of Chen et al. (arXiv 2309.17002 and 2403.06869) at full scale, as configurations.

They need the user's data and GPUs, and no other code; with noise as ``NAME@noise-symmetric-10``, and of the
pairs of towers as ``NAME@noise-captions-10``. Supervised after Wightman et al., arXiv 2110.00476, recipe A1,
without its mixup, CutMix, RandAugment, stochastic depth and repeated augmentation, and after Touvron et al.,
arXiv 2012.12877, without the same; contrastive after Cherti et al., arXiv 2212.07143.
"""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.sources.imagenet_recipes import CROP, IMAGENET, RESNET50
from models_zoo.sources.open_clip_models import OPENAI_MEAN, OPENAI_STD
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from shifts.labels import ANY

CHEN = "Chen et al., arXiv 2309.17002 and 2403.06869"
_GPU: dict[str, Any] = {"threads": None, "accelerator": True}
_PAIRS: dict[str, Any] = {
    "epochs": 32,
    "warmup_epochs": 1,
    "learning_rate": 5e-4,
    "weight_decay": 0.1,
    "decayed": "matrices",
    "batch_size": 8192,
    "view": Augmentation(
        function="models_zoo.augmentations:random_resized_crop", parameters={"scale": (0.9, 1.0), "flip": 0.0}
    ),
    "objective": Augmentation(
        function="models_zoo.contrastive:Contrastive", parameters={"caption": "{caption}"}
    ),
}
CLIP = Preprocess(resize=224, crop=(224, 224), interpolation="bicubic", mean=OPENAI_MEAN, std=OPENAI_STD)

RECIPES = {
    "imagenet-resnet50-a1": Recipe(
        network=RESNET50,
        stages=(
            Stage(
                shift="imagenet-train",
                epochs=600,
                warmup_epochs=5,
                optimiser="lamb",
                learning_rate=5e-3,
                weight_decay=0.01,
                decayed="matrices",
                batch_size=2048,
                clip=1.0,
                view=CROP,
                objective=Augmentation(
                    function="models_zoo.objectives:BinaryCrossEntropy", parameters={"smoothing": 0.1}
                ),
            ),
        ),
        **_GPU,
    ),
    "imagenet-vit-b16-scratch": Recipe(
        network="models_zoo.networks.library:vit_b16",
        stages=(
            Stage(
                shift="imagenet-train",
                epochs=300,
                warmup_epochs=5,
                learning_rate=5e-4,
                weight_decay=0.05,
                decayed="matrices",
                batch_size=512,
                label_smoothing=0.1,
                view=CROP,
            ),
        ),
        **_GPU,
    ),
    "yfcc15m-clip-rn50": Recipe(
        network="models_zoo.networks.clip_pair:ClipPair",
        arguments={"architecture": "RN50"},
        stages=(Stage(shift="yfcc15m-pairs", **_PAIRS),),
        **_GPU,
    ),
    "cc12m-clip-vit-b16": Recipe(
        network="models_zoo.networks.clip_pair:ClipPair",
        arguments={"architecture": "ViT-B-16"},
        stages=(Stage(shift="cc12m-pairs", **_PAIRS),),
        keep=(16,),  # the epoch that the released code reads
        **_GPU,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return RECIPES[name]


def _register(name: str, title: str, **fields: Any) -> None:
    made = RECIPES[name]
    MODELS.register(
        ModelSpec(
            name=name,
            title=title,
            recipe="models_zoo.sources.noise_recipes:recipe",
            arguments={"network": made.network, **made.arguments},
            licence="MIT",
            citation=CHEN,
            source="trained on this machine by its recipe",
            suite="imagenet",
            **fields,
        )
    )


_SUPERVISED: dict[str, Any] = {
    "label_space": "imagenet-1k",
    "preprocess": IMAGENET,
    "family": "standard",
    "training_data": ("imagenet-1k",),
    "loader": "models_zoo.sources.cifar_scratch:load",
}
_CONTRASTIVE: dict[str, Any] = {
    "label_space": ANY,
    "preprocess": CLIP,
    "family": "zero-shot",
    "loader": "models_zoo.networks.zero_shot_pair:load",
}
_register(
    "imagenet-resnet50-a1",
    "ResNet-50, 600 epochs on ImageNet",
    parameters=25_557_032,
    **_SUPERVISED,
)
_register(
    "imagenet-vit-b16-scratch",
    "ViT-B/16, 300 epochs on ImageNet",
    parameters=86_567_656,
    **_SUPERVISED,
)
_register(
    "yfcc15m-clip-rn50",
    "CLIP with a ResNet-50, from scratch on YFCC15M",
    training_data=("yfcc15m",),
    parameters=38_316_896,
    **_CONTRASTIVE,
)
_register(
    "cc12m-clip-vit-b16",
    "CLIP with a ViT-B/16, from scratch on Conceptual 12M",
    training_data=("cc12m",),
    parameters=86_192_640,
    **_CONTRASTIVE,
)
