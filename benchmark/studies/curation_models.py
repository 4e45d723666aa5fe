"""The models of the study ``curation``: from scratch or pre-trained, on a large biased set or a small one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.studies.synthetic_suites import SUITES as SYNTHETIC
from benchmark.studies.synthetic_suites import Changes, Pool, Sizes, Start, Suite
from models_zoo.recipe import Augmentation

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Recipe, Stage
    from models_zoo.spec import ModelSpec

STARTS = ("scratch", "pre-trained")
ALL = 0  # the size of the whole biased set


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared on a suite.

    Attributes:
        suite: scratch models on the biased set, what is pre-trained on, how it is tuned; one reference.
        reference: whose accuracy the line is drawn against.
        measured: where worst-group and balanced accuracy are measured; may be the reference itself.
        curated: what small sets are drawn from, one for each seed.
        changes: of the images of a curated set; they make its counterfactuals.
        counted: training images that an image of a curated set counts for: two with its counterfactual.
        numbers: sizes of curated sets.
        headline: the size that the verdicts are about.
        epochs: on a curated set, from scratch and in tuning; those of the published split, whatever is drawn.
        method: of tuning.
    """

    name: str
    suite: Suite
    sizes: Sizes
    reference: str
    measured: str
    curated: Pool
    changes: Changes
    counted: int = 2
    numbers: tuple[int, ...] = (16, 64, 256, 1024)
    headline: int = 64
    epochs: tuple[int, int] = (2, 1)
    method: str = "lp-ft"


def _cifar10() -> Plan:
    """Vehicles and animals in colours that mostly tell; cars and dogs in both colours to curate from."""
    reference = "cifar10-kinds-tinted-0.9"
    origin = SYNTHETIC["cifar10"]
    suite = dataclasses.replace(
        origin,
        shifts={reference: ("cifar10-kinds/spurious-tint/0.9",)},
        scratch={reference: "cifar10-kinds-cnn16"},
        arms={STARTS[1]: origin.arms[STARTS[1]]},
        smoke=(reference,),
    )
    tint = Augmentation(function="models_zoo.augmentations:tint_at_random", parameters={"classes": 2})
    assert isinstance(origin.noise, tuple)
    return Plan(
        name="cifar10",
        suite=suite,
        sizes=dataclasses.replace(suite.sizes, checkpoints=()),
        reference=reference,
        measured="cifar10-kinds/spurious-tint/0.9",
        curated=Pool(shift="cifar10-kinds/cars-and-dogs", split="train", part=(0.6, 1.0)),
        changes=(tint, *origin.noise),
    )


def _celeba() -> Plan:
    """Section 7 at the paper's scale, with curated sets of women alone as in Appendix C.4.2; for edited
    counterfactuals add them as an own set of this name and point ``curated`` there."""
    suite = Suite(
        shifts={"celeba": ()},
        scratch={"celeba": "celeba-resnet18-scratch"},
        arms={STARTS[1]: (Start(model="clip-vit-b32", methods=("zs-ft",)),)},
        smoke=("celeba",),
        sizes=Sizes(shares=(5, 10, 20, 30, 40, 60, 80, 100), checkpoints=(), tune=16, tune_rate=1e-5),
        small=Sizes(shares=(5, 20, 50, 100), checkpoints=(), scratch=1, tune=1, tune_rate=1e-5),
    )
    return Plan(
        name="celeba",
        suite=suite,
        sizes=suite.sizes,
        reference="celeba",
        measured="celeba",
        curated=Pool(shift="celeba/women", split="train"),
        changes=None,
        counted=1,
        epochs=(8, 2),
        method="zs-ft",
    )


SUITES = {"cifar10": _cifar10(), "celeba": _celeba()}


def cells(plan: Plan) -> Iterator[tuple[str, int]]:
    """Every start with the whole biased set and with every size of a curated one."""
    return ((start, number) for start in STARTS for number in (ALL, *plan.numbers))


def curation_jobs(plan: Plan, *, seed: int) -> list[Job]:
    """Everything that is trained and measured for a seed."""
    from benchmark.studies.measuring import Job
    from benchmark.studies.synthetic_models import measured_on, scratch_jobs

    shifts = measured_on(plan.suite, plan.reference, _further(plan))
    start = _start(plan, seed=seed)
    jobs = [Job(spec=start)] if start.recipe is not None else []
    scratch = [
        dataclasses.replace(job, shifts=shifts) for job in scratch_jobs(plan.suite, plan.sizes, seed=seed)
    ]
    known = {job.spec.name for job in scratch}
    models = curation_models(plan, seed=seed).values()
    return jobs + scratch + [Job(spec=spec, shifts=shifts) for spec in models if spec.name not in known]


def _further(plan: Plan) -> tuple[str, ...]:
    return () if plan.measured == plan.reference else (plan.measured,)


def curation_models(plan: Plan, *, seed: int) -> dict[tuple[str, int], ModelSpec]:
    """(start, size) → model; the seed draws the curated set, too."""
    from benchmark.studies.synthetic_models import scratch_model, stages_of

    whole = scratch_model(plan.suite, plan.sizes, reference=plan.reference, share=100, seed=seed)
    found = {(STARTS[0], ALL): whole}
    tuning = stages_of(plan.method, plan.suite, plan.sizes, reference=plan.reference)
    found[STARTS[1], ALL] = _tuned(plan, tuning, ALL, seed=seed)
    for number in plan.numbers:
        found[STARTS[0], number] = _from_scratch(plan, whole, number, seed=seed)
        curated = tuple(_curated(plan, stage, number, epochs=plan.epochs[1]) for stage in tuning)
        found[STARTS[1], number] = _tuned(plan, curated, number, seed=seed)
    return found


def _curated(plan: Plan, stage: Stage, number: int, *, epochs: int) -> Stage:
    """The same stage on a curated set."""
    return dataclasses.replace(
        stage,
        shift=plan.curated.shift,
        split=plan.curated.split,
        part=plan.curated.part,
        examples=number // plan.counted,
        augment=plan.changes,
        epochs=epochs,
        warmup_epochs=min(stage.warmup_epochs, epochs / 8),
    )


def _from_scratch(plan: Plan, whole: ModelSpec, number: int, *, seed: int) -> ModelSpec:
    from models_zoo.recipe import recipe_of

    recipe: Recipe = recipe_of(whole)
    (stage,) = recipe.stages
    curated = _curated(plan, stage, number, epochs=plan.epochs[0])
    return dataclasses.replace(
        whole,
        name=f"study-curation-{plan.name}-{STARTS[0]}-{number}-{seed}",
        title=f"{whole.title}, on {number} curated images",
        recipe=dataclasses.replace(recipe, stages=(curated,)),
        training_data=(plan.curated.shift,),
    )


def _start(plan: Plan, *, seed: int) -> ModelSpec:
    """The pre-trained model; on CIFAR-10 that of the study ``synthetic-shifts``."""
    from benchmark.studies.synthetic_models import start_model

    ((start,),) = plan.suite.arms.values()
    origin = SYNTHETIC.get(plan.name, plan.suite)
    return start_model(origin, plan.sizes, name=plan.name, arm=STARTS[1], start=start, seed=seed)


def _tuned(plan: Plan, stages: tuple[Stage, ...], number: int, *, seed: int) -> ModelSpec:
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.tuning.tuned import tuned

    of_base = recipe_of(MODELS.get(plan.suite.scratch[plan.reference]))
    return tuned(
        _start(plan, seed=seed),
        stages,
        name=f"study-curation-{plan.name}-{STARTS[1]}-{number or 'all'}-{seed}",
        seed=seed,
        accelerator=of_base.accelerator,
        threads=of_base.threads,
    )
