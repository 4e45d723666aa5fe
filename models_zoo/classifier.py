"""A loaded model: raw or prepared images in, float32 logits or features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from models_zoo.preprocessing import normalise, prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec

Images = torch.Tensor | Sequence["NDArray[np.uint8]"]


class Classifier(Protocol):
    """What the runner and the studies ask of a model.

    ``logits`` and ``features`` take a prepared uint8 batch (B, 3, h, w) or B raw uint8 (H, W, 3) arrays,
    and give float32 (B, M) and (B, D) on the CPU. The answer for an image does not depend on its batch mates.
    """

    spec: ModelSpec

    def logits(self, images: Images) -> NDArray[np.float32]: ...

    def features(self, images: Images) -> NDArray[np.float32]: ...


class TorchClassifier:
    """A classifier around a torch module.

    Args:
        spec: the model's declaration.
        network: images float32 (B, 3, h, w), normalised, → logits (B, M).
        head: the module whose input is the feature vector; None when there are no features.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU.
    """

    def __init__(
        self, spec: ModelSpec, network: nn.Module, *, head: nn.Module | None = None, device: str = "auto"
    ) -> None:
        self.spec = spec
        self.device = torch.device(pick_device(device))
        self.network = network.to(self.device).eval().requires_grad_(False)
        if any(parameter.dim() == 4 for parameter in network.parameters()):
            self.network = self.network.to(memory_format=torch.channels_last)
        self._head = head

    def logits(self, images: Images) -> NDArray[np.float32]:
        with torch.inference_mode():
            return _to_numpy(self.network(self._input(images)))

    def features(self, images: Images) -> NDArray[np.float32]:
        if self._head is None:
            raise NotImplementedError(f"{self.spec.name} has no penultimate layer")
        seen: list[torch.Tensor] = []
        hook = self._head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        try:
            with torch.inference_mode():
                self.network(self._input(images))
        finally:
            hook.remove()
        return _to_numpy(seen[0].flatten(1))

    def _input(self, images: Images) -> torch.Tensor:
        if not isinstance(images, torch.Tensor):
            images = prepare(images, self.spec.preprocess)
        return normalise(images.to(self.device, non_blocking=True), self.spec.preprocess)


def pick_device(device: str) -> str:
    """Resolve ``"auto"``; other names pass through."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _to_numpy(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return array
