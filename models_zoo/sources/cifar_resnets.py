"""Residual networks trained on CIFAR-10, with public weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models_zoo.spec import MODELS, ModelSpec, Preprocess
from shifts.spec import RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.classifier import TorchClassifier

REVISION = "d5489e8995e81e91ce6b1d69dcc98ad579b0b153"
ADDRESS = f"https://raw.githubusercontent.com/akamaster/pytorch_resnet_cifar10/{REVISION}/pretrained_models"

# layers → bytes and SHA-256 of the weights, parameters; the file's name holds the hash's first digits
PUBLISHED = {
    20: (1_099_231, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8", 269_722),
    32: (1_890_043, "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850", 464_154),
    44: (2_680_855, "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4", 658_586),
    56: (3_471_733, "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367", 853_018),
}

for _layers, (_size, _sha256, _parameters) in PUBLISHED.items():
    _filename = f"resnet{_layers}-{_sha256[:8]}.th"
    MODELS.register(
        ModelSpec(
            name=f"cifar10-resnet{_layers}",
            title=f"ResNet-{_layers} for CIFAR-10",
            label_space="cifar10",
            preprocess=Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            family="standard",
            training_data=("cifar10",),
            loader="models_zoo.sources.cifar_resnets:load",
            arguments={"blocks": (_layers - 2) // 6},
            weights=RemoteFile(
                filename=_filename, urls=(f"{ADDRESS}/{_filename}",), sha256=_sha256, size=_size
            ),
            parameters=_parameters,
            licence="BSD-2-Clause",
            citation="He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, "
            "arXiv 1512.03385, section 4.2; weights: Y. Idelbayev, pytorch_resnet_cifar10",
            source=f"https://github.com/akamaster/pytorch_resnet_cifar10/tree/{REVISION}",
            suite="cifar10",
        )
    )


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network and read its weights; without a file they are random.

    Raises:
        WeightsError: damaged, of another network, or wanting to run code.
    """
    from models_zoo.classifier import TorchClassifier
    from models_zoo.networks.cifar_resnet import CifarResNet
    from models_zoo.weights import load_into, load_state_dict
    from shifts.labels import LABEL_SPACES

    classes = LABEL_SPACES.get(label_space or spec.label_space)
    network = CifarResNet(spec.arguments["blocks"], num_classes=len(classes))
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
    return TorchClassifier(spec, network, head=network.linear, device=device, precision=precision)
