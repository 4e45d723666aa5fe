"""NMTune without a network of its own: its terms on the features of a model whose weights are trained.

The form of the code released with Chen et al., arXiv 2403.06869, for low-rank adapters and full fine-tuning:
cross-entropy, covariance and dominance of what the last layer sees. There is nothing to be consistent with:
the features are what changes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models_zoo.objectives import Batch, CrossEntropy
from models_zoo.tuning.nmtune_losses import covariance, dominance
from shifts.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshaping(CrossEntropy):
    """Cross-entropy + covariance − dominance, each with its weight: for ``Stage.objective``.

    Of a batch that goes through in several passes, or is shared between processes, each part has terms of its
    own: a part needs two images, and as many as there are leading values.

    Attributes:
        covariance, dominance: weights (``models_zoo.tuning.nmtune_losses``); the defaults are the code's.
        leading: how many singular values count as dominant.
    """

    covariance: float = 0.04
    dominance: float = 0.001
    leading: int = 5

    def __post_init__(self) -> None:
        if min(self.covariance, self.dominance) < 0.0 or self.leading < 1:
            raise UserError(
                "covariance and dominance weigh 0 or more, and one singular value or more is leading",
                hint="the released code has 0.04, 0.001 and five",
            )

    def backward(self, batch: Batch) -> torch.Tensor:
        """Pass by pass, each weighed by its images."""
        classifier = [module for module in batch.network.modules() if isinstance(module, nn.Linear)][-1]
        seen: list[torch.Tensor] = []

        def forward(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = batch.forward(inputs)
            return logits, seen.pop()

        hook = classifier.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        try:
            return CrossEntropy.backward(self, dataclasses.replace(batch, forward=forward))
        finally:
            hook.remove()

    def _loss(self, logits: Any, labels: torch.Tensor) -> torch.Tensor:
        answers, features = logits
        # Singular values are of float32, whatever the precision of the passes.
        tuned = features.flatten(1).float()
        return (
            functional.cross_entropy(answers, labels, label_smoothing=self.smoothing)
            + self.covariance * covariance(tuned)
            - self.dominance * dominance(tuned, leading=self.leading)
        )
