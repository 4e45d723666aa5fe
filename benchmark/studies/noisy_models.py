"""The models of the study ``noisy-pretraining``: pre-trained with noise, in labels or captions, and tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from benchmark.studies.noisy_suites import Pretext, Sizes, Suite, Target

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Stage
    from models_zoo.spec import ModelSpec


def jobs_of(suite: Suite, sizes: Sizes, *, name: str, seed: int) -> Iterator[Job]:
    """Every pre-trained model of a seed, every tuned one, and the scratch models of its line."""
    from benchmark.studies.measuring import Job

    limit = suite.limit
    for kind, pretext in suite.pretexts.items():
        untuned = tuple(one for target in suite.untuned() for one in target.tested_on(limit))
        own = untuned if pretext.zero_shot else (pretext.shown_on().limited(limit),)
        for rate in sizes.rates:
            start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
            yield Job(spec=start, shifts=own)
            for target in suite.targets:
                for method in suite.methods:
                    spec = tuned_model(
                        suite, sizes, target, method, name=name, kind=kind, rate=rate, seed=seed
                    )
                    yield Job(spec=spec, shifts=target.tested_on(limit))
    for spec in scratch_models(suite, sizes, seed=seed):
        (target,) = suite.targets
        yield Job(spec=spec, shifts=target.tested_on(limit))


def scratch_models(suite: Suite, sizes: Sizes, *, seed: int) -> list[ModelSpec]:
    """The scratch models of a seed, where none come with the package."""
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant

    if suite.scratch is None:
        return []
    base = MODELS.get(suite.scratch)
    specs = [variant(base, share=None if share == 100 else share, seed=seed) for share in sizes.shares]
    return [_of_length(spec, sizes.scratch) for spec in specs]


def pretrained(pretext: Pretext, *, rate: float, seed: int, epochs: int | None = None) -> ModelSpec:
    """The model of a pre-training with noise at a rate; epochs in place of its own where they are given."""
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant
    from shifts.label_noise import LabelNoise

    noise = LabelNoise(kind=pretext.noise, rate=rate) if rate else None
    spec = variant(MODELS.get(pretext.model), noise=noise, seed=seed)
    return _of_length(spec, epochs or pretext.epochs)


def _of_length(spec: ModelSpec, epochs: int | None) -> ModelSpec:
    """The model after so many epochs of every stage; None leaves those of its recipe."""
    from models_zoo.recipe import recipe_of

    if epochs is None:
        return spec
    recipe = dataclasses.replace(recipe_of(spec), keep=())
    stages = tuple(dataclasses.replace(stage, epochs=epochs) for stage in recipe.stages)
    return dataclasses.replace(spec, recipe=dataclasses.replace(recipe, stages=stages))


def tuned_model(
    suite: Suite,
    sizes: Sizes,
    target: Target,
    method: str,
    *,
    name: str,
    kind: str,
    rate: float,
    seed: int,
) -> ModelSpec:
    """The pre-trained model after tuning to a target."""
    pretext = suite.pretexts[kind]
    start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
    stage = dataclasses.replace(
        _STAGES[method](suite, sizes, target.reference, pretext), split=target.split, part=target.part
    )
    told = [f"study-noisy-{name}", start.name.replace("@", "-"), method]
    told += [target.reference] if len(suite.targets) > 1 else []
    spec = tuned_from(start, stage, name="-".join(told), seed=seed)
    return spec if suite.preprocess is None else dataclasses.replace(spec, preprocess=suite.preprocess)


def tuned_from(start: ModelSpec, stage: Stage, *, name: str, seed: int) -> ModelSpec:
    """A pre-trained model after one stage, on the device and with the threads of its pre-training."""
    from models_zoo.recipe import recipe_of
    from models_zoo.tuning.tuned import tuned

    of_start = recipe_of(start)
    return tuned(
        start, [stage], name=name, seed=seed, accelerator=of_start.accelerator, threads=of_start.threads
    )


def _probed(_suite: Suite, _sizes: Sizes, reference: str, _pretext: Pretext) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(reference, "lp")


def _adapted(suite: Suite, sizes: Sizes, reference: str, pretext: Pretext) -> Stage:
    from models_zoo.tuning.lora import lora

    return lora(
        reference,
        epochs=sizes.tune,
        learning_rate=sizes.lora_rate,
        layers=pretext.adapted,
        augment=suite.augment,
        view=suite.view,
    )


def _fine_tuned(suite: Suite, sizes: Sizes, reference: str, _pretext: Pretext) -> Stage:
    from models_zoo.tuning.fine_tune import fine_tune

    return fine_tune(
        reference,
        epochs=sizes.tune,
        warmup_epochs=0,
        learning_rate=sizes.ft_rate,
        batch_size=64,
        augment=suite.augment,
        view=suite.view,
        fresh_head=True,
    )


_STAGES: Mapping[str, Callable[[Suite, Sizes, str, Pretext], Stage]] = {
    "lp": _probed,
    "lora": _adapted,
    "ft": _fine_tuned,
}
