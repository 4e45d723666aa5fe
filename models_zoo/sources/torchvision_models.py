"""Every image classifier of torchvision: ``torchvision:ARCHITECTURE[:WEIGHTS]``, else its default weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from models_zoo.library_index import index
from models_zoo.spec import MODELS, Family, ModelSpec, Preprocess
from models_zoo.torchvision_facts import DEFAULTS
from shifts.spec import RemoteFile

PREFIX = "torchvision:"
NO_CLASSES = "none"  # the label space of a network without a trained head: features only
_CITATION = "TorchVision maintainers and contributors 2016, https://github.com/pytorch/vision"

# Name of the weights → family and data. SWAG: Singh et al., arXiv 2201.08371.
HISTORIES: dict[str, tuple[Family, tuple[str, ...]]] = {
    "imagenet1k_v1": ("standard", ("imagenet-1k",)),
    "imagenet1k_v2": ("standard", ("imagenet-1k",)),
    "imagenet1k_features": ("standard", ("imagenet-1k",)),
    "imagenet1k_swag_e2e_v1": ("more-data", ("instagram-3.6b", "imagenet-1k")),
    "imagenet1k_swag_linear_v1": ("more-data", ("instagram-3.6b", "imagenet-1k")),
}
UNKNOWN: tuple[Family, tuple[str, ...]] = ("unknown", ("unknown",))  # weights newer than this table


def find(name: str) -> ModelSpec | None:
    """The declaration of ``torchvision:…``; None for a name of another kind or that the library lacks."""
    key = name.removeprefix(PREFIX)
    if key == name or key not in index("torchvision").entries:
        return None
    return _declared(key)


def listing() -> Iterator[ModelSpec]:
    """Every weight of an image classifier; the architectures' names stand for one of them each."""
    return (_declared(key) for key in index("torchvision").entries if ":" in key)


def preprocess_of(transform: Any) -> Preprocess:
    """The evaluation transform of weights (``weights.transforms()``) as data."""
    return Preprocess(
        resize=transform.resize_size[0],
        crop=(transform.crop_size[0],) * 2,
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


def _declared(key: str) -> ModelSpec:
    entries = index("torchvision").entries
    architecture, _, tag = key.partition(":")
    chosen = tag or entries[key]["default"]
    entry: Mapping[str, Any] = {**DEFAULTS, **entries[f"{architecture}:{chosen}"]}
    family, training_data = HISTORIES.get(chosen, UNKNOWN)
    filename = entry["url"].rpartition("/")[2]
    prefix = re.search(r"-([0-9a-f]{8,})\.", filename)
    side, classes = entry["crop"], entry["classes"]
    default = "" if tag else " (the library's default)"
    outputs = "" if classes else "; features only"
    return ModelSpec(
        name=PREFIX + key,
        title=f"{architecture}, {side} × {side}, {chosen}{default}: {' → '.join(training_data)}{outputs}",
        label_space="imagenet-1k" if classes else NO_CLASSES,
        preprocess=Preprocess(
            resize=entry["resize"],
            crop=(side, side),
            interpolation=entry["interpolation"],
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
        ),
        family=family,
        training_data=training_data,
        loader="models_zoo.torchvision_loading:load",
        weights=RemoteFile(
            filename=filename, urls=(entry["url"],), sha256_prefix=None if prefix is None else prefix[1]
        ),
        arguments={"model": architecture, "image_size": entry["image_size"]},
        parameters=entry["parameters"],
        licence=entry["licence"],
        citation=_CITATION,
        source=f"https://docs.pytorch.org/vision/stable/models.html ({chosen})",
        suite="imagenet",
        notes=() if classes else ("no classes: the weights hold the layers below the head alone",),
    )


MODELS.add_resolver(find, listing=listing, prefix=PREFIX)
