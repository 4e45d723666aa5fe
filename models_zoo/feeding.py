"""What a stage trains on, as ready batches: in memory where the images fit, else decoded as they are needed.

Every draw follows from the seed, the stage and the number of the step, and the order of the images from the
seed and the epoch. A run can therefore begin at any step, and any number of threads gives the same batches.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models_zoo.noising import Replaced, noise_in
from models_zoo.objectives import objective_of
from models_zoo.preprocessing import prepare
from models_zoo.processes import Processes
from models_zoo.recipe import Augmentation, Stage
from shifts.class_maps import class_names
from shifts.data import Rows, Shift, generator, load_examples
from shifts.errors import UserError
from shifts.local import recorded_content, required_record
from shifts.perturbations.selections import few, fraction, part
from shifts.registry import resolve
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.objectives import Tokenise
    from models_zoo.spec import Preprocess
    from shifts.spec import ShiftSpec

    Pixels = NDArray[np.uint8]
    Integers = NDArray[np.int64]

IN_MEMORY = 2 << 30  # bytes of prepared images
AHEAD = 2
Key = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A batch, or a process's share of it.

    Attributes:
        images: uint8 (b, h, w, 3), contiguous.
        targets: labels int64 (b,), or the tokens (b, T) of captions.
        total: images in all shares.
    """

    images: Pixels
    targets: Integers
    total: int


class Feed:
    """The batches of a stage.

    Args:
        stage: its split, share, batch size and augmentation.
        preprocess: of the network; gives the size of its input.
        key: seed and number of the stage.
        whole: hold all prepared images in memory; None decides by their size. With a view of their own
            images are always decoded anew.
        tokenise: turns captions into targets; None where the labels are the targets.
        processes: of which this one takes its share of every batch.

    Attributes:
        labels: int64 (N,), as given: with the stage's noise.
        noisy: what the noise made of the examples, or None.
        captions: N captions as given, or None.
    """

    def __init__(
        self,
        stage: Stage,
        preprocess: Preprocess,
        *,
        key: Key,
        data_dir: Path | None = None,
        whole: bool | None = None,
        tokenise: Tokenise | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.stage, self.preprocess, self.key = stage, preprocess, key
        self._processes = processes or Processes()
        self.shift = open_distribution(stage, data_dir=data_dir)
        self.rows = chosen_rows(self.shift, stage, seed=key[0])
        self._put_noise(data_dir)
        self._tokenise = tokenise
        self._balanced = None if stage.balance == "none" else members_of(self.classes_or_groups())
        self._changes = changes(stage)
        self._size = preprocess.crop
        if stage.view is not None and self._size is None:
            raise UserError(
                f"training with {stage.view.function} needs to know the size of the network's input",
                hint="give the model's Preprocess a crop",
            )
        fits = (self._bytes() <= IN_MEMORY) if whole is None else whole
        self._memory = self._prepared() if stage.view is None and fits else None

    def _put_noise(self, data_dir: Path | None) -> None:
        objective, true = objective_of(self.stage), self.shift.labels[self.rows]
        captions, others = objective.captions(self.shift, self.rows, true), other_set(self.stage, data_dir)
        self.noisy = noise_in(self.stage, self.shift, self.rows, captions=captions, others=others)
        self.labels, self.captions, self._replaced = true, captions, Replaced()
        if self.noisy is None:
            return
        self.labels = self.noisy.labels
        given = objective.captions(self.shift, self.rows, self.labels)
        if given is not None:
            self.captions = [given[index] for index in self.noisy.permutation.tolist()]
        if others is not None:
            self._replaced = Replaced.of(self.shift.position[self.rows], self.noisy.foreign, others)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def in_memory(self) -> bool:
        """Whether the images are prepared already."""
        return self._memory is not None

    @property
    def images(self) -> Pixels:
        """All images without augmentation: uint8 (N, h, w, 3)."""
        return self._prepared() if self._memory is None else self._memory

    def plain(self, size: int) -> Iterator[Pixels]:
        """All images without augmentation, ``size`` at a time."""
        for start in range(0, len(self), size):
            rows = self.rows[start : start + size]
            yield (
                self._resized(self.shift.position[rows])
                if self._memory is None
                else self._memory[start : start + size]
            )

    def augmented(self, number: int, size: int) -> Iterator[Pixels]:
        """All images in their order as the stage's augmentation shows them, ``size`` at a time.

        Args:
            number: of the view; each is drawn anew.
        """
        starts = range(0, len(self), size)
        for place, start in enumerate(starts):
            index = np.arange(start, min(start + size, len(self)))
            yield self.batch(number * len(starts) + place, index).images

    def groups(self) -> Integers | None:
        """The number of each image's group: int64 (N,), or None where the shift has no groups."""
        names = self.stage.grouped_by or self.shift.spec.groups
        unknown = [name for name in names if name not in self.shift.group_columns]
        if unknown:
            raise UserError(
                f"{self.shift.spec.name!r} has no group column {unknown[0]!r}",
                hint=f"it has {', '.join(self.shift.group_columns) or 'none'}",
            )
        if not names:
            return None
        columns = np.stack([self.shift.group_columns[name].values[self.rows] for name in names], axis=1)
        return np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def classes_or_groups(self) -> Integers:
        """What ``balance`` makes equally frequent: int64 (N,).

        Raises:
            UserError: groups are asked for, and the shift has none.
        """
        found = self.labels if self.stage.balance == "classes" else self.groups()
        if found is None:
            raise UserError(f"{self.shift.spec.name!r} has no groups to balance", hint="balance the classes")
        return found

    def batches(self, start: int, stop: int, *, workers: int = 0) -> Iterator[Ready]:
        """The batches of the steps ``start`` to ``stop`` − 1.

        Args:
            workers: threads that make batches ahead of their use; 0 makes each when it is asked for.
        """
        if not workers:
            yield from (self.batch(step, self.order(step)) for step in range(start, stop))
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="feed") as pool:
            ahead: deque[Future[Ready]] = deque()
            try:
                for step in range(start, stop):
                    ahead.append(pool.submit(self.batch, step, self.order(step)))
                    if len(ahead) >= workers + AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def order(self, step: int) -> Integers:
        """Which images a step sees: slices of reshuffled epochs, one after the other."""
        n = len(self)
        size = min(self.stage.batch_size, n)
        epochs = range(step * size // n, ((step + 1) * size - 1) // n + 1)
        stream = np.concatenate([self._epoch(epoch, n) for epoch in epochs])
        begin = step * size - epochs.start * n
        return stream[begin : begin + size]

    def _epoch(self, epoch: int, n: int) -> Integers:
        if self._balanced is None:
            return _shuffled(self.key, epoch, n)
        draw = generator(*self.key, "balanced", epoch)
        places, sizes = draw.random(n), np.array([len(one) for one in self._balanced])
        # Every group as often as any other, but for what does not divide evenly.
        which = draw.permutation(np.arange(n) % len(sizes))
        rows = np.floor(places * sizes[which]).astype(np.int64)
        return np.array([self._balanced[one][row] for one, row in zip(which, rows, strict=True)])

    def batch(self, step: int, index: Integers) -> Ready:
        """The images ``index`` as step ``step`` sees them; of several processes, this one's share."""
        own = self._processes.share(len(index))
        images = self._raw(step, index, own) if self._memory is None else self._memory[index]
        draw = generator(*self.key, "augment", step)
        for change in self._changes:
            images = change(images, draw)
        return Ready(
            images=np.ascontiguousarray(images[own]), targets=self.targets(index[own]), total=len(index)
        )

    def targets(self, index: Integers) -> Integers:
        """What the images ``index`` (b,) are to be told as: labels (b,), or the tokens (b, T) of captions."""
        if self._tokenise is None:
            return self.labels[index]
        assert self.captions is not None, "an objective that reads tokens has captions"
        return self._tokenise([self.captions[row] for row in index.tolist()])

    def _raw(self, step: int, index: Integers, own: slice) -> Pixels:
        """The images of a batch; black in the places of other processes, which are not decoded here.

        The places stay, because the changes of a batch draw one number after the other for its images.
        """
        mine = self._viewed(step, index[own], range(own.start, own.stop))
        if len(mine) == len(index):
            return mine
        images = np.zeros((len(index), *mine.shape[1:]), dtype=np.uint8)
        images[own] = mine
        return images

    def _viewed(self, step: int, index: Integers, places: range) -> Pixels:
        position = self.shift.position[self.rows[index]]
        view = self.stage.view
        if view is None:
            return self._resized(position)
        function = partial(
            resolve(view.function),
            size=self._size,
            interpolation=self.preprocess.interpolation,
            **view.parameters,
        )
        draws = (generator(*self.key, "view", step, place) for place in places)
        return np.stack(
            [function(image, draw) for image, draw in zip(self._seen(position), draws, strict=True)]
        )

    def _prepared(self) -> Pixels:
        # Resized batch by batch: a set of photographs does not fit into memory at its full size.
        parts = (self.rows[start : start + 64] for start in range(0, len(self), 64))
        return np.concatenate([self._resized(self.shift.position[rows]) for rows in parts])

    def _resized(self, position: Integers) -> Pixels:
        return prepare(self._seen(position), self.preprocess).permute(0, 2, 3, 1).numpy()

    def _seen(self, position: Integers) -> Sequence[Pixels]:
        images = [self._image(row) for row in position.tolist()]
        return self.shift.perturb(images, position)

    def _image(self, row: int) -> Pixels:
        replaced = self._replaced.image(row)
        return self.shift.base.image(row) if replaced is None else replaced

    def _bytes(self) -> int:
        first = prepare([self.shift.item(0)], self.preprocess)
        return first.numel() * len(self)


def chosen_rows(shift: Shift, stage: Stage, *, seed: int) -> Integers:
    """Which examples of an opened distribution a stage trains on: int64, ascending."""
    chosen = np.arange(len(shift), dtype=np.int64)
    if stage.part is not None:
        # By the source's own classes, over all its examples: parts are disjoint between distributions, too.
        whole = Rows(
            ids=shift.base.ids,
            labels=shift.base.labels,
            num_classes=int(shift.base.labels.max()) + 1,
            seed=shift.spec.seed,
        )
        chosen = np.flatnonzero(np.isin(shift.position, part(whole, between=stage.part)))
    chosen = chosen[fraction(shift.rows(shift.position[chosen]), share=stage.share, seed=seed)]
    if stage.examples is not None:
        chosen = chosen[few(shift.rows(shift.position[chosen]), number=stage.examples, seed=seed)]
    return chosen


def members_of(numbers: Integers) -> list[Integers]:
    """The places of every number that occurs."""
    return [np.flatnonzero(numbers == one) for one in np.unique(numbers)]


@lru_cache(maxsize=4)
def _shuffled(key: Key, epoch: int, n: int) -> Integers:
    return generator(*key, "order", epoch).permutation(n)


def changes(stage: Stage) -> list[partial[Pixels]]:
    """The changes of a batch, ready to be called with (images, generator).

    Raises:
        UserError: the function is not there.
    """
    named = stage.augment or ()
    if isinstance(named, str):
        named = (Augmentation(function=named),)
    return [partial(_function(one), **one.parameters) for one in named]


def _function(named: Augmentation) -> Callable[..., Pixels]:
    try:
        return resolve(named.function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"there is no augmentation {named.function!r}: {error}") from error


def distribution(stage: Stage) -> ShiftSpec:
    """The shift whose distribution a stage trains on: of a split that is measured on, only the rest."""
    spec = SHIFTS.get(stage.shift)
    if spec.training is not None and stage.split == spec.split:
        return dataclasses.replace(spec, selection=spec.training)
    return spec


def open_distribution(stage: Stage, *, data_dir: Path | None = None) -> Shift:
    """The examples a stage may train on.

    Raises:
        UnknownNameError, DataNotFoundError: no such shift, or its images are not on this machine.
    """
    return _opened(dataclasses.replace(distribution(stage), split=stage.split), data_dir)


def other_set(stage: Stage, data_dir: Path | None) -> Shift | None:
    """The set whose images the stage's noise brings in, or None; raises as ``open_distribution``."""
    noise = stage.noise
    if noise is None or noise.other is None:
        return None
    return _opened(dataclasses.replace(SHIFTS.get(noise.other), split=noise.other_split), data_dir)


def _opened(spec: ShiftSpec, data_dir: Path | None) -> Shift:
    examples = load_examples(spec.source, spec.split, data_dir=data_dir)
    content = recorded_content(SOURCES.get(spec.source), spec.split, data_dir=data_dir)
    return Shift(spec, examples, content=content)


def num_classes(stage: Stage) -> int:
    """Classes of a stage, without its images."""
    return len(class_names(distribution(stage)))


def epoch_steps(stage: Stage, *, data_dir: Path | None = None) -> int:
    """Steps in an epoch, which is one over the whole published split or its part, whatever share is used.

    Raises:
        UserError: the source has no such split, or its images are not on this machine.
    """
    source = SOURCES.get(SHIFTS.get(stage.shift).source)
    if stage.split not in source.counts:
        raise UserError(
            f"source {source.name!r} has no split {stage.split!r}", hint=f"splits: {', '.join(source.counts)}"
        )
    size = source.published_size(stage.split)
    if not source.bundled:
        here = required_record(source, stage.split, data_dir=data_dir).splits[stage.split].n
        size = here if size is None else size
    assert size is not None, "a bundled source declares its counts"
    return steps_over(stage, size)


def steps_over(stage: Stage, size: int) -> int:
    """Steps in an epoch of a stage whose whole split has so many images."""
    first, last = stage.part or (0.0, 1.0)
    return math.ceil(round(size * (last - first)) / stage.batch_size)
