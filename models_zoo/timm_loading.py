"""Building a network of timm and putting weights into it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch import nn

from models_zoo.classifier import TorchClassifier
from models_zoo.heads import outputs_of
from models_zoo.unfilled import building
from models_zoo.weights import load_into, load_state_dict
from shifts.errors import LabelSpaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from models_zoo.classifier import Answer, Images
    from models_zoo.spec import ModelSpec

NO_CLASSES = "none"  # the label space of a network without a trained head: features only


class FeaturesOnly(TorchClassifier):
    """A network without classes: what it gives are features (of CLIP's, the image embedding)."""

    def begin(self, images: Images) -> Answer:
        raise LabelSpaceError(
            f"{self.spec.name!r} has no classes: it gives features only",
            hint="train a head on its features, or take weights that were fine-tuned (…_ft_in1k)",
        )

    def features(self, images: Images) -> NDArray[np.float32]:
        return self.over(images, lambda inputs: _pooled(self.network(inputs)))


class PooledClassifier(TorchClassifier):
    """A network whose head is not one linear layer: features are what timm pools before it."""

    def features(self, images: Images) -> NDArray[np.float32]:
        network: Any = self.network
        return self.over(
            images,
            lambda inputs: _pooled(network.forward_head(network.forward_features(inputs), pre_logits=True)),
        )


def _pooled(features: torch.Tensor) -> torch.Tensor:
    """(B, D); a map of features is averaged over its places."""
    return (features.mean((-2, -1)) if features.dim() == 4 else features).flatten(1)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network as the library does, but for its weights; without any they are random.

    Raises:
        WeightsError: damaged, of another network, or wanting to run code.
    """
    import timm

    classes = spec.arguments["outputs"]
    if spec.label_space != NO_CLASSES:
        classes = outputs_of(spec.head, label_space=spec.label_space)
    # Naming the number where it is the weights' own would take the head from those that have none.
    other = {} if classes == spec.arguments["outputs"] else {"num_classes": classes}
    with building(weights):
        network = timm.create_model(spec.arguments["model"], pretrained=False, **other)
    if weights is not None:
        state = load_state_dict(weights)
        load_into(network, _in_its_names(network, state), where=weights)
    kind, head = _head(network)
    if spec.label_space == NO_CLASSES:
        kind = FeaturesOnly
    return kind(spec, network, head=head, device=device, precision=precision)


def _in_its_names(network: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """A file of a model's own authors, renamed by timm's rule for it; any other as it is."""
    rename = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if rename is None or state.keys() == network.state_dict().keys():
        return state
    try:
        renamed: Mapping[str, torch.Tensor] = rename(dict(state), network)
    except Exception:  # noqa: BLE001 - the rule stumbles over a file it was not made for; that is told next
        return state
    ours = network.state_dict().keys()
    return renamed if len(ours & renamed.keys()) > len(ours & state.keys()) else state


def _head(network: nn.Module) -> tuple[type[TorchClassifier], nn.Module | None]:
    """The layer behind the features, where it is one."""
    found = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]  # a method
    if isinstance(found, nn.Linear):
        return TorchClassifier, found
    return PooledClassifier, None
