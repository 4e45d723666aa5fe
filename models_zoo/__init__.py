"""What looks at the images: model declarations, preprocessing, loading, training, tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.lazy import exports

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from models_zoo.loading import load_model
    from models_zoo.spec import MODELS, ModelSpec, Preprocess

__all__ = ["MODELS", "Classifier", "ModelSpec", "Preprocess", "load_model"]

__getattr__ = exports(
    __name__,
    {
        "Classifier": "models_zoo.classifier",
        "load_model": "models_zoo.loading",
        "MODELS": "models_zoo.spec",
        "ModelSpec": "models_zoo.spec",
        "Preprocess": "models_zoo.spec",
    },
)
