"""Networks for CIFAR-10 trained from scratch on this machine: residual and transformer, full and short.

The full recipes are for the 50,000 training images and a GPU, or patience. The short one learns from the
JPEG copy of the training images (``cifar10-jpeg75``), whole or a part, in minutes on two cores: eight layers
instead of twenty, at a third of the cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.classifier import TorchClassifier

CROP = (Augmentation(function="models_zoo.augmentations:crop_and_flip", parameters={"pad": 4}),)
RESNET = "models_zoo.sources.cifar_scratch:resnet"
VIT = "models_zoo.networks.vision_transformer:SmallViT"
HE = (
    "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385, "
    "section 4.2"
)
DOSOVITSKIY = "Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, arXiv 2010.11929"

_SGD: dict[str, Any] = {
    "optimiser": "sgd",
    "momentum": 0.9,
    "learning_rate": 0.1,
    "weight_decay": 1e-4,
    "batch_size": 128,
    "augment": CROP,
}
_VIT: dict[str, Any] = {"side": 32, "patch": 4, "width": 192, "depth": 6, "heads": 3, "drop_path": 0.1}

RECIPES = {
    # 64,000 steps, a tenth of the rate after 32,000 and 48,000 of them, as published.
    "cifar10-resnet20-scratch": Recipe(
        network=RESNET,
        arguments={"blocks": 3},
        stages=(Stage(shift="cifar10", epochs=164, schedule="step", milestones=(82, 123), **_SGD),),
        keep=tuple(range(10, 164, 10)),
        threads=2,
        accelerator=True,
    ),
    # An epoch is one over 50,000 images: of a copy of 10,000 each is seen 15 times in these three.
    "cifar10-resnet8-short": Recipe(
        network=RESNET,
        arguments={"blocks": 1},
        stages=(Stage(shift="cifar10-jpeg75", epochs=3, schedule="triangular", warmup_epochs=0.5, **_SGD),),
        keep=(1, 2),
        threads=2,
    ),
    "cifar10-vit-scratch": Recipe(
        network=VIT,
        arguments=_VIT,
        stages=(
            Stage(
                shift="cifar10",
                epochs=200,
                learning_rate=1e-3,
                weight_decay=0.05,
                decayed="matrices",
                batch_size=256,
                warmup_epochs=10,
                label_smoothing=0.1,
                clip=1.0,
                augment=CROP,
            ),
        ),
        keep=tuple(range(20, 200, 20)),
        threads=2,
        accelerator=True,
    ),
}
_NAMED = {
    "cifar10-resnet20-scratch": ("ResNet-20 for CIFAR-10, from scratch", HE),
    "cifar10-resnet8-short": ("ResNet-8 from scratch on CIFAR-10 as JPEG, in minutes", HE),
    "cifar10-vit-scratch": ("small vision transformer for CIFAR-10, from scratch", DOSOVITSKIY),
}


def _parameters(name: str) -> int:
    """Weights and biases, counted by hand."""
    if "resnet" in name:
        return {3: 269_722, 1: 75_290}[RECIPES[name].arguments["blocks"]]
    width, depth = int(_VIT["width"]), int(_VIT["depth"])
    tokens = 1 + int(_VIT["side"] // _VIT["patch"]) ** 2
    block = 12 * width**2 + 13 * width
    return (3 * 16 + 1) * width + (1 + tokens) * width + depth * block + 2 * width + 10 * width + 10


MODELS.register(
    *(
        ModelSpec(
            name=name,
            title=title,
            label_space="cifar10",
            preprocess=Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616)),
            family="standard",
            training_data=("cifar10",),
            loader="models_zoo.sources.cifar_scratch:load",
            recipe="models_zoo.sources.cifar_scratch:recipe",
            arguments={"network": RECIPES[name].network, **RECIPES[name].arguments},
            parameters=_parameters(name),
            licence="MIT",
            citation=citation,
            source="trained on this machine by its recipe",
            suite="cifar10",
        )
        for name, (title, citation) in _NAMED.items()
    )
)


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return RECIPES[name]


def resnet(num_classes: int, *, blocks: int) -> Any:
    """The residual network for images of 32 pixels, initialised as He et al. do (arXiv 1502.01852)."""
    from torch import nn

    from models_zoo.networks.cifar_resnet import CifarResNet

    network = CifarResNet(blocks, num_classes=num_classes)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
    return network


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network of the recipe and read its weights.

    Raises:
        WeightsError: damaged, or of another network.
    """
    from models_zoo.classifier import TorchClassifier
    from models_zoo.optimising import network_of
    from models_zoo.recipe import recipe_of
    from models_zoo.weights import load_into, load_state_dict
    from shifts.labels import LABEL_SPACES

    network, head = network_of(recipe_of(spec), len(LABEL_SPACES.get(spec.label_space)))
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
    return TorchClassifier(
        spec, network, head=network.get_submodule(head), device=device, precision=precision
    )
