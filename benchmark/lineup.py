"""The models of a pass: opened once where all fit into memory together, otherwise in groups that do."""

from __future__ import annotations

import gc
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models_zoo.classifier import TorchClassifier
from models_zoo.compiling import SPECIAL, weights_held
from shifts.errors import UserError

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from models_zoo.devices import Shared
    from models_zoo.spec import ModelSpec

PART_FOR_MODELS = 0.5  # of the free memory; the rest is for images and for what the layers compute


class Entrant:
    """A model of a pass, in memory or out of it.

    Args:
        load: opens it; each time the same.
        weights: its file, which tells the size of a model that is no torch module.
        compiled: let torch.compile make its network faster.

    Attributes:
        spec, device_name, notes: of the opened model.
        size: bytes of its weights, with the copy of them that a compiled network may hold.
        device: where its network lies, None where torch does not know.
        compile_seconds: what compiling it cost.

    Raises:
        Exception: what opening it raised.
    """

    def __init__(
        self, load: Callable[[], Classifier], *, weights: Path | None = None, compiled: bool = False
    ) -> None:
        self._load = load
        opened = load()
        self._opened: Classifier | None = opened
        self.spec: ModelSpec = opened.spec
        self.device_name: str = opened.device_name
        self.notes: tuple[str, ...] = opened.notes
        self.compile_seconds: float | None = None
        self._to_compile, self._compiled = compiled, False
        self.device: torch.device | None = None
        self.size = _size(weights)
        if isinstance(opened, TorchClassifier):
            self.device = opened.device
            self.size = max(self.size, _bytes(opened.network))
            self.size *= weights_held(opened.device.type) if compiled else 1

    @property
    def here(self) -> bool:
        """Whether the model is in memory."""
        return self._opened is not None

    @property
    def gpu(self) -> torch.device | None:
        """The CUDA device where the network lies, None where it lies elsewhere."""
        return self.device if self.device is not None and self.device.type == "cuda" else None

    def classifier(self) -> Classifier:
        """The model, opened anew if it was put away."""
        if self._opened is None:
            self._opened = self._load()
        return self._opened

    def make_ready(self, batch: Shared) -> None:
        """Compile the network for images of the batch's size, if it is to be; what it costs is added up.

        Raises:
            UserError: it cannot be compiled.
        """
        if self._compiled or not self._to_compile:
            return
        classifier = self.classifier()
        if not isinstance(classifier, TorchClassifier):
            raise UserError(f"{self.spec.name!r} is no torch network", hint="leave --compile out")
        spent = classifier.compile(batch.on(classifier.device)[:SPECIAL])
        self.compile_seconds = (self.compile_seconds or 0.0) + spent
        self._compiled = True

    def put_away(self) -> None:
        """Free the memory that the model takes."""
        self._opened = None
        if self._compiled:
            gc.collect()  # what was compiled is a circle of objects, and holds weights
        self._compiled = False


class Lineup:
    """Entrants within a bound; those that were used longest ago are put away first.

    Args:
        room: bytes of weights that may be in memory at once; None asks the machine.
        device: of which the memory counts, as ``models_zoo.devices.pick_device`` gives it.
    """

    def __init__(self, *, room: int | None, device: str) -> None:
        self.room = int(PART_FOR_MODELS * free_memory(device)) if room is None else room
        self._entrants: OrderedDict[Hashable, Entrant] = OrderedDict()

    def enter(
        self,
        key: Hashable,
        load: Callable[[], Classifier],
        *,
        weights: Path | None = None,
        compiled: bool = False,
    ) -> Entrant:
        """The entrant of a key, opened if it is new; others are put away where there is no room for all.

        Args:
            key: equal for equal models.
            weights, compiled: as for ``Entrant``.

        Raises:
            Exception: what opening it raised.
        """
        if key not in self._entrants:
            self._make_room(_size(weights), keep=())
            self._entrants[key] = Entrant(load, weights=weights, compiled=compiled)
        self._entrants.move_to_end(key)
        self._make_room(0, keep=(self._entrants[key],))
        return self._entrants[key]

    def groups(self, entrants: Iterable[Entrant]) -> list[list[Entrant]]:
        """The entrants in their order, as many together as there is room for, each at least alone."""
        found: list[list[Entrant]] = []
        total = 0
        for entrant in entrants:
            if not found or total + entrant.size > self.room:
                found.append([])
                total = 0
            found[-1].append(entrant)
            total += entrant.size
        return found

    def seat(self, group: Collection[Entrant]) -> None:
        """Make room for a group; its models are opened when they are asked for."""
        self._make_room(sum(one.size for one in group if not one.here), keep=group)

    def _make_room(self, size: int, *, keep: Collection[Entrant]) -> None:
        kept = set(map(id, keep))
        taken = sum(one.size for one in self._entrants.values() if one.here)
        before = taken
        for one in self._entrants.values():
            if taken + size <= self.room:
                break
            if one.here and id(one) not in kept:
                one.put_away()
                taken -= one.size
        if taken < before and torch.cuda.is_available():
            torch.cuda.empty_cache()


def free_memory(device: str) -> int:
    """Bytes that are free on a device, or on the machine where the device uses its memory."""
    if device.startswith("cuda"):  # checked by pick_device
        free, _ = torch.cuda.mem_get_info(torch.device(device))
        return int(free)
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _size(weights: Path | None) -> int:
    return weights.stat().st_size if weights is not None and weights.is_file() else 0


def _bytes(network: torch.nn.Module) -> int:
    tensors = (*network.parameters(), *network.buffers())
    return sum(tensor.nbytes for tensor in tensors)
