"""MLP tuning: a small network between frozen features and a linear classifier, by cross-entropy alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models_zoo.tuning.feature_training import FeatureTraining

EXPANSION = 4


class TransformedHead(nn.Module):
    """Features F (B, D) → tuned features Z (B, D) → logits (B, C).

    Z = MLP(F), with Linear(D, 4D) – batch norm – ReLU – Linear(4D, D); or Z = s ⊙ MLP(F) + F, with a learned
    scale s of each feature.

    Args:
        scale: what s begins as; None for no residual connection.
    """

    def __init__(self, dim: int, classes: int, *, scale: float | None = None) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, EXPANSION * dim),
            nn.BatchNorm1d(EXPANSION * dim),
            nn.ReLU(),
            nn.Linear(EXPANSION * dim, dim),
        )
        self.scale = None if scale is None else nn.Parameter(torch.full((dim,), scale))
        self.classifier = nn.Linear(dim, classes)

    def tuned(self, features: torch.Tensor) -> torch.Tensor:
        """Z."""
        found: torch.Tensor = self.mlp(features)
        return found if self.scale is None else self.scale * found + features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.classifier(self.tuned(features))
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class MLPTuning(FeatureTraining):
    """The network of NMTune without its terms (Chen et al., arXiv 2309.17002, section 5: a baseline).

    Attributes:
        scale: what the scale of the residual connection begins as; None for no such connection.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    scale: float | None = None

    def build(self, dim: int, classes: int) -> nn.Module:
        """The network with its classifier."""
        return TransformedHead(dim, classes, scale=self.scale)
