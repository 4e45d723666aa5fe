"""Train and measure many models of a study, side by side; what is there already is neither done again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.studies.study import Setting
from shifts.errors import ResultsError

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.lines import BaselinePoint
    from benchmark.planning import Cell, Plan
    from benchmark.predictions import Predictions
    from benchmark.result import Result
    from benchmark.store import Store
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec

MOST_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A model to train, and what to measure it on.

    Attributes:
        shifts: none for a model that others only start from.
        epochs: what the training keeps after these is measured beside the model itself, as
            ``NAME@epoch-50``; the recipe must keep them.
    """

    spec: ModelSpec
    shifts: tuple[ShiftSpec, ...] = ()
    epochs: tuple[int, ...] = ()

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The model and its checkpoints."""
        from models_zoo.variants import variant

        return (self.spec, *(variant(self.spec, epoch=epoch) for epoch in self.epochs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Results by names of model and shift, with the folders that hold the predictions."""

    cells: Mapping[tuple[str, str], tuple[Path, Result]]

    def accuracy(self, model: str, shift: str) -> Estimate:
        """Top-1 accuracy.

        Raises:
            KeyError: no job was to measure this.
        """
        found = self.metric(model, shift, "accuracy")
        assert found is not None, "every shift has an accuracy"
        return found

    def metric(self, model: str, shift: str, name: str) -> Estimate | None:
        """One of the metrics of a result, None where it does not apply.

        Raises:
            KeyError: no job was to measure this.
        """
        return self.cells[model, shift][1].metrics.get(name)

    def predictions(self, model: str, shift: str) -> Predictions:
        """The answers, example by example."""
        from benchmark.predictions import read_predictions
        from benchmark.store import PREDICTIONS

        return read_predictions(self.cells[model, shift][0] / PREDICTIONS)

    def point(
        self, model: str, *, reference: str, shift: str, metric: str = "accuracy", family: str = "standard"
    ) -> BaselinePoint:
        """Accuracy on the reference and a metric on the shift, for a line."""
        from benchmark.lines import BaselinePoint

        first, second = self.accuracy(model, reference), self.metric(model, shift, metric)
        assert second is not None, "a line is through models that have the metric"
        return BaselinePoint(
            model=model,
            reference_accuracy=first.value,
            reference_n=first.n,
            shift_accuracy=second.value,
            shift_n=second.n,
            family=family,
        )


def measure(jobs: Sequence[Job], *, setting: Setting, what: str = "training and measuring") -> Measured:
    """Train every model and measure it, in as many processes as there are cores.

    Models that others start from come first. Weights lie in the cache and predictions in the store, so that
    an interrupted run goes on and a second one only reads. The number of processes moves no number: each
    training has its own fixed number of threads.

    Args:
        what: the name of this work in the progress display.

    Raises:
        UserError: data that is not here, a training that diverged, or a measurement that failed.
    """
    from benchmark.store import open_store

    names = [model.name for job in jobs for model in job.models]
    assert len(set(names)) == len(names), "two jobs of one name would be one result"
    store = open_store(setting.results)
    store.check_writable()
    left = [job for job in jobs if not _finished(job, store, setting.data_dir)]
    done = len(jobs) - len(left)
    setting.say(what, done, len(jobs))
    waves = [
        [job for job in left if _depth(job.spec) == depth]
        for depth in sorted({_depth(job.spec) for job in left})
    ]
    for _ in _side_by_side(waves, store, setting.data_dir):
        done += 1
        setting.say(what, done, len(jobs))
    store = open_store(setting.results)  # what the processes have put there is seen by looking again
    cells = {}
    for job in jobs:
        plan = planned(job, store, setting.data_dir)
        for cell in plan.cells:
            cells[cell.contestant.spec.name, cell.shift.name] = (cell.folder, _result(cell, plan))
    store.check_kept()
    return Measured(cells=cells)


def _depth(spec: ModelSpec) -> int:
    """How many trainings come before this one."""
    from models_zoo.recipe import recipe_of, start_of

    start = None if spec.recipe is None else start_of(recipe_of(spec))
    return 0 if start is None else 1 + _depth(start)


def _side_by_side(waves: Sequence[Sequence[Job]], store: Store, data_dir: Path | None) -> Iterator[str]:
    """The names of the jobs as they are done; a wave begins when the one before it has ended."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from models_zoo.recipe import recipe_of

    jobs = [job for wave in waves for job in wave]
    workers = min(len(jobs), MOST_WORKERS, os.cpu_count() or 1)
    if workers < 2 or any(recipe_of(job.spec).accelerator for job in jobs):
        # One accelerator trains one model at a time.
        yield from (_work(job, store, data_dir) for job in jobs)
        return
    # Not forked: torch's threads do not survive that.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        try:
            for wave in waves:
                futures = [pool.submit(_work, job, store, data_dir) for job in wave]
                for future in as_completed(futures):
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    import threading

    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for good: its siblings keep the queue open."""
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None, "this runs in a worker"
    parent.join()
    os._exit(1)


def _work(job: Job, store: Store, data_dir: Path | None) -> str:
    """Train the model of a job and measure it with its checkpoints."""
    from benchmark.runner import Options, run_pass
    from models_zoo.training import train

    for model in job.models:
        train(model, data_dir=data_dir)
    if job.shifts:
        for work in planned(job, store, data_dir).passes:
            for _ in run_pass(work, options=Options(device="auto", data_dir=data_dir)):
                pass
            for cell in work.cells:
                store.keep(cell.folder)
    return job.spec.name


def _finished(job: Job, store: Store, data_dir: Path | None) -> bool:
    from models_zoo.recipe import trained_file

    if not all(trained_file(model, data_dir=data_dir).is_file() for model in job.models):
        return False
    return not planned(job, store, data_dir).passes


def planned(job: Job, store: Store, data_dir: Path | None) -> Plan:
    """The cells of a job whose models are trained, and which of them are measured."""
    from benchmark.planning import contestant, plan
    from models_zoo.recipe import trained_file

    contestants = [contestant(model, weights=trained_file(model, data_dir=data_dir)) for model in job.models]
    return plan(contestants, job.shifts, store=store, data_dir=data_dir)


def _result(cell: Cell, plan: Plan) -> Result:
    found = plan.finished.get(cell.folder)
    if found is None:
        from benchmark.result import RESULT

        raise ResultsError(
            f"{cell.contestant.spec.name!r} could not be measured on {cell.shift.name!r}",
            hint=f"{cell.folder / RESULT} says why",
        )
    return found
