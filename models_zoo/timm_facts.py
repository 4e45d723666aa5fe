"""What timm holds, read from the library itself; importing it takes seconds."""

from __future__ import annotations

import warnings
from typing import Any

from shifts.registry import resolve

# What an entry is without a word about it.
DEFAULTS: dict[str, Any] = {
    "classes": 1000,
    "input": [224, 224],
    "crop_pct": 0.875,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "test_input": None,
    "test_crop_pct": None,
    "fixed": False,
    "licence": "apache-2.0",
    "hub": None,
    "url": None,
    "origin": None,
    "papers": None,
    "default": None,
    "parameters": None,
}


def facts() -> dict[str, dict[str, Any]]:
    """Every weight under ``architecture.tag``, and every architecture with the tag the library prefers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from timm.models import get_pretrained_cfg, list_models, list_pretrained

        found = {name: _entry(name, get_pretrained_cfg(name)) for name in list_pretrained()}
        for name in list_models():
            cfg = get_pretrained_cfg(name)
            default = None if cfg is None else f"{name}.{cfg.tag}" if cfg.tag else None
            found[name] = {
                **_entry(name, cfg, weights=False),
                **({"default": default} if default in found else {}),
            }
    return found


def _entry(name: str, cfg: Any, *, weights: bool = True) -> dict[str, Any]:
    raw = {} if cfg is None else cfg.to_dict()
    config = resolve("timm.data.config:resolve_data_config")(pretrained_cfg=raw)
    entry = {
        "classes": raw.get("num_classes", 1000),
        "input": list(config["input_size"][1:]),
        **{key: config[key] for key in ("crop_pct", "crop_mode", "interpolation")},
        "mean": list(config["mean"]),
        "std": list(config["std"]),
        "test_input": list(raw["test_input_size"][1:]) if raw.get("test_input_size") else None,
        "test_crop_pct": raw.get("test_crop_pct"),
        "fixed": bool(raw.get("fixed_input_size")),
    }
    if weights:
        # The library writes "timm/" where the repository is called like the weights.
        hub = raw.get("hf_hub_id")
        entry |= {
            "licence": raw.get("license") or "",
            "hub": "" if hub is None else None if hub == f"timm/{name}" else hub,
            "url": None if hub else raw.get("url") or None,
            "origin": raw.get("origin_url"),
            "papers": raw.get("paper_ids"),
        }
    return {key: value for key, value in entry.items() if value != DEFAULTS[key]}
