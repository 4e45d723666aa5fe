"""The models of the study ``synthetic-shifts``: from scratch, pre-trained, and the control.

What they are made from is in ``synthetic_suites``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.studies.synthetic_suites import Sizes, Start, Suite

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Stage
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec


def scratch_jobs(suite: Suite, sizes: Sizes, *, seed: int) -> list[Job]:
    """Models from scratch on shares of every reference; the one on all data with its checkpoints."""
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import recipe_of

    jobs = []
    for reference, shifts in suite.shifts.items():
        specs = measured_on(suite, reference, shifts)
        for share in sizes.shares:
            spec = scratch_model(suite, sizes, reference=reference, share=share, seed=seed)
            if share < 100:
                jobs.append(Job(spec=spec, shifts=specs))
                continue
            keep = sizes.checkpoints or recipe_of(spec).keep
            recipe = dataclasses.replace(recipe_of(spec), keep=keep)
            jobs.append(Job(spec=dataclasses.replace(spec, recipe=recipe), shifts=specs, epochs=keep))
    return jobs


def measured_on(suite: Suite, reference: str, shifts: Sequence[str]) -> tuple[ShiftSpec, ...]:
    """A reference and its shifts, cut to the suite's number of images."""
    from shifts.spec import SHIFTS

    return tuple(SHIFTS.get(name).limited(suite.limit) for name in (reference, *shifts))


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
    short = dataclasses.replace(recipe, keep=(), stages=(dataclasses.replace(stage, epochs=sizes.scratch),))
    return dataclasses.replace(spec, recipe=short)


def line_members(suite: Suite, sizes: Sizes, *, reference: str, seed: int) -> dict[str, tuple[str, ...]]:
    """Names of the models that each line goes through: shares of the data, and checkpoints of one training.

    A line with fewer than it needs is left out.
    """
    from benchmark.lines import MIN_MODELS
    from models_zoo.recipe import recipe_of

    specs = [
        scratch_model(suite, sizes, reference=reference, share=share, seed=seed) for share in sizes.shares
    ]
    whole = specs[-1]
    epochs = sizes.checkpoints or recipe_of(whole).keep
    lines = {
        "shares": tuple(spec.name for spec in specs),
        "checkpoints": (*(f"{whole.name}@epoch-{epoch}" for epoch in epochs), whole.name),
    }
    return {line: names for line, names in lines.items() if len(names) >= MIN_MODELS}


def start_model(suite: Suite, sizes: Sizes, *, name: str, arm: str, start: Start, seed: int) -> ModelSpec:
    """What the models of an arm start from: a registered model, or one pre-trained on the suite's pool."""
    from models_zoo.recipe import Recipe, Stage, recipe_of
    from models_zoo.spec import MODELS

    if start.model is not None:
        return MODELS.get(start.model)
    base = MODELS.get(next(iter(suite.scratch.values())))
    of_base = recipe_of(base)
    stages = tuple(
        Stage(
            shift=pool.shift,
            split=pool.split,
            part=pool.part,
            epochs=sizes.pretrain,
            learning_rate=sizes.pretrain_rate,
            augment=start.augment,
        )
        for pool in suite.pool
    )
    return dataclasses.replace(
        base,
        name=f"study-{name}-{arm}-{seed}",
        title=f"{arm} on {', '.join(f'{pool.shift}/{pool.split}' for pool in suite.pool)}",
        recipe=Recipe(network=of_base.network, arguments=of_base.arguments, stages=stages, seed=seed),
        family="more-data",
        training_data=tuple(dict.fromkeys(pool.shift for pool in suite.pool)),
    )


def tuned_jobs(
    suite: Suite, sizes: Sizes, *, name: str, seed: int, methods: Sequence[str] | None = None
) -> list[Job]:
    """Models pre-trained with and without the transformations, and each tuned to every reference."""
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.tuning.tuned import tuned

    of_base = recipe_of(MODELS.get(next(iter(suite.scratch.values()))))
    jobs = []
    for arm, starts in suite.arms.items():
        for start in starts:
            origin = start_model(suite, sizes, name=name, arm=arm, start=start, seed=seed)
            if start.model is None:
                jobs.append(Job(spec=origin))
            for reference, shifts in suite.shifts.items():
                for method in methods or start.methods:
                    spec = tuned(
                        origin,
                        stages_of(method, suite, sizes, reference=reference),
                        name=tuned_name(name, arm, start.label(method), reference=reference, seed=seed),
                        seed=seed,
                        accelerator=of_base.accelerator,
                        threads=of_base.threads,
                    )
                    jobs.append(Job(spec=spec, shifts=measured_on(suite, reference, shifts)))
    return jobs


def tuned_names(suite: Suite, *, name: str, reference: str, seed: int) -> dict[tuple[str, str], str]:
    """(arm, method) → what the tuned model is called."""
    return {
        (arm, start.label(method)): tuned_name(name, arm, start.label(method), reference=reference, seed=seed)
        for arm, starts in suite.arms.items()
        for start in starts
        for method in start.methods
    }


def tuned_name(suite: str, arm: str, method: str, *, reference: str, seed: int) -> str:
    """What a tuned model is called."""
    return f"study-{suite}-{arm}-{method}-on-{reference}-{seed}"


def stages_of(method: str, suite: Suite, sizes: Sizes, *, reference: str) -> tuple[Stage, ...]:
    """The stages that tune a model to a reference.

    Args:
        method: ``"ft"`` fine-tunes with a fresh head, ``"lp-ft"`` after a linear probe, and ``"zs-ft"`` from
            the head that is there: a zero-shot one, or that of the pre-training.
    """
    from models_zoo.tuning.fine_tune import fine_tune
    from models_zoo.tuning.linear_probe import linear_probe

    shift = suite.training.get(reference, reference)
    both = {"batch_size": sizes.batch_size, "augment": suite.noise, "view": suite.view}
    tune = fine_tune(
        shift,
        epochs=sizes.tune,
        learning_rate=sizes.tune_rate,
        weight_decay=sizes.weight_decay,
        fresh_head=method == "ft",
        **both,  # type: ignore[arg-type]  # of mixed kinds
    )
    probe = linear_probe(shift, epochs=sizes.probe, learning_rate=sizes.probe_rate, **both)  # type: ignore[arg-type]
    stages = {"ft": (tune,), "zs-ft": (tune,), "lp-ft": (probe, tune)}[method]
    return tuple(dataclasses.replace(stage, split=suite.split, part=suite.part) for stage in stages)
