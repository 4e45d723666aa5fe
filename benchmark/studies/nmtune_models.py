"""The models of the study ``nmtune``: pre-trained with noise in the labels, tuned in every way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shifts.label_noise import GRID

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Augmentation, Stage
    from models_zoo.spec import ModelSpec


RESHAPING = "models_zoo.tuning.reshaping:Reshaping"
RESHAPED = {"lora-nmtune": "lora", "ft-nmtune": "ft"}  # with NMTune's terms: the same tuning without them


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        start: a registered model of a pretext, of whose images none is tuned to or tested on.
        reference: what is tuned to and tested on.
        ood: patterns of the shifts that are only tested on.
        smoke: those of a run that only shows that everything runs.
        augment: changes of the images where weights are trained on them.
    """

    start: str
    reference: str
    ood: tuple[str, ...]
    smoke: tuple[str, ...]
    augment: str

    @property
    def shifts(self) -> tuple[str, ...]:
        """Names of the shifts that are only tested on."""
        from shifts.spec import SHIFTS

        return tuple(name for pattern in self.ood for name in SHIFTS.names(pattern))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything.

    Attributes:
        rates: of symmetric noise in pre-training, the clean one first.
        pretrain: epochs; None leaves those of the start's recipe.
        epochs: of every way to tune, as published.
        lora_rate, rate: learning rates of LoRA and of fine-tuning, at which these epochs are enough to tell
            (almost) all training images right, as every method on features does.
        decay, batch_size: of both, those of the released code.
    """

    rates: tuple[float, ...] = GRID
    pretrain: int | None = None
    epochs: int = 30
    lora_rate: float = 1e-2
    rate: float = 1e-3
    decay: float = 1e-4
    batch_size: int = 64


SMOKE = Sizes(rates=(0.0, 0.3), pretrain=2, epochs=4)
SUITES: Mapping[str, Suite] = {
    "digits": Suite(
        start="digits-turned-cnn",
        reference="digits",
        ood=("digits/*/3", "digits/unseen-tint"),
        smoke=("digits/contrast/3", "digits/unseen-tint"),
        augment="models_zoo.sources.digits_models:pixel_noise",
    )
}


def jobs_of(suite: Suite, sizes: Sizes, *, seed: int) -> Iterator[Job]:
    """Every pre-trained model of a seed, measured on its pretext, and every tuned one."""
    from benchmark.studies.measuring import Job
    from shifts.spec import SHIFTS

    shifts = tuple(SHIFTS.get(name) for name in (suite.reference, *suite.shifts))
    for rate in sizes.rates:
        start = pretrained(suite, sizes, rate=rate, seed=seed)
        yield Job(spec=start, shifts=(SHIFTS.get(start.suite),))
        for method in METHODS:
            yield Job(spec=tuned_model(suite, sizes, method, rate=rate, seed=seed), shifts=shifts)


def pretrained(suite: Suite, sizes: Sizes, *, rate: float, seed: int) -> ModelSpec:
    """The pretext's model with so many of its labels wrong."""
    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant
    from shifts.label_noise import LabelNoise

    noise = LabelNoise(kind="symmetric", rate=rate) if rate else None
    spec = variant(MODELS.get(suite.start), noise=noise, seed=seed)
    if sizes.pretrain is None:
        return spec
    recipe = recipe_of(spec)
    stages = tuple(dataclasses.replace(stage, epochs=sizes.pretrain) for stage in recipe.stages)
    return dataclasses.replace(spec, recipe=dataclasses.replace(recipe, stages=stages))


def tuned_model(suite: Suite, sizes: Sizes, method: str, *, rate: float, seed: int) -> ModelSpec:
    """The pre-trained model after tuning."""
    from models_zoo.recipe import recipe_of
    from models_zoo.tuning.tuned import tuned

    start = pretrained(suite, sizes, rate=rate, seed=seed)
    of_start = recipe_of(start)
    return tuned(
        start,
        [_STAGES[method](suite, sizes, method)],
        name=f"study-nmtune-{start.name.replace('@', '-')}-{method}",
        seed=seed,
        accelerator=of_start.accelerator,
        threads=of_start.threads,
    )


def _trained(suite: Suite, sizes: Sizes, method: str) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(suite.reference, method, epochs=sizes.epochs)


def _solved(suite: Suite, sizes: Sizes, method: str) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(suite.reference, method)


def _adapted(suite: Suite, sizes: Sizes, method: str) -> Stage:
    from models_zoo.tuning.lora import lora

    return lora(
        suite.reference,
        learning_rate=sizes.lora_rate,
        objective=_objective(method),
        fresh_head=True,
        **_loop(suite, sizes),
    )


def _fine_tuned(suite: Suite, sizes: Sizes, method: str) -> Stage:
    from models_zoo.tuning.fine_tune import fine_tune

    return fine_tune(
        suite.reference,
        learning_rate=sizes.rate,
        warmup_epochs=0,
        clip=None,
        objective=_objective(method),
        fresh_head=True,
        **_loop(suite, sizes),
    )


def _objective(method: str) -> Augmentation | None:
    from models_zoo.recipe import Augmentation

    return Augmentation(function=RESHAPING) if method in RESHAPED else None


def _loop(suite: Suite, sizes: Sizes) -> dict[str, Any]:
    return {
        "epochs": sizes.epochs,
        "weight_decay": sizes.decay,
        "batch_size": sizes.batch_size,
        "augment": suite.augment,
    }


_STAGES: Mapping[str, Callable[[Suite, Sizes, str], Stage]] = {
    "lp": _trained,
    "lbfgs": _solved,
    "mlp": _trained,
    "nmtune": _trained,
    "nmtune-code": _trained,
    "lora": _adapted,
    "lora-nmtune": _adapted,
    "ft": _fine_tuned,
    "ft-nmtune": _fine_tuned,
}
METHODS = tuple(_STAGES)
