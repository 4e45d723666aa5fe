"""A small vision transformer for small images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class SmallViT(nn.Module):
    """Patches, a class token, learned positions, blocks with normalisation before each part.

    Dosovitskiy et al., arXiv 2010.11929, at the size that Touvron et al. call tiny (arXiv 2012.12877), with
    fewer blocks and patches of a few pixels.

    Args:
        num_classes: M.
        side: of the square images.
        patch: side of a patch; divides ``side``.
        width: D.
        depth: blocks.
        heads: of attention; divides ``width``.
        drop_path: largest probability that a block is skipped for an image, rising with depth (arXiv
            1603.09382).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        side: int = 32,
        patch: int = 4,
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + (side // patch) ** 2, width))
        rates = [drop_path * block / max(depth - 1, 1) for block in range(depth)]
        self.blocks = nn.Sequential(*(Block(width, heads, skipped=rate) for rate in rates))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, side, side), normalised → logits (B, M)."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], dim=1) + self.positions
        logits: torch.Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


class Block(nn.Module):
    """Attention and a perceptron, each added to what came in."""

    def __init__(self, width: int, heads: int, *, skipped: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.heads, self.skipped = heads, skipped

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, D) → (B, T, D)."""
        tokens = tokens + self._sometimes(self._attention(self.norm1(tokens)))
        return tokens + self._sometimes(self.perceptron(self.norm2(tokens)))

    def _attention(self, tokens: torch.Tensor) -> torch.Tensor:
        number, length, width = tokens.shape
        parts = self.mixed(tokens).view(number, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        joined: torch.Tensor = self.joined(seen.transpose(1, 2).reshape(number, length, width))
        return joined

    def _sometimes(self, change: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.skipped:
            return change
        stays = torch.rand(len(change), 1, 1, device=change.device) >= self.skipped
        return change * stays / (1.0 - self.skipped)
