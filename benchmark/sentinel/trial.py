"""The alternatives on a sample of the images: all on a few, those still in reach of the number on more."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.sentinel.diagnosis import NO_TIME, Diagnosis
from benchmark.sentinel.judging import Finding, Target, enough_to_match, find, in_reach, rank
from benchmark.sentinel.pixels import prepared
from benchmark.sentinel.readings import Sample, read, runner_reading
from benchmark.sentinel.variants import Variant, known_classes, variants
from models_zoo.loading import load_spec
from models_zoo.preprocessing import for_cropped
from shifts.data import Shift, hash_rank, load_examples
from shifts.errors import UserError
from shifts.local import recorded_content
from shifts.spec import SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmark.planning import Contestant
    from models_zoo.classifier import Classifier
    from shifts.spec import ShiftSpec

Progress = Callable[[str, int, int], None]

FEW, CHUNK = 20, 100  # images at a time; few where the model is slow
SURE = 300  # images before a lone candidate ends the race
IMAGES = 2000
SECONDS = 120.0
WORTH = 0.25  # an alternative that closes this share of the gap is tried together with the others


@dataclass(slots=True)
class Runner:
    """A way to get logits, and what it gave so far.

    Attributes:
        variant: without a reading.
        keep: whether readings want the logits, not only who is right.
        rows: how many images of the sample it has seen.
    """

    variant: Variant
    keep: bool = False
    rows: int = 0
    right: list[NDArray[np.bool_]] = field(default_factory=list)
    logits: list[NDArray[np.float32]] = field(default_factory=list)


class Trial:
    """Tries variants on the images of a shift, in one random order that depends on their ids alone.

    Args:
        contestant: the model as it was run.
        shift: what it was run on; a limit is lifted, since the images are there.
        images: at most so many.
        seconds: no chunk of images is begun after this time.

    Raises:
        UserError: the shift counts groups of images, or the images are not there.
    """

    def __init__(
        self,
        contestant: Contestant,
        shift: ShiftSpec,
        *,
        target: Target,
        images: int = IMAGES,
        seconds: float = SECONDS,
        device: str = "auto",
        data_dir: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        whole = dataclasses.replace(shift, limit=None)
        if whole.unit is not None:
            raise UserError(
                f"{shift.name!r} counts a {whole.unit} as right only when all its images are: "
                "alternatives are not tried on a sample of it"
            )
        examples = load_examples(whole.source, whole.split, data_dir=data_dir)
        content = recorded_content(SOURCES.get(whole.source), whole.split, data_dir=data_dir)
        self.contestant, self.target, self.device, self.progress = contestant, target, device, progress
        self.shift = Shift(whole, examples, content=content)
        self.order = hash_rank(self.shift.example_ids, "sentinel")[:images]
        self.until = time.monotonic() + seconds
        self.base = Variant(key="", says="", spec=contestant.spec, precision=contestant.precision)
        self.skipped: dict[str, str] = {}
        self.stopped = ""
        self._loaded: dict[str, Classifier] = {}
        self._runners: dict[str, Runner] = {}
        self._as_run = self._runner(self.base)
        self._chunk = CHUNK

    def run(self) -> Diagnosis:
        """Everything one step from the run; where that only narrows the gap, two steps."""
        started = time.monotonic()
        found = self._race(variants(self.base, self.shift.spec))
        ranking = rank(list(found.values()), target=self.target)
        gap = abs(self.target.published - self.target.accuracy)
        if not ranking.causes and not ranking.possible and ranking.partial and self._time_left():
            best = ranking.partial[0]
            if abs(best.difference) >= WORTH * gap:
                base = next(one for one in variants(self.base, self.shift.spec) if one.says == best.says)
                found |= self._race(variants(base, self.shift.spec))
                ranking = rank(list(found.values()), target=self.target)
        as_run = self._measured(self._as_run)
        return Diagnosis(
            target=self.target,
            images=len(as_run),
            as_run=find("", "as run", as_run, as_run, target=self.target),
            ranking=ranking,
            tried=len(found),
            skipped=self.skipped,
            stopped=self.stopped,
            seconds=round(time.monotonic() - started, 1),
        )

    def _race(self, alive: list[Variant]) -> dict[str, Finding]:
        """Try variants on more and more images until one is left, or the images or the time are used up."""
        found: dict[str, Finding] = {}
        begin = 0
        while alive and begin < len(self.order) and (begin == 0 or self._time_left()):
            rows = self.order[begin : begin + self._chunk]
            began = time.monotonic()
            self._see(alive, rows, begin)
            begin += len(rows)
            for one in alive:
                finding = self._finding(one)
                if finding is not None:
                    found[one.name] = finding
            alive = [one for one in alive if self._goes_on(one, found.get(one.name))]
            if begin >= SURE and len(alive) == 1 and alive[0].name in found and found[alive[0].name].explains:
                self.stopped = "settled"
                return found
            took = (time.monotonic() - began) / len(rows)
            self._chunk = int(np.clip((self.until - time.monotonic()) / 3 / max(took, 1e-6), FEW, CHUNK))
        short = NO_TIME in self.skipped.values()
        self.stopped = (
            "time"
            if short
            else "nothing in reach"
            if not alive
            else "images"
            if begin >= len(self.order)
            else "time"
        )
        return found

    def _goes_on(self, variant: Variant, finding: Finding | None) -> bool:
        """Whether a variant is tried on more images: in reach, or not to be judged on so few."""
        if finding is not None:
            return in_reach(finding, target=self.target)
        later = variant.reading is not None and variant.reading.kind == "matched"
        return later and enough_to_match(len(self.order), self.shift.num_classes)

    def _see(self, alive: Sequence[Variant], rows: NDArray[np.int64], begin: int) -> None:
        """Run everything that is alive on a chunk of images, the run as it was first."""
        position = self.shift.position[rows]
        images = self.shift.perturb([self.shift.base.image(int(row)) for row in position], position)
        for one in alive:
            self._runner(one).keep |= one.reading is not None
        batches: dict[Any, Any] = {}
        wanted = {id(runner): runner for runner in (self._as_run, *map(self._runner, alive))}
        for number, runner in enumerate(wanted.values()):
            if runner.rows != begin:  # seen before, or left behind for lack of time
                continue
            if runner is not self._as_run and not self._time_left():
                if not begin:
                    self.skipped[runner.variant.name] = NO_TIME
                continue
            try:
                self._forward(runner, images, rows, batches)
            except (RuntimeError, ValueError, AssertionError, UserError) as error:
                if runner is self._as_run:
                    raise
                # A network of fixed size does not take another one: that alternative does not exist.
                self.skipped[runner.variant.name] = str(error).splitlines()[0] or type(error).__name__
                runner.rows = -1
            if self.progress is not None:
                self.progress(
                    f"{len(wanted)} alternatives", begin + number * len(rows) // len(wanted), len(self.order)
                )

    def _forward(
        self, runner: Runner, images: Sequence[Any], rows: NDArray[np.int64], batches: dict[Any, Any]
    ) -> None:
        variant = runner.variant
        preprocess = for_cropped(variant.spec.preprocess, self.shift.spec.cropped)
        key = (preprocess.geometry, id(variant.change))
        if key not in batches:
            batches[key] = prepared(images, preprocess, variant.change)
        logits = self._classifier(variant).logits(batches[key])
        sample = self._sample(logits, rows)
        runner.right.append(runner_reading(sample, self.shift.spec, head=variant.spec.label_space))
        if runner.keep:
            runner.logits.append(logits)
        runner.rows += len(rows)

    def _finding(self, variant: Variant) -> Finding | None:
        """What is known of a variant by now; None where it could not be tried."""
        runner = self._runner(variant)
        if runner.rows <= 0:
            return None
        if variant.reading is None:
            right: NDArray[np.bool_] | None = self._measured(runner)
        else:
            logits = np.concatenate(runner.logits)
            sample = self._sample(logits, self.order[: len(logits)])
            right = read(variant.reading, sample, self.shift.spec, head=self.contestant.spec.label_space)
        if right is None:
            return None
        as_run = self._measured(self._as_run)[: len(right)]
        return find(variant.key, variant.says, right[: len(as_run)], as_run, target=self.target)

    def _sample(self, logits: NDArray[np.float32], rows: NDArray[np.int64]) -> Sample:
        accepted = self.shift.accepted
        return Sample(
            logits=logits,
            labels=self.shift.labels[rows],
            accepted=None if accepted is None else [accepted[row] for row in rows.tolist()],
            present=np.unique(self.shift.labels),
        )

    def _runner(self, variant: Variant) -> Runner:
        carrier = dataclasses.replace(variant, key=variant.key, reading=None)
        key = repr((carrier.spec.preprocess, carrier.spec.arguments, carrier.precision, id(carrier.change)))
        return self._runners.setdefault(key, Runner(carrier))

    def _measured(self, runner: Runner) -> NDArray[np.bool_]:
        return np.concatenate(runner.right)

    def _classifier(self, variant: Variant) -> Classifier:
        """The network, loaded once for each set of arguments; only preprocess differs between its views."""
        key = repr((variant.spec.arguments, variant.precision))
        if key not in self._loaded:
            self._loaded[key] = load_spec(
                variant.spec,
                self.contestant.weights,
                label_space=known_classes(variant.spec, self.shift.spec),
                device=self.device,
                precision=variant.precision,
            )
        view = copy.copy(self._loaded[key])
        view.spec = variant.spec
        return view

    def _time_left(self) -> bool:
        return time.monotonic() < self.until
