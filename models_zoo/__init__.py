"""What looks at the images: model declarations, preprocessing, loading, training, tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from models_zoo.loading import load_model
    from models_zoo.spec import MODELS, ModelSpec, Preprocess

__all__ = ["MODELS", "Classifier", "ModelSpec", "Preprocess", "load_model"]

_HOME = {
    "Classifier": "models_zoo.classifier",
    "load_model": "models_zoo.loading",
    "MODELS": "models_zoo.spec",
    "ModelSpec": "models_zoo.spec",
    "Preprocess": "models_zoo.spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'models_zoo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
