"""What a stage minimises: the cross-entropy of its labels, unless it names another objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from models_zoo.devices import autocast
from models_zoo.preprocessing import normalise
from models_zoo.processes import Processes
from shifts.errors import UserError
from shifts.registry import resolve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models_zoo.recipe import Augmentation, Stage
    from models_zoo.spec import Preprocess
    from shifts.data import Shift

    Integers = NDArray[np.int64]

Tokenise = Callable[[list[str]], "Integers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch to learn from, and by what.

    Attributes:
        images: uint8 (b, h, w, 3), this process's share; targets: int64 (b,), or tokens (b, T).
        total: images of the batch in all processes.
        size: images in one pass.
        network: as it is; ``forward`` is the same, perhaps compiled.
    """

    images: torch.Tensor
    targets: torch.Tensor
    total: int
    size: int
    network: nn.Module
    forward: Callable[..., Any]
    preprocess: Preprocess
    precision: str
    scaler: torch.amp.GradScaler
    processes: Processes

    def parts(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Images uint8 (p, h, w, 3) and targets, pass by pass."""
        starts = range(0, len(self.targets), self.size)
        return [
            (self.images[start : start + self.size], self.targets[start : start + self.size])
            for start in starts
        ]

    def inputs(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (p, h, w, 3) → normalised float32 (p, 3, h, w)."""
        return normalise(images.permute(0, 3, 1, 2), self.preprocess)

    def mixed(self) -> torch.autocast:
        """The precision of the training."""
        return autocast(self.images.device, self.precision)

    def backward(self, loss: torch.Tensor) -> None:
        """Add to the gradients."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch leaves it so


class Objective(Protocol):
    """An implementation is a frozen dataclass of plain JSON parameters."""

    def captions(self, shift: Shift, rows: Integers, labels: Integers) -> list[str] | None:
        """The captions of examples with these labels, or None where it learns from the labels themselves."""
        ...

    def tokeniser(self, network: nn.Module) -> Tokenise | None:
        """What turns captions into targets int64 (N, T)."""
        ...

    def backward(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of the share's part of the loss; give that part, a scalar."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropy:
    """Softmax cross-entropy, the mean over the batch.

    Attributes:
        smoothing: of the labels.
    """

    smoothing: float = 0.0

    def captions(self, shift: Shift, rows: Integers, labels: Integers) -> list[str] | None:
        """None: it learns from labels."""
        return None

    def tokeniser(self, network: nn.Module) -> Tokenise | None:
        """None: the labels are the targets."""
        return None

    def backward(self, batch: Batch) -> torch.Tensor:
        """Pass by pass, each weighed by its images."""
        total = torch.zeros((), device=batch.images.device)
        for images, wanted in batch.parts():
            with batch.mixed():
                loss = self._loss(batch.forward(batch.inputs(images)), wanted)
            if len(wanted) != batch.total:
                loss = loss * (len(wanted) / batch.total)
            batch.backward(loss)
            total = total + loss.detach()
        return total

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels, label_smoothing=self.smoothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryCrossEntropy(CrossEntropy):
    """Every class yes or no, the mean over classes and batch (Wightman et al., arXiv 2110.00476)."""

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        classes = logits.shape[1]
        wanted = functional.one_hot(labels, classes).to(logits) * (1 - self.smoothing)
        return functional.binary_cross_entropy_with_logits(logits, wanted + self.smoothing / classes)


def objective_of(stage: Stage) -> Objective:
    """What a stage minimises.

    Raises:
        UserError: there is no objective of that name, or it does not know a parameter.
    """
    if stage.objective is None:
        return CrossEntropy(smoothing=stage.label_smoothing)
    return named_objective(stage.objective)


def named_objective(named: Augmentation) -> Objective:
    """The objective of that name with its parameters; errors as in ``objective_of``."""
    try:
        made: Objective = resolve(named.function)(**named.parameters)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UserError(f"there is no objective {named.function!r}: {error}") from error
    return made
