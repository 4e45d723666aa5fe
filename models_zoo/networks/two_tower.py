"""A small pair of towers for images of a few hundred pixels and captions of a few known words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from models_zoo.contrastive import HIGHEST_SCALE
from models_zoo.networks.small import cnn
from shifts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TwoTower(nn.Module):
    """Three convolutions under a projection, and the mean of word embeddings under one.

    Args:
        num_classes: nothing depends on it; a recipe's network is given it.
        vocabulary: the words it knows.
        width: channels of the first convolution.
        dim: D of the embeddings.
    """

    def __init__(self, num_classes: int = 0, *, vocabulary: Sequence[str], width: int, dim: int) -> None:
        super().__init__()
        self.words = {word: place for place, word in enumerate(vocabulary, start=1)}
        self.visual = cnn(dim, width=width)
        self.embedding = nn.EmbeddingBag(len(vocabulary) + 1, dim, mode="mean", padding_idx=0)
        self.text = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # Radford et al., section 2.5

    def forward(
        self, images: torch.Tensor, tokens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Normalised images (B, 3, h, w) and tokens int64 (B, T), or None → both embeddings (B, D)."""
        return self.visual(images), None if tokens is None else self.encode_text(tokens)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 (B, T), padded with 0 → (B, D)."""
        found: torch.Tensor = self.text(self.embedding(tokens))
        return found

    def inverse_temperature(self) -> torch.Tensor:
        """What cosines are multiplied by."""
        return self.logit_scale.exp().clamp(max=HIGHEST_SCALE)

    def tokenise(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The words of captions by their place in the vocabulary: int64 (N, T), padded with 0.

        Raises:
            UserError: a word that is not in the vocabulary.
        """
        import numpy as np

        rows = [text.split() for text in texts]
        unknown = next((word for row in rows for word in row if word not in self.words), None)
        if unknown is not None:
            raise UserError(
                f"the text tower does not know the word {unknown!r}",
                hint=f"it knows {', '.join(self.words)}",
            )
        tokens = np.zeros((len(rows), max([1, *map(len, rows)])), dtype=np.int64)
        for row, words in zip(tokens, rows, strict=True):
            row[: len(words)] = [self.words[word] for word in words]
        return tokens
