"""The models of the study ``nmtune``: pre-trained with noise in the labels, tuned in every way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.studies.noisy_models import pretrained, tuned_from
from benchmark.studies.noisy_suites import VIEW, Pretext, Target, downstream_pretexts, downstream_targets
from models_zoo.recipe import Augmentation
from shifts.label_noise import GRID

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Stage
    from models_zoo.spec import ModelSpec


RESHAPING = "models_zoo.tuning.reshaping:Reshaping"
RESHAPED = {"lora-nmtune": "lora", "ft-nmtune": "ft"}  # with NMTune's terms: the same tuning without them
METHODS = ("lp", "lbfgs", "mlp", "nmtune", "nmtune-code", "lora", "lora-nmtune", "ft", "ft-nmtune")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything.

    Attributes:
        rates: of symmetric noise in pre-training, the clean one first.
        pretrain: epochs; None leaves those of the start's recipe.
        epochs: of every way to tune, as published.
        lora_rate, rate: learning rates of LoRA and of fine-tuning, at which these epochs are enough to tell
            (almost) all training images right, as every method on features does.
            At full size they are not published, and none was tried.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        pretexts: kind of pre-training → what it is.
        targets: every model is tuned to each of them; the numbers are means over sets.
        methods: of ``METHODS``, by which it is tuned.
        smoke: shifts that are only tested on in a run that shows that everything runs; none for all.
        augment, view: changes of the images where weights are trained on them.
        views: of the released form of NMTune; None fits it to the images as they are.
    """

    pretexts: Mapping[str, Pretext]
    targets: tuple[Target, ...]
    methods: tuple[str, ...] = METHODS
    smoke: tuple[str, ...] = ()
    augment: str | None = None
    view: Augmentation | None = None
    views: Augmentation | None = None
    sizes: Sizes = field(default_factory=Sizes)

    def smaller(self) -> Suite:
        """With the shifts of a smoke run."""
        if not self.smoke:
            return self
        targets = tuple(dataclasses.replace(target, registered=self.smoke) for target in self.targets)
        return dataclasses.replace(self, targets=targets)


def _digits() -> Suite:
    return Suite(
        pretexts={"supervised": Pretext(model="digits-turned-cnn", noise="symmetric")},
        targets=(Target(reference="digits", registered=("digits/*/3", "digits/unseen-tint")),),
        smoke=("digits/contrast/3", "digits/unseen-tint"),
        augment="models_zoo.sources.digits_models:pixel_noise",
    )


def _downstream() -> Suite:
    return Suite(
        pretexts=downstream_pretexts(),
        targets=downstream_targets(),
        methods=("lp", "mlp", "nmtune", "nmtune-code", "lora", "ft"),
        view=VIEW,
        views=VIEW,
        sizes=Sizes(lora_rate=1e-3, rate=1e-4),
    )


_SUITES: Mapping[str, Callable[[], Suite]] = {"digits": _digits, "downstream": _downstream}
NAMES = tuple(_SUITES)


def suite_of(name: str) -> Suite:
    """One of ``NAMES``; made when it is asked for, since it looks at what is registered."""
    return _SUITES[name]()


def jobs_of(suite: Suite, sizes: Sizes, *, seed: int) -> Iterator[Job]:
    """Every pre-trained model of a seed, measured on what shows how well that went, and every tuned one."""
    from benchmark.studies.measuring import Job

    for pretext in suite.pretexts.values():
        for rate in sizes.rates:
            start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
            yield Job(spec=start, shifts=(pretext.shown_on(),))
            for target in suite.targets:
                for method in suite.methods:
                    spec = tuned_model(suite, sizes, pretext, target, method, rate=rate, seed=seed)
                    yield Job(spec=spec, shifts=target.tested_on())


def tuned_model(
    suite: Suite, sizes: Sizes, pretext: Pretext, target: Target, method: str, *, rate: float, seed: int
) -> ModelSpec:
    """The pre-trained model after tuning to a target."""
    start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
    stage = _STAGES[method](suite, sizes, target.reference, pretext, method)
    told = ["study-nmtune", start.name.replace("@", "-"), method]
    told += [target.reference] if len(suite.targets) > 1 else []
    return tuned_from(
        start,
        dataclasses.replace(stage, split=target.split, part=target.part),
        name="-".join(told),
        seed=seed,
    )


def _trained(_suite: Suite, sizes: Sizes, reference: str, _pretext: Pretext, method: str) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(reference, method, epochs=sizes.epochs)


def _of_views(suite: Suite, sizes: Sizes, reference: str, _pretext: Pretext, method: str) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(reference, method, view=suite.views, epochs=sizes.epochs)


def _solved(_suite: Suite, _sizes: Sizes, reference: str, _pretext: Pretext, method: str) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(reference, method)


def _adapted(suite: Suite, sizes: Sizes, reference: str, pretext: Pretext, method: str) -> Stage:
    from models_zoo.tuning.lora import lora

    return lora(
        reference,
        learning_rate=sizes.lora_rate,
        layers=pretext.adapted,
        objective=_objective(method),
        fresh_head=True,
        **_loop(suite, sizes),
    )


def _fine_tuned(suite: Suite, sizes: Sizes, reference: str, _pretext: Pretext, method: str) -> Stage:
    from models_zoo.tuning.fine_tune import fine_tune

    return fine_tune(
        reference,
        learning_rate=sizes.rate,
        warmup_epochs=0,
        clip=None,
        objective=_objective(method),
        fresh_head=True,
        **_loop(suite, sizes),
    )


def _objective(method: str) -> Augmentation | None:
    return Augmentation(function=RESHAPING) if method in RESHAPED else None


def _loop(suite: Suite, sizes: Sizes) -> dict[str, Any]:
    return {
        "epochs": sizes.epochs,
        "weight_decay": sizes.decay,
        "batch_size": sizes.batch_size,
        "augment": suite.augment,
        "view": suite.view,
    }


_STAGES: Mapping[str, Callable[[Suite, Sizes, str, Pretext, str], Stage]] = {
    "lp": _trained,
    "lbfgs": _solved,
    "mlp": _trained,
    "nmtune": _trained,
    "nmtune-code": _of_views,
    "lora": _adapted,
    "lora-nmtune": _adapted,
    "ft": _fine_tuned,
    "ft-nmtune": _fine_tuned,
}
