"""The models of the study ``noisy-pretraining``: pre-trained with noise, in labels or captions, and tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models_zoo.spec import Preprocess
from shifts.label_noise import GRID, Kind

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job
    from models_zoo.recipe import Augmentation, Stage
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretext:
    """A pre-training.

    Attributes:
        model: a registered model, trained on images of which none is tuned to or tested on.
        noise: its kind.
        zero_shot: whether the model answers in the classes of the reference without being tuned.
        epochs: of the pre-training; None leaves those of the model's recipe.
    """

    model: str
    noise: Kind
    zero_shot: bool = False
    epochs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is trained.

    Attributes:
        rates: of noise, none the first.
        pretrain: epochs of every pre-training, None for those of the suite.
        tune: epochs of LoRA and of fine-tuning; the rates at which both start are those of the highest
            accuracy on the reference.
        shares: percent of the data that the scratch models of a line learn from.
        scratch: epochs of theirs, None for those of their recipe.
    """

    rates: tuple[float, ...] = GRID
    pretrain: int | None = None
    tune: int = 20
    shares: tuple[int, ...] = (10, 25, 50, 75, 100)
    scratch: int | None = None


SMOKE = Sizes(rates=(0.0, 0.3), pretrain=1, tune=1, shares=(25, 50, 100), scratch=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        pretexts: kind of pre-training → what it is.
        reference: what is tuned to and tested on.
        registered: patterns of shifts that are only tested on.
        corrupted: corruptions of the reference, of severity 3, that are made for the study.
        augment: changes of the images where weights are trained on them.
        split, part: what is tuned on.
        preprocess: of the tuned models; None leaves that of the pre-training.
        baseline: accuracies of scratch models that come with the package; None trains ``scratch``.
        scratch: a registered model, trained on shares of the data.
        limit: number of test images, None for all.
    """

    pretexts: Mapping[str, Pretext]
    reference: str
    registered: tuple[str, ...]
    corrupted: tuple[str, ...] = ()
    augment: str | tuple[Augmentation, ...] | None = None
    split: str = "train"
    part: tuple[float, float] | None = None
    preprocess: Preprocess | None = None
    baseline: str | None = None
    scratch: str | None = None
    limit: int | None = None
    sizes: Sizes = field(default_factory=Sizes)

    def shifts(self) -> tuple[ShiftSpec, ...]:
        """What is only tested on."""
        from shifts.spec import SHIFTS

        found = [SHIFTS.get(name) for pattern in self.registered for name in SHIFTS.names(pattern)]
        found += [_corrupted(SHIFTS.get(self.reference), name) for name in self.corrupted]
        return tuple(one.limited(self.limit) for one in found)

    def tested_on(self) -> tuple[ShiftSpec, ...]:
        """The reference and the shifts."""
        from shifts.spec import SHIFTS

        return (SHIFTS.get(self.reference).limited(self.limit), *self.shifts())


def _corrupted(reference: ShiftSpec, name: str, severity: int = 3) -> ShiftSpec:
    from shifts.perturbations.severities import corruption

    return dataclasses.replace(
        reference,
        name=f"{reference.name}/{name}/{severity}",
        title=f"{name.replace('-', ' ')}, severity {severity}",
        kind="corruption",
        support="out",
        reference=reference.name,
        perturbations=(*reference.perturbations, corruption(name, severity, "cifar")),
        severity=severity,
    )


def _suites() -> dict[str, Suite]:
    from models_zoo.sources.cifar_small import MOVE, TRAIN
    from models_zoo.spec import MODELS

    objects = {"supervised": Pretext(model="cifar10-turned-cnn", noise="symmetric", epochs=2)}
    captions = {"contrastive": Pretext(model="cifar10-two-tower", noise="captions", zero_shot=True, epochs=2)}
    return {
        "digits": Suite(
            pretexts={
                "supervised": Pretext(model="digits-turned-cnn", noise="symmetric", epochs=12),
                "contrastive": Pretext(model="digits-two-tower", noise="captions", zero_shot=True, epochs=12),
            },
            reference="digits",
            registered=("digits/*/3", "digits/unseen-tint"),
            augment="models_zoo.sources.digits_models:pixel_noise",
            baseline="digits-scratch-v1",
        ),
        "cifar10": Suite(
            pretexts={**objects, **captions},
            reference="cifar10-compressed",
            registered=("cifar10-compressed/unseen-tint",),
            corrupted=("gaussian-noise", "gaussian-blur", "contrast", "brightness", "pixelate"),
            augment=(MOVE,),
            part=TRAIN,
            scratch="cifar10-cnn16",
            limit=2000,
            sizes=Sizes(tune=2, shares=(10, 25, 50, 100)),
        ),
        # Tuned to photographs, tested on the other styles: the protocol on domains, with fewer classes.
        "pacs": Suite(
            pretexts=objects,
            reference="pacs-photo",
            registered=("pacs-photo/art", "pacs-photo/cartoon", "pacs-photo/sketch"),
            augment="models_zoo.sources.pacs_models:mirror_and_move",
            split="photo",
            preprocess=MODELS.get("pacs-cnn-32").preprocess,
            scratch="pacs-cnn-32",
            sizes=Sizes(tune=8),
        ),
    }


NAMES = ("digits", "cifar10", "pacs")


def suite_of(name: str) -> Suite:
    """One of ``NAMES``; made when it is asked for, since it looks at what is registered."""
    return _suites()[name]


def jobs_of(suite: Suite, sizes: Sizes, *, name: str, seed: int) -> Iterator[Job]:
    """Every pre-trained model of a seed, every tuned one, and the scratch models of its line."""
    from benchmark.studies.measuring import Job
    from shifts.spec import SHIFTS

    shifts = suite.tested_on()
    for kind, pretext in suite.pretexts.items():
        for rate in sizes.rates:
            start = pretrained(pretext, sizes, rate=rate, seed=seed)
            own = () if pretext.zero_shot else (SHIFTS.get(start.suite).limited(suite.limit),)
            yield Job(spec=start, shifts=shifts if pretext.zero_shot else own)
            for method in METHODS:
                spec = tuned_model(suite, sizes, method, name=name, kind=kind, rate=rate, seed=seed)
                yield Job(spec=spec, shifts=shifts)
    for spec in scratch_models(suite, sizes, seed=seed):
        yield Job(spec=spec, shifts=shifts)


def scratch_models(suite: Suite, sizes: Sizes, *, seed: int) -> list[ModelSpec]:
    """The scratch models of a seed, where none come with the package."""
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant

    if suite.scratch is None:
        return []
    base = MODELS.get(suite.scratch)
    specs = [variant(base, share=None if share == 100 else share, seed=seed) for share in sizes.shares]
    return [_of_length(spec, sizes.scratch) for spec in specs]


def pretrained(pretext: Pretext, sizes: Sizes, *, rate: float, seed: int) -> ModelSpec:
    """The model of a pre-training with noise at a rate."""
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant
    from shifts.label_noise import LabelNoise

    noise = LabelNoise(kind=pretext.noise, rate=rate) if rate else None
    spec = variant(MODELS.get(pretext.model), noise=noise, seed=seed)
    return _of_length(spec, sizes.pretrain or pretext.epochs)


def _of_length(spec: ModelSpec, epochs: int | None) -> ModelSpec:
    """The model after so many epochs of every stage; None leaves those of its recipe."""
    from models_zoo.recipe import recipe_of

    if epochs is None:
        return spec
    recipe = dataclasses.replace(recipe_of(spec), keep=())
    stages = tuple(dataclasses.replace(stage, epochs=epochs) for stage in recipe.stages)
    return dataclasses.replace(spec, recipe=dataclasses.replace(recipe, stages=stages))


def tuned_model(
    suite: Suite, sizes: Sizes, method: str, *, name: str, kind: str, rate: float, seed: int
) -> ModelSpec:
    """The pre-trained model after tuning."""
    from models_zoo.recipe import recipe_of
    from models_zoo.tuning.tuned import tuned

    start = pretrained(suite.pretexts[kind], sizes, rate=rate, seed=seed)
    of_start = recipe_of(start)
    spec = tuned(
        start,
        [dataclasses.replace(_STAGES[method](suite, sizes), split=suite.split, part=suite.part)],
        name=f"study-noisy-{name}-{start.name.replace('@', '-')}-{method}",
        seed=seed,
        accelerator=of_start.accelerator,
        threads=of_start.threads,
    )
    return spec if suite.preprocess is None else dataclasses.replace(spec, preprocess=suite.preprocess)


def _probed(suite: Suite, sizes: Sizes) -> Stage:
    from models_zoo.tuning.on_features import on_features

    return on_features(suite.reference, "lp")


def _adapted(suite: Suite, sizes: Sizes) -> Stage:
    from models_zoo.tuning.lora import lora

    return lora(suite.reference, epochs=sizes.tune, learning_rate=1e-2, augment=suite.augment)


def _fine_tuned(suite: Suite, sizes: Sizes) -> Stage:
    from models_zoo.tuning.fine_tune import fine_tune

    return fine_tune(
        suite.reference,
        epochs=sizes.tune,
        warmup_epochs=0,
        learning_rate=1e-3,
        batch_size=64,
        augment=suite.augment,
        fresh_head=True,
    )


_STAGES = {"lp": _probed, "lora": _adapted, "ft": _fine_tuned}
METHODS = tuple(_STAGES)
