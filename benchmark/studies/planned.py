"""Everything a study would train and measure, with what it costs; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmark.costs import ROW
from benchmark.store import Store, open_store
from benchmark.studies.measuring import planned
from benchmark.studies.study import Setting, Study
from models_zoo.costs import TrainingCost, split_size, training_cost
from models_zoo.recipe import recipe_of, start_of, trained_file
from shifts.errors import UserError
from shifts.local import is_ready
from shifts.registry import resolve
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.studies.measuring import Job
    from models_zoo.spec import ModelSpec

# Sustained operations a second of one accelerator in mixed precision, over training and evaluation: about
# what a ResNet-50 reaches on one of 300 TFLOP/s at peak. Feeding it with images is not in it.
THROUGHPUT = 50e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A model to train.

    Attributes:
        stages: what it trains on, with the images seen and the operations for each of them.
        images: seen in all; None where nobody publishes how many there are.
        operations: in all; None where ``images`` is.
        bytes: of the weights that stay.
        there: whether its weights are here already.
    """

    model: str
    stages: tuple[dict[str, Any], ...]
    images: int | None
    operations: float | None
    bytes: int
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A model to measure on a shift; fields as in ``Training``. Rules of selection are passed over."""

    model: str
    shift: str
    images: int | None
    operations: float | None
    bytes: int | None
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A source that the study reads; ``bytes`` of its published files, None where they are not published."""

    source: str
    here: bool
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """All of it.

    Attributes:
        throughput: operations a second that hours are computed with.
    """

    study: str
    suite: str | None
    seeds: tuple[int, ...]
    throughput: float
    trainings: tuple[Training, ...]
    evaluations: tuple[Evaluation, ...]
    data: tuple[Data, ...]

    def hours(self, runs: Sequence[Training | Evaluation], *, left: bool = False) -> float:
        """Hours of one accelerator for those of known cost; with ``left`` only for what is not there yet."""
        operations = (one.operations or 0.0 for one in runs if not (left and one.there))
        return sum(operations) / self.throughput / 3600

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema_version": 1,
            "study": self.study,
            "suite": self.suite,
            "seeds": list(self.seeds),
            "assumptions": {"operations_per_second": self.throughput, "bytes_per_prediction": ROW},
            "trainings": [asdict(one) for one in self.trainings],
            "evaluations": [asdict(one) for one in self.evaluations],
            "data": [asdict(one) for one in self.data],
            "totals": {
                name: {
                    "runs": len(runs),
                    "left": sum(not one.there for one in runs),
                    "of_unknown_cost": sum(one.operations is None for one in runs),
                    "images": sum(one.images or 0 for one in runs),
                    "hours": self.hours(runs),
                    "hours_left": self.hours(runs, left=True),
                    "bytes": sum(one.bytes or 0 for one in runs),
                }
                for name, runs in (("trainings", self.trainings), ("evaluations", self.evaluations))
            },
        }


def plan_study(study: Study, setting: Setting, *, throughput: float = THROUGHPUT) -> StudyPlan:
    """What a run of a study would do.

    Args:
        throughput: operations a second of one accelerator, sustained.

    Raises:
        UserError: the study trains nothing; or the size of a network's input is not known without images.
    """
    if study.jobs is None:
        raise UserError(
            f"the study {study.name!r} has no trainings to plan", hint=f"robustbench-shift study {study.name}"
        )
    if not throughput > 0:
        raise UserError(f"a throughput is above 0, not {throughput}")
    jobs: list[Job] = resolve(study.jobs)(setting)
    specs = {spec.name: spec for job in jobs for spec in _with_starts(job.spec)}
    specs |= {job.spec.name: job.spec for job in jobs}  # these know which checkpoints are kept
    costs = {name: training_cost(spec, data_dir=setting.data_dir) for name, spec in specs.items()}
    trainings = tuple(_training(spec, costs[name], setting.data_dir) for name, spec in specs.items())
    store = open_store(setting.results)
    evaluations = tuple(
        one
        for job in jobs
        for one in _evaluations(job, costs[job.spec.name], store=store, data_dir=setting.data_dir)
    )
    return StudyPlan(
        study=study.name,
        suite=setting.suite,
        seeds=setting.seeds,
        throughput=throughput,
        trainings=trainings,
        evaluations=evaluations,
        data=_data(trainings, evaluations, setting.data_dir),
    )


def _with_starts(spec: ModelSpec) -> Iterator[ModelSpec]:
    """The models that a training starts from, as far as they are trained here, then its own."""
    start = start_of(recipe_of(spec))
    if start is not None and start.recipe is not None:
        yield from _with_starts(start)
    yield spec


def _training(spec: ModelSpec, cost: TrainingCost, data_dir: Path | None) -> Training:
    return Training(
        model=spec.name,
        stages=tuple(asdict(stage) for stage in cost.stages),
        images=cost.images,
        operations=cost.operations,
        bytes=cost.bytes,
        there=trained_file(spec, data_dir=data_dir).is_file(),
    )


def _evaluations(
    job: Job, cost: TrainingCost, *, store: Store, data_dir: Path | None
) -> Iterator[Evaluation]:
    done = _done(job, store, data_dir)
    for model in job.models:
        for shift in job.shifts:
            size = split_size(shift.source, shift.split, data_dir=data_dir)
            images = size if shift.limit is None or size is None else min(size, shift.limit)
            yield Evaluation(
                model=model.name,
                shift=shift.name,
                images=images,
                operations=None if images is None else images * cost.forward,
                bytes=None if images is None else images * ROW,
                there=(model.name, shift.name) in done,
            )


def _done(job: Job, store: Store, data_dir: Path | None) -> set[tuple[str, str]]:
    """What is measured already, by names of model and shift."""
    if not all(trained_file(model, data_dir=data_dir).is_file() for model in job.models):
        return set()
    plan = planned(job, store, data_dir)
    cells = [cell for cell in plan.cells if cell.folder in plan.finished]
    return {(cell.contestant.spec.name, cell.shift.name) for cell in cells}


def _data(
    trainings: Sequence[Training], evaluations: Sequence[Evaluation], data_dir: Path | None
) -> tuple[Data, ...]:
    """The sources of all runs, in the order in which they are needed."""
    splits = {
        (SHIFTS.get(stage["shift"]).source, stage["split"]) for one in trainings for stage in one.stages
    }
    measured = (SHIFTS.find(name) for name in dict.fromkeys(one.shift for one in evaluations))
    splits |= {(spec.source, spec.split) for spec in measured if spec is not None}
    found = []
    for name in sorted({source for source, _ in splits}):
        source = SOURCES.get(name)
        if source.bundled:
            continue
        sizes = [file.size for file in source.files if file.urls]
        here = all(is_ready(source, split, data_dir=data_dir) for one, split in splits if one == name)
        known = sum(size for size in sizes if size is not None) if sizes and None not in sizes else None
        found.append(Data(source=name, here=here, bytes=known))
    return tuple(found)
