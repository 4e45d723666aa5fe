"""A loaded model: raw or prepared images in, float32 logits or features out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from models_zoo.compiling import Compute, compiled, forgetting
from models_zoo.devices import PRECISIONS, autocast, device_name, exact, pick_device, precision_type, uploaded
from models_zoo.heads import columns_of, in_label_space, outputs_of
from models_zoo.preprocessing import normalise, prepare
from shifts.errors import LabelSpaceError, UserError
from shifts.labels import ANY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec

__all__ = ["PRECISIONS", "Classifier", "Images", "TorchClassifier", "pick_device"]

CHUNK = 256  # images in one forward pass; more of them are taken one chunk after the other
# On a CPU fewer: what a layer gives has to stay in the caches of the cores, and in memory that the system
# does not take back after each layer. Of 224 × 224 pixels 16 images, of 32 × 32 pixels 64; where all layers
# but the first work on patches, twice as many.
CPU_PIXELS = 16 * 224 * 224
CPU_BOUNDS = (8, 64)
Images = torch.Tensor | Sequence["NDArray[np.uint8]"]
Answer = Callable[[], "NDArray[np.float32]"]  # waits for what was asked for


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
        precision_type(precision)
        self.spec = spec
        self.notes: tuple[str, ...] = ()
        self.device = torch.device(pick_device(device))
        self.precision = precision
        self.device_name = device_name(self.device)
        self.network = network.to(self.device).eval().requires_grad_(False)
        convolutions = sum(parameter.dim() == 4 for parameter in network.parameters())
        if convolutions:
            self.network = self.network.to(memory_format=torch.channels_last)
        self._cpu_pixels = CPU_PIXELS if convolutions > 1 else 2 * CPU_PIXELS
        self.head = head
        self._compiled: Compute | None = None
        # Copies to the device run on its current stream, beside what the models compute on their own.
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None  # type: ignore[no-untyped-call]  # torch leaves it so

    def logits(self, images: Images) -> NDArray[np.float32]:
        return self.begin(images)()

    def begin(self, images: Images) -> Answer:
        """Ask for logits: on a GPU the call returns while it works, on a stream of this model's own.

        Args:
            images: as for ``logits``; a tensor may be on the device already.
        """
        if self._stream is None:
            found = self._answers(self.over(images, self._network))
            return lambda: found
        (batch,) = self._prepared(images)
        there = batch.to(self.device, non_blocking=True)
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        there.record_stream(self._stream)
        with (
            torch.cuda.stream(self._stream),
            torch.inference_mode(),
            exact(),
            autocast(self.device, self.precision),
        ):
            parts = [self._network(normalise(part, self.spec.preprocess)) for part in self._parts(there)]
            outputs = parts[0] if len(parts) == 1 else torch.cat(parts)
            here = torch.empty(outputs.shape, dtype=torch.float32, pin_memory=True)
            here.copy_(outputs, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it so
            done.record(self._stream)

        def answer() -> NDArray[np.float32]:
            done.synchronize()
            return self._answers(here.numpy())

        return answer

    @property
    def _network(self) -> Compute:
        return self.network if self._compiled is None else self._compiled

    def compile(self, example: torch.Tensor) -> float:
        """Let torch.compile make the network faster, for batches of any size; features stay as they are.

        Args:
            example: uint8 (B, 3, h, w) of the size that will come.

        Returns:
            What it cost: seconds of the first call beyond those of the second.

        Raises:
            UserError: the network or this machine does not compile.
        """
        self._compiled = compiled(self.network, device=self.device.type)
        seconds = []
        try:
            with forgetting(self.device.type):
                for _ in range(2):
                    start = time.perf_counter()
                    self.logits(example)
                    seconds.append(time.perf_counter() - start)
        except Exception as error:
            self._compiled = None
            said, *_ = (str(error).strip() or type(error).__name__).splitlines()
            raise UserError(
                f"{self.spec.name!r} cannot be compiled here: {said}",
                hint="leave --compile out; on a CPU torch.compile needs a C++ compiler",
            ) from error
        return max(seconds[0] - seconds[1], 0.0)

    def features(self, images: Images) -> NDArray[np.float32]:
        """What the head sees, float32 (B, D).

        Raises:
            UserError: the model is none that has features.
        """
        if self.head is None:
            raise UserError(
                f"{self.spec.name!r} has no layer before its answers, and so no features",
                hint="choose a model with a network and a head",
            )
        seen: list[torch.Tensor] = []

        def before_the_head(inputs: torch.Tensor) -> torch.Tensor:
            seen.clear()
            self.network(inputs)
            return seen[0].flatten(1)

        hook = self.head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        try:
            return self.over(images, before_the_head)
        finally:
            hook.remove()

    def over(self, images: Images, compute: Compute) -> NDArray[np.float32]:
        """Compute on images in chunks; a GPU works on one while the next is prepared and copied to it."""
        prepared = (self._prepared(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK))
        with torch.inference_mode(), exact(), autocast(self.device, self.precision):
            found = [
                compute(normalise(part, self.spec.preprocess))
                for (chunk,) in uploaded(prepared, self.device)
                for part in self._parts(chunk)
            ]
            return _to_numpy(found[0] if len(found) == 1 else torch.cat(found))

    def _parts(self, images: torch.Tensor) -> Iterator[torch.Tensor]:
        """As many of a chunk's images (B, 3, h, w) as go through the network at once."""
        size = CHUNK
        if self.device.type == "cpu":
            least, most = CPU_BOUNDS
            size = min(max(self._cpu_pixels // (images.shape[2] * images.shape[3]), least), most)
        for start in range(0, len(images), size):
            yield images[start : start + size]

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

    def _prepared(self, images: Images) -> tuple[torch.Tensor]:
        if not isinstance(images, torch.Tensor):
            images = prepare(images, self.spec.preprocess)
        return (images,)


def begin(classifier: Classifier, images: Images) -> Answer:
    """Ask a model for its logits; those that can go on with it while the caller does something else."""
    if isinstance(classifier, TorchClassifier):
        return classifier.begin(images)
    found = classifier.logits(images)
    return lambda: found


def _to_numpy(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.to("cpu", torch.float32).numpy()
    return array
