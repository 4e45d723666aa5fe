"""Small CLIP networks of open_clip with weights of their own, and pictures for them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from models_zoo.loading import load_spec
from models_zoo.spec import MODELS, ModelSpec, Preprocess

TINY: dict[str, dict[str, Any]] = {
    "tiny-clip": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "tiny-sigmoid": {
        "embed_dim": 32,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "tiny-coca": {
        "embed_dim": 32,
        "multimodal_cfg": {"width": 32, "context_length": 76, "vocab_size": 49408, "layers": 1, "heads": 2},
        "custom_text": True,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 64,
            "patch_size": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "text_cfg": {
            "context_length": 76,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
            "embed_cls": True,
            "output_tokens": True,
        },
    },
}


@pytest.fixture(scope="module", autouse=True)
def tiny_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, config in TINY.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def tiny(name: str = "tiny-clip") -> ModelSpec:
    """A small member of the family, which the contract of all models is checked on."""
    return dataclasses.replace(
        MODELS.get("clip-vit-b16"),
        name=name,
        arguments={"architecture": name},
        preprocess=Preprocess(resize=32, crop=(32, 32), interpolation="bicubic"),
        parameters=None,
        weights=None,
    )


def saved(folder: Path, name: str = "tiny-clip") -> Path:
    """Weights whose features differ from image to image, in OpenAI's scale of logits."""
    torch.manual_seed(0)
    network = open_clip.create_model(name, pretrained=None)
    state = {
        key: value.clone() * (3 if value.dim() > 1 else 1) for key, value in network.state_dict().items()
    }
    state["logit_scale"] = torch.tensor(100.0).log()
    # The library leaves a part that writes captions, and takes no part here, uninitialised.
    state.update({key: torch.zeros_like(value) for key, value in state.items() if "decoder" in key})
    path = folder / f"{name}.safetensors"
    save_file(state, path)
    return path


def pictures(number: int = 5, *, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (number, 40, 36, 3), dtype=np.uint8))


def loaded(weights: Path | None, spec: ModelSpec | None = None, space: str = "digits", **options: Any) -> Any:
    return load_spec(spec or tiny(), weights, label_space=space, device="cpu", **options)
