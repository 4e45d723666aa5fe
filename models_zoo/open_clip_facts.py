"""What open_clip holds, read from the library itself; importing it takes seconds."""

from __future__ import annotations

from typing import Any


def facts() -> dict[str, dict[str, Any]]:
    """Every architecture, and weights as ``architecture:tag``; their fields are in ``open_clip_index``.

    The library lists weights trained with QuickGELU under the architecture without it as well, where they are
    several points worse; here they stand under the right one alone.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    found, names = {}, set(open_clip.list_models())
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        size, text = config["vision_cfg"].get("image_size", 224), config["text_cfg"]
        entry = {
            "size": list(size) if isinstance(size, (list, tuple)) else [size, size],
            "quick_gelu": config.get("quick_gelu"),
            "tokenizer": text.get("hf_tokenizer_name"),
            "text_network": text.get("hf_model_name"),
        }
        found[name] = {key: value for key, value in entry.items() if value}
        for tag in open_clip.list_pretrained_tags_by_model(name):
            weights = get_pretrained_cfg(name, tag)
            better = f"{name}-quickgelu" in names
            if not (weights.get("quick_gelu") and better):
                found[f"{name}:{tag}"] = _weights(weights)
    return found


def _weights(told: dict[str, Any]) -> dict[str, Any]:
    names = {"hf_hub": "hub"}
    kept = ("hf_hub", "url", "mean", "std", "interpolation", "resize_mode", "quick_gelu")
    return {names.get(key, key): told[key] for key in kept if told.get(key)}


def count(name: str) -> int:
    """Parameters of an image tower, built without memory; takes up to seconds, so it is done for releases."""
    import open_clip
    import torch
    from open_clip.model import _build_vision_tower

    config = open_clip.get_model_config(name)
    config["vision_cfg"]["timm_model_pretrained"] = False
    with torch.device("meta"):
        tower = _build_vision_tower(
            config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False)
        )
    return sum(parameter.numel() for parameter in tower.parameters())
