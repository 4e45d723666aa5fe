"""A loaded model: raw or prepared images in, float32 logits or features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from models_zoo.heads import columns_of, in_label_space, outputs_of
from models_zoo.preprocessing import normalise, prepare
from shifts.errors import LabelSpaceError, UserError
from shifts.labels import ANY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Images = torch.Tensor | Sequence["NDArray[np.uint8]"]


class Classifier(Protocol):
    """What the runner and the studies ask of a model.

    ``logits`` and ``features`` take a prepared uint8 batch (B, 3, h, w) or B raw uint8 (H, W, 3) arrays,
    and give float32 (B, M) and (B, D) on the CPU. The answer for an image does not depend on its batch mates.
    """

    spec: ModelSpec
    device_name: str
    notes: tuple[str, ...]  # what a reader of a result has to know; filled in by load_spec

    def logits(self, images: Images) -> NDArray[np.float32]: ...

    def features(self, images: Images) -> NDArray[np.float32]: ...


class TorchClassifier:
    """A classifier around a torch module.

    Args:
        spec: the model's declaration.
        network: images float32 (B, 3, h, w), normalised, → outputs (B, M), which
            ``spec.head`` turns into logits.
        head: the module whose input is the feature vector; None when there are no features.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU.
        precision: ``"float32"``, or the autocast type ``"bfloat16"`` / ``"float16"``.

    Raises:
        UserError: the device is not on this machine, or the precision is unknown.
    """

    def __init__(
        self,
        spec: ModelSpec,
        network: nn.Module,
        *,
        head: nn.Module | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"unknown precision {precision!r}", hint=f"one of {', '.join(PRECISIONS)}")
        self.spec = spec
        self.notes: tuple[str, ...] = ()
        self.device = torch.device(pick_device(device))
        self.precision = precision
        self.device_name = self.device.type
        if self.device.type == "cuda":
            self.device_name = f"cuda ({torch.cuda.get_device_name(self.device)})"
        self.network = network.to(self.device).eval().requires_grad_(False)
        if any(parameter.dim() == 4 for parameter in network.parameters()):
            self.network = self.network.to(memory_format=torch.channels_last)
        self.head = head

    def logits(self, images: Images) -> NDArray[np.float32]:
        with torch.inference_mode(), self._autocast():
            return self._answers(_to_numpy(self.network(self._input(images))))

    def features(self, images: Images) -> NDArray[np.float32]:
        if self.head is None:
            raise NotImplementedError(f"{self.spec.name} has no penultimate layer")
        seen: list[torch.Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        try:
            with torch.inference_mode(), self._autocast():
                self.network(self._input(images))
        finally:
            hook.remove()
        return _to_numpy(seen[0].flatten(1))

    def _answers(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of the network in the classes of its label space.

        Raises:
            LabelSpaceError: the network has another number of outputs than its head is declared to have.
        """
        head, label_space = self.spec.head, self.spec.label_space
        if label_space == ANY:
            return outputs
        expected = outputs_of(head, label_space=label_space)
        if outputs.shape[1] != expected:
            raise LabelSpaceError(
                f"{self.spec.name!r} has {outputs.shape[1]} outputs, "
                f"not the {expected} of {head or label_space!r}"
            )
        if head is None:
            return outputs
        return in_label_space(outputs, columns_of(head, label_space=label_space))

    def _autocast(self) -> torch.autocast:
        wanted = PRECISIONS[self.precision]
        return torch.autocast(self.device.type, dtype=wanted, enabled=wanted is not torch.float32)

    def _input(self, images: Images) -> torch.Tensor:
        if not isinstance(images, torch.Tensor):
            images = prepare(images, self.spec.preprocess)
        return normalise(images.to(self.device, non_blocking=True), self.spec.preprocess)


def pick_device(device: str) -> str:
    """Resolve ``"auto"``.

    Raises:
        UserError: the device is unknown, or not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, here in present.items() if here)
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = device
    if not present.get(kind, False):
        here = ", ".join(name for name, yes in present.items() if yes)
        raise UserError(f"there is no device {device!r} on this machine", hint=f"here: {here}, or auto")
    return device


def _to_numpy(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return array
