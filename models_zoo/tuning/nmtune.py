"""NMTune: a small network on frozen features, with terms that undo what noise in pre-training did to them.

Chen et al., "Understanding and Mitigating the Label Noise in Pre-training on Downstream Tasks", ICLR 2024,
arXiv 2309.17002, section 4; arXiv 2403.06869. The model stays a black box: its features are all it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from models_zoo.tuning.feature_training import with_views
from models_zoo.tuning.mlp_tuning import MLPTuning, TransformedHead
from models_zoo.tuning.nmtune_losses import consistency, covariance, dominance
from shifts.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class NMTune(MLPTuning):
    """Cross-entropy + consistency + covariance − dominance, each with its weight, on every batch.

    The defaults are the paper's: 0.01 for each term. The released code has other weights and another form;
    ``models_zoo.tuning.methods`` has both.

    Attributes:
        consistency, covariance, dominance: weights (``models_zoo.tuning.nmtune_losses``).
        leading: how many singular values count as dominant.
        mean_over_features: divide the consistency by D, as torch's mean over all entries does.
    """

    consistency: float = 0.01
    covariance: float = 0.01
    dominance: float = 0.01
    leading: int = 1
    mean_over_features: bool = False

    def __post_init__(self) -> None:
        MLPTuning.__post_init__(self)
        if min(self.consistency, self.covariance, self.dominance) < 0.0 or self.leading < 1:
            raise UserError(
                "the weights of NMTune's terms are 0 or more, and one singular value or more is leading",
                hint="consistency, covariance and dominance of 0.01 are the paper's",
            )

    def loss(
        self, head: nn.Module, features: torch.Tensor, views: torch.Tensor | None, labels: torch.Tensor
    ) -> torch.Tensor:
        """Of a batch; with second views, the consistency is that of their Z with the F of the first.

        Args:
            features, views: (M, D).
            labels: (M,).
        """
        assert isinstance(head, TransformedHead)
        tuned = head.tuned(with_views(features, views))
        wanted = with_views(labels, None if views is None else labels)
        kept = consistency(features, tuned[-len(features) :])
        if self.mean_over_features:
            kept = kept / features.shape[1]
        return (
            functional.cross_entropy(head.classifier(tuned), wanted)
            + self.consistency * kept
            + self.covariance * covariance(tuned)
            - self.dominance * dominance(tuned, leading=self.leading)
        )
