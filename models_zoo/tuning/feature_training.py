"""Gradient steps on features: what the ways to fit a last layer by them share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from shifts.data import generator
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.tuning.heads import FeatureSet


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTraining:
    """AdamW with a cosine down to zero, on batches of features.

    Attributes:
        epochs: passes over the features.
        learning_rate: of the first step.
        weight_decay: decoupled.
        batch_size: an epoch is cut into equal parts, none larger than this. So no part is a single example,
            which has no batch statistics; the published loops end an epoch with whatever is left.
    """

    epochs: int = 30
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or self.learning_rate <= 0.0 or self.weight_decay < 0.0:
            raise UserError(
                "fitting to features needs an epoch, batches of two or more, a learning rate above 0 and a "
                "weight decay of 0 or more",
                hint=f"it has {self.epochs}, {self.batch_size}, {self.learning_rate} and {self.weight_decay}",
            )

    def build(self, dim: int, classes: int) -> nn.Module:
        """A linear layer on the features."""
        return nn.Linear(dim, classes)

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        """Start the layer anew and train it; what is drawn follows from the seed alone.

        Raises:
            UserError: fewer than two examples, or the loss became no number.
        """
        if len(data.labels) < 2:
            raise UserError(f"{len(data.labels)} examples are too few to fit to", hint="a larger share")
        self._start(head, seed)
        features, labels = torch.from_numpy(np.array(data.features)), torch.from_numpy(data.labels)
        views = None if data.views is None else torch.from_numpy(np.array(data.views))
        steps = list(_batches(len(labels), epochs=self.epochs, size=self.batch_size, seed=seed))
        optimiser = torch.optim.AdamW(
            head.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=len(steps))
        head.requires_grad_(True).train()
        for index in steps:
            second = None if views is None else views[index]
            loss = self.loss(head, features[index], second, labels[index])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            optimiser.step()
            cosine.step()
        if not torch.isfinite(loss):
            raise UserError(
                "fitting to features diverged: the loss is no number", hint="a lower learning rate"
            )
        head.requires_grad_(False).eval()

    def loss(
        self, head: nn.Module, features: torch.Tensor, views: torch.Tensor | None, labels: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy on the features of a batch, and on its second views where there are any.

        Args:
            features, views: (M, D).
            labels: (M,).
        """
        seen, wanted = with_views(features, views), with_views(labels, None if views is None else labels)
        return functional.cross_entropy(head(seen), wanted)

    def _start(self, head: nn.Module, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in head.modules():
                if isinstance(module, (nn.Linear, nn.BatchNorm1d)):
                    module.reset_parameters()


def with_views(first: torch.Tensor, second: torch.Tensor | None) -> torch.Tensor:
    """One batch of both, or the first alone."""
    return first if second is None else torch.cat([first, second])


def _batches(n: int, *, epochs: int, size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    for epoch in range(epochs):
        order = generator(seed, "features", epoch).permutation(n)
        yield from np.array_split(order, -(-n // size))
