"""Architectures of torchvision and open_clip as networks to train from scratch."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn
from torch.nn import functional


def resnet18(num_classes: int) -> nn.Module:
    """torchvision's ResNet-18 with random weights."""
    from torchvision.models import resnet18 as build

    network: nn.Module = build(weights=None, num_classes=num_classes)
    return network


def resnet50(num_classes: int) -> nn.Module:
    """torchvision's ResNet-50 with random weights."""
    from torchvision.models import resnet50 as build

    network: nn.Module = build(weights=None, num_classes=num_classes)
    return network


def vit_b16(num_classes: int) -> nn.Module:
    """torchvision's ViT-B/16 with random weights."""
    from torchvision.models import vit_b_16 as build

    network: nn.Module = build(weights=None, num_classes=num_classes)
    return network


def clip_image_tower(num_classes: int, *, architecture: str) -> nn.Module:
    """The image tower of a model of open_clip with random weights, under a linear head on its embedding."""
    import open_clip

    logging.disable(logging.WARNING)  # it warns that the weights are random, as is wanted here
    try:
        tower: Any = open_clip.create_model(architecture, pretrained=None).visual
    finally:
        logging.disable(logging.NOTSET)
    return ImageTower(tower, num_classes, width=int(tower.output_dim))


class ImageTower(nn.Module):
    """Images (B, 3, h, w) → embeddings (B, D) → logits (B, M)."""

    def __init__(self, tower: nn.Module, num_classes: int, *, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images → logits."""
        logits: torch.Tensor = self.head(self.tower(images))
        return logits


class UnitLinear(nn.Linear):
    """A linear layer on features of length one: a zero-shot head as one that can be trained.

    Its rows begin as the embeddings of the classes times the logit scale (Cohen-Wang et al., arXiv
    2403.00194, appendix B.3; Wortsman et al., arXiv 2109.01903).
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D) → (B, M)."""
        return super().forward(functional.normalize(features, dim=-1))


def trainable_head(classes: torch.Tensor, *, scale: float, bias: float) -> UnitLinear:
    """The layer that answers as a zero-shot head with embeddings ``classes`` (M, D) does."""
    number, width = classes.shape
    head = UnitLinear(width, number)
    with torch.no_grad():
        head.weight.copy_(scale * classes)
        head.bias.fill_(bias)
    return head
