"""Building a network of torchvision and putting weights into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.heads import outputs_of
from models_zoo.unfilled import building
from models_zoo.weights import load_into, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models_zoo.classifier import Images
    from models_zoo.spec import ModelSpec

NO_CLASSES = "none"
# Networks with further heads for training alone: their first one, and whether the library keeps them.
AUXILIARY = {"googlenet": ("aux1.", False), "inception_v3": ("AuxLogits.", True)}
# The published DenseNets were saved when a module could be called "norm.1".
_DOTTED = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network as the library does for its weights; without any they are random.

    Raises:
        WeightsError: damaged, of another network, or wanting to run code.
    """
    from torchvision.models import get_model

    name = spec.arguments["model"]
    state = None if weights is None else _renamed(load_state_dict(weights))
    arguments: dict[str, Any] = {}
    if spec.label_space != NO_CLASSES:
        arguments["num_classes"] = outputs_of(spec.head, label_space=spec.label_space)
    if spec.arguments["image_size"] is not None:
        arguments["image_size"] = spec.arguments["image_size"]
    auxiliary, kept = AUXILIARY.get(name, ("", True))
    if auxiliary:
        # As with published weights: the input is turned into the range of the original implementation.
        saved = kept if state is None else any(key.startswith(auxiliary) for key in state)
        arguments |= {"transform_input": True, "aux_logits": saved, "init_weights": state is None}
    with building(weights):
        network = get_model(name, weights=None, **arguments)
    if state is not None:
        assert weights is not None, "a state comes from weights"
        _keep_version(network)
        load_into(network, state, where=weights)
    if not kept:
        network.aux_logits = False
        network.aux1 = network.aux2 = None
    kind = PooledFeatures if name.startswith("squeezenet") else TorchClassifier
    return kind(spec, network, head=_head(network), device=device, precision=precision)


class PooledFeatures(TorchClassifier):
    """A network that classifies every place before it averages: features are averaged over places."""

    def features(self, images: Images) -> NDArray[np.float32]:
        maps = super().features(images)
        assert isinstance(self.head, nn.Conv2d), "SqueezeNet's is"
        averaged: NDArray[np.float32] = maps.reshape(len(maps), self.head.in_channels, -1).mean(axis=2)
        return averaged


def _renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = ((key, _DOTTED.fullmatch(key)) for key in state)
    return {key if match is None else match[1] + match[2]: state[key] for key, match in found}


def _keep_version(network: nn.Module) -> None:
    """Let MNASNet take tensors without the version that its own reader wants to see beside them.

    Weights of its first version have a stem of other sizes, which is refused as any other misfit.
    """
    if type(network).__name__ == "MNASNet":
        network._load_from_state_dict = nn.Module._load_from_state_dict.__get__(network)  # type: ignore[method-assign]


def _head(network: nn.Module) -> nn.Module:
    """The last linear layer; SqueezeNet has a convolution in its place."""
    layers = [module for module in network.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return layers[-1]
