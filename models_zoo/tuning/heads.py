"""A last layer that is fitted to features at once: what it is given, and how a stage of a recipe does it.

The body is frozen and its features are computed once, of the images as the evaluation sees them (linear
probing on cached features). What comes out takes the place of the network's last layer; it may be more than
one layer, and then the last linear one of them is the classifier, whose input are the tuned features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from models_zoo.devices import autocast
from models_zoo.preprocessing import normalise
from shifts.errors import UserError
from shifts.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from models_zoo.feeding import Feed
    from models_zoo.recipe import Augmentation
    from models_zoo.spec import Preprocess

CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureSet:
    """Features to fit a last layer to.

    Attributes:
        features: float32 (N, D), of the images as they are, or of a first augmented view of each.
        labels: int64 (N,), below ``classes``.
        groups: int64 (N,), one number a group, or None where there are no groups.
        views: float32 (N, D), features of a second augmented view of each image, or None.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    groups: NDArray[np.int64] | None = None
    views: NDArray[np.float32] | None = None


class HeadFit(Protocol):
    """A way to fit a last layer; an implementation is a frozen dataclass of plain JSON parameters."""

    def build(self, dim: int, classes: int) -> nn.Module:
        """The layer with weights of no meaning: features (B, dim) → logits (B, classes)."""
        ...

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        """Fit the layer in place; the same data and seed give the same weights."""
        ...


def head_fit_of(named: Augmentation) -> HeadFit:
    """The way to fit that a stage names, with its parameters.

    Raises:
        UserError: there is none of that name, or it does not know a parameter.
    """
    try:
        made: HeadFit = resolve(named.function)(**named.parameters)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UserError(f"there is no way to fit a last layer {named.function!r}: {error}") from error
    return made


def feature_set(
    network: nn.Module, head: str, feed: Feed, preprocess: Preprocess, *, device: torch.device, precision: str
) -> FeatureSet:
    """What a last layer is fitted to: the images of a stage as they are, or two augmented views of each.

    Augmentation is drawn once for each view, and not anew in every epoch: the features are computed but once.
    """
    augmented = feed.stage.augment is not None or feed.stage.view is not None

    def seen(batches: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return _features_of(network, head, batches, preprocess, device=device, precision=precision)

    return FeatureSet(
        features=seen(feed.augmented(0, CHUNK) if augmented else feed.plain(CHUNK)),
        views=seen(feed.augmented(1, CHUNK)) if augmented else None,
        labels=feed.labels,
        classes=feed.shift.num_classes,
        groups=feed.groups(),
    )


def _features_of(
    network: nn.Module,
    head: str,
    batches: Iterable[NDArray[np.uint8]],
    preprocess: Preprocess,
    *,
    device: torch.device,
    precision: str,
) -> NDArray[np.float32]:
    """What the last layer sees of images: float32 (N, D).

    The sums do not depend on how many images are computed at once: the parts have a fixed size.
    """
    network.eval()
    layer = network.get_submodule(head)
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].flatten(1)))
    found = []
    try:
        with torch.inference_mode(), autocast(device, precision):
            for images in batches:
                seen.clear()
                inputs = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
                network(normalise(inputs, preprocess))
                found.append(seen[0].to("cpu", torch.float32))
    finally:
        hook.remove()
    values: NDArray[np.float32] = torch.cat(found).numpy()
    return values


def put_head(network: nn.Module, name: str, layer: nn.Module) -> str:
    """Put a layer in place of the last one; gives the name of its last linear layer."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, layer)
    if isinstance(layer, nn.Linear):
        return name
    linear = [inner for inner, module in layer.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError("a fitted last layer ends in a linear one", hint="see models_zoo.tuning.heads")
    return f"{name}.{linear[-1]}"


def set_linear(layer: nn.Linear, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    """Put weight (C, D) and bias (C,) into a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
