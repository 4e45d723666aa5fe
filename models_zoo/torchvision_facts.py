"""What torchvision holds, read from the library itself; importing it takes seconds."""

from __future__ import annotations

from typing import Any

# What an entry is without a word about it.
DEFAULTS: dict[str, Any] = {
    "classes": 1000,
    "resize": 256,
    "crop": 224,
    "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "licence": "BSD-3-Clause",
    "image_size": None,
    "default": None,
}
NON_COMMERCIAL = {"https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0"}


def facts() -> dict[str, dict[str, Any]]:
    """Every weight of an image classifier as ``architecture:weights``, and the architectures' defaults.

    Quantised networks are left out: their kernels run on the CPU alone and give no float features.
    """
    from torchvision import models

    found: dict[str, dict[str, Any]] = {}
    for name in models.list_models(module=models):
        enum = models.get_model_weights(name)
        for weights in enum:
            found[f"{name}:{weights.name.lower()}"] = _entry(name, weights)
        found[name] = {"default": enum.DEFAULT.name.lower()}
    return found


def _entry(name: str, weights: Any) -> dict[str, Any]:
    transform, meta = weights.transforms(), weights.meta
    entry = {
        "classes": len(meta["categories"] or ()),
        "resize": transform.resize_size[0],
        "crop": transform.crop_size[0],
        "interpolation": transform.interpolation.value,
        "mean": list(transform.mean),
        "std": list(transform.std),
        "licence": NON_COMMERCIAL.get(meta["license"], meta["license"])
        if "license" in meta
        else "BSD-3-Clause",
        # Only vision transformers are built for one size.
        "image_size": meta["min_size"][0] if name.startswith("vit_") else None,
        "url": weights.url,
        "parameters": meta["num_params"],
    }
    return {key: value for key, value in entry.items() if key not in DEFAULTS or value != DEFAULTS[key]}
