"""open_clip's towers with random weights, to be trained together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from models_zoo.contrastive import HIGHEST_SCALE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ClipPair(nn.Module):
    """A model of open_clip as ``models_zoo.contrastive`` wants it; its file is one of the library's own.

    Args:
        num_classes: nothing depends on it; a recipe's network is given it.
        architecture: the library's name of it.
    """

    def __init__(self, num_classes: int = 0, *, architecture: str) -> None:
        super().__init__()
        import open_clip

        logging.disable(logging.WARNING)  # it warns that the weights are random, as is wanted here
        try:
            self.model: Any = open_clip.create_model(architecture, pretrained=None)
        finally:
            logging.disable(logging.NOTSET)
        self._tokenise: Any = open_clip.get_tokenizer(architecture)

    @property
    def visual(self) -> nn.Module:
        """The image tower."""
        tower: nn.Module = self.model.visual
        return tower

    def forward(
        self, images: torch.Tensor, tokens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Normalised images (B, 3, h, w) and tokens int64 (B, T), or None → both embeddings (B, D)."""
        return self.model.encode_image(images), None if tokens is None else self.encode_text(tokens)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """int64 (B, T) → (B, D)."""
        found: torch.Tensor = self.model.encode_text(tokens)
        return found

    def inverse_temperature(self) -> torch.Tensor:
        """What cosines are multiplied by."""
        scale: torch.Tensor = self.model.logit_scale.exp().clamp(max=HIGHEST_SCALE)
        return scale

    def tokenise(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The library's tokens: int64 (N, T)."""
        tokens: NDArray[np.int64] = self._tokenise(list(texts)).numpy()
        return tokens
