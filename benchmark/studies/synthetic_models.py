"""The models of the study ``synthetic-shifts``: from scratch, pre-trained, and the control."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Stage
    from models_zoo.spec import ModelSpec

ARMS = ("pre-trained", "control")
METHODS = ("ft", "lp-ft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        shifts: reference → the shifts matched to it.
        scratch: reference → registered scratch model.
        pool: shift and split of the images to pre-train on, apart from those to tune and to test on.
        augment: arm → changes of the images in pre-training.
        noise: changes of the images in tuning.
        smoke: the references of a run that only shows that everything runs.
    """

    shifts: Mapping[str, tuple[str, ...]]
    scratch: Mapping[str, str]
    pool: tuple[str, str]
    augment: Mapping[str, str]
    noise: str
    smoke: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Shares of the training data in percent, epochs after which the full training is kept, and epochs of
    pre-training, of the linear probe and of fine-tuning; the scratch models have their own recipe."""

    shares: tuple[int, ...] = (10, 20, 40, 70, 100)
    checkpoints: tuple[int, ...] = (3, 5, 8, 13, 21)
    scratch: int | None = None
    pretrain: int = 40
    probe: int = 4
    tune: int = 20
    pretrain_rate: float = 3e-3
    probe_rate: float = 3e-3
    tune_rate: float = 1e-3
    batch_size: int = 64


SMOKE = Sizes(shares=(10, 30, 60, 100), checkpoints=(2, 3, 4), scratch=6, pretrain=6, probe=1, tune=2)
_DIGITS = "models_zoo.sources.digits_models"
SUITES = {
    "digits": Suite(
        shifts={
            "digits-tinted": ("digits/spurious-tint",),
            "digits-imbalanced": ("digits/label-shift",),
            "digits": ("digits/unseen-tint", "digits/pad", "digits/translate"),
        },
        scratch={name: f"{name}-cnn" for name in ("digits", "digits-tinted", "digits-imbalanced")},
        pool=("digits", "pretrain"),
        augment={"pre-trained": f"{_DIGITS}:diversify", "control": f"{_DIGITS}:pixel_noise"},
        noise=f"{_DIGITS}:pixel_noise",
        smoke=("digits-tinted", "digits"),
    )
}


def scratch_jobs(suite: Suite, sizes: Sizes, *, seed: int) -> list[Job]:
    """Models from scratch on shares of every reference; the one on all data with its checkpoints."""
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import recipe_of
    from shifts.spec import SHIFTS

    jobs = []
    for reference, shifts in suite.shifts.items():
        specs = tuple(SHIFTS.get(name) for name in (reference, *shifts))
        for share in sizes.shares:
            spec = scratch_model(suite, sizes, reference=reference, share=share, seed=seed)
            if share < 100:
                jobs.append(Job(spec=spec, shifts=specs))
                continue
            recipe = dataclasses.replace(recipe_of(spec), keep=sizes.checkpoints)
            jobs.append(
                Job(
                    spec=dataclasses.replace(spec, recipe=recipe),
                    shifts=specs,
                    epochs=sizes.checkpoints,
                )
            )
    return jobs


def scratch_model(suite: Suite, sizes: Sizes, *, reference: str, share: int, seed: int) -> ModelSpec:
    """A registered scratch model on a share of its data, with another seed."""
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant

    spec = variant(MODELS.get(suite.scratch[reference]), share=None if share == 100 else share, seed=seed)
    if sizes.scratch is None:
        return spec
    recipe = recipe_of(spec)
    (stage,) = recipe.stages
    short = dataclasses.replace(recipe, stages=(dataclasses.replace(stage, epochs=sizes.scratch),))
    return dataclasses.replace(spec, recipe=short)


def tuned_jobs(
    suite: Suite, sizes: Sizes, *, name: str, seed: int, methods: Sequence[str] = METHODS
) -> list[Job]:
    """Models pre-trained with and without the transformations, and each tuned to every reference."""
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Recipe, Stage, recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.tuning.tuned import tuned
    from shifts.spec import SHIFTS

    base = MODELS.get(next(iter(suite.scratch.values())))
    of_base = recipe_of(base)
    jobs = []
    for arm in ARMS:
        stage = Stage(
            shift=suite.pool[0],
            split=suite.pool[1],
            epochs=sizes.pretrain,
            learning_rate=sizes.pretrain_rate,
            augment=suite.augment[arm],
        )
        start = dataclasses.replace(
            base,
            name=f"study-{name}-{arm}-{seed}",
            title=f"{arm} on {suite.pool[0]}/{suite.pool[1]}",
            recipe=Recipe(network=of_base.network, arguments=of_base.arguments, stages=(stage,), seed=seed),
            family="more-data",
        )
        jobs.append(Job(spec=start))
        for reference, shifts in suite.shifts.items():
            specs = tuple(SHIFTS.get(one) for one in (reference, *shifts))
            for method in methods:
                spec = tuned(
                    start,
                    stages_of(method, suite, sizes, reference=reference),
                    name=tuned_name(name, arm, method, reference=reference, seed=seed),
                    seed=seed,
                    accelerator=of_base.accelerator,
                    threads=of_base.threads,
                )
                jobs.append(Job(spec=spec, shifts=specs))
    return jobs


def tuned_name(suite: str, arm: str, method: str, *, reference: str, seed: int) -> str:
    """What a tuned model is called."""
    return f"study-{suite}-{arm}-{method}-on-{reference}-{seed}"


def stages_of(method: str, suite: Suite, sizes: Sizes, *, reference: str) -> Sequence[Stage]:
    """Fine-tuning with a fresh head, or after a linear probe."""
    from models_zoo.tuning.fine_tune import fine_tune
    from models_zoo.tuning.lp_ft import lp_ft

    both = {"batch_size": sizes.batch_size, "augment": suite.noise}
    tune = {"epochs": sizes.tune, "learning_rate": sizes.tune_rate}
    if method == "ft":
        return (fine_tune(reference, **tune, **both, fresh_head=True),)  # type: ignore[arg-type]  # of mixed kinds
    probe = {"epochs": sizes.probe, "learning_rate": sizes.probe_rate}
    return lp_ft(reference, probe=probe, tune=tune, **both)
