"""Models whose every answer is known beforehand: to check a pipeline from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_zoo.spec import MODELS, ModelSpec, Preprocess
from shifts.labels import ANY

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.classifier import TorchClassifier

_COMMON: dict[str, Any] = {
    "preprocess": Preprocess(),
    "family": "unknown",
    "training_data": (),
    "licence": "MIT",
    "citation": "this project",
    "source": "computed",
    "parameters": 0,
}

MODELS.register(
    ModelSpec(
        name="constant",
        title="answers the first class, whatever it sees",
        label_space=ANY,
        loader="models_zoo.sources.doubles:load_constant",
        suite="digits",
        **_COMMON,
    ),
    ModelSpec(
        name="toy-oracle",
        title="reads the class off a toy image and is always right",
        label_space="toy",
        loader="models_zoo.sources.doubles:load_oracle",
        suite="toy",
        **_COMMON,
    ),
)


def load_constant(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Class 0 with probability e / (e + C − 1)."""
    import torch
    from torch import nn

    from models_zoo.classifier import TorchClassifier
    from shifts.labels import LABEL_SPACES

    if label_space is None:
        raise ValueError("the constant model needs the label space it is to answer in")
    answer = torch.zeros(len(LABEL_SPACES.get(label_space)))
    answer[0] = 1.0

    class Constant(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return answer.to(images).expand(len(images), -1)

    return TorchClassifier(spec, Constant(), device=device, precision=precision)


def load_oracle(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """The brightness of the eight places where a toy image may carry its block."""
    import torch
    from torch import nn

    from models_zoo.classifier import TorchClassifier

    class Oracle(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            grey = images.mean(1)
            places = [
                grey[:, 2 + 8 * row : 6 + 8 * row, 4 * column : 4 * column + 4].mean((1, 2))
                for row in range(2)
                for column in range(4)
            ]
            return 10.0 * torch.stack(places, dim=1)

    return TorchClassifier(spec, Oracle(), device=device, precision=precision)
