"""The residual networks for 32 × 32 images of He et al. 2015 (arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (16, 32, 64)


class CifarResNet(nn.Module):
    """Three stages of n blocks, 6n + 2 layers; parameter names as in akamaster/pytorch_resnet_cifar10.

    Args:
        blocks: n, blocks in each stage.
        num_classes: M.
    """

    def __init__(self, blocks: int, *, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], blocks, stride=1)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], blocks, stride=2)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], blocks, stride=2)
        self.linear = nn.Linear(WIDTHS[2], num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, h, w), normalised → logits (B, M)."""
        out = functional.relu(self.bn1(self.conv1(images)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: torch.Tensor = self.linear(out.mean((2, 3)))
        return logits


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut without parameters (option A)."""

    def __init__(self, channels: int, wide: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, wide, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self._stride = stride
        self._added = wide - channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.bn1(self.conv1(images)))
        out = self.bn2(self.conv2(out)) + self._shortcut(images)
        return functional.relu(out)

    def _shortcut(self, images: torch.Tensor) -> torch.Tensor:
        if self._stride == 1 and not self._added:
            return images
        # Every second pixel, and zeros for the new channels, half of them before the old ones.
        images = images[:, :, :: self._stride, :: self._stride]
        return functional.pad(images, (0, 0, 0, 0, self._added // 2, self._added - self._added // 2))


def _stage(channels: int, wide: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = Block(channels, wide, stride=stride)
    return nn.Sequential(first, *(Block(wide, wide, stride=1) for _ in range(blocks - 1)))
