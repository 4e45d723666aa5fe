"""The suites of the studies of noise in pre-training: what is pre-trained, and what that is tuned to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models_zoo.recipe import Augmentation
from models_zoo.spec import Preprocess
from shifts.label_noise import GRID, Kind

if TYPE_CHECKING:
    from shifts.spec import ShiftSpec

METHODS = ("lp", "lora", "ft")  # ways to tune, see noisy_models


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretext:
    """A pre-training.

    Attributes:
        model: a registered model, trained on images of which none is tuned to or tested on.
        noise: its kind.
        zero_shot: whether the model answers in other classes without being tuned.
        epochs: of the pre-training; None leaves those of the model's recipe.
        tested: a shift that shows how well the pre-training went; None for that of the model's name.
        adapted: patterns of the layers that get adapters.
    """

    model: str
    noise: Kind
    zero_shot: bool = False
    epochs: int | None = None
    tested: str | None = None
    adapted: tuple[str, ...] = ("*",)

    def shown_on(self) -> ShiftSpec:
        """What the pre-trained model itself is measured on."""
        from models_zoo.spec import MODELS
        from shifts.spec import SHIFTS

        return SHIFTS.get(self.tested or MODELS.get(self.model).suite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A set that is tuned to, with what the tuned models are tested on.

    Attributes:
        reference: tested on.
        registered: shifts that are only tested on: names, or patterns of names.
        corrupted: corruptions of the reference, of severity 3, that are made for the study.
        split, part: what is tuned on.
        within: whether its reference counts among the sets in distribution; False where it is there for its
            shifts alone.
    """

    reference: str
    registered: tuple[str, ...] = ()
    corrupted: tuple[str, ...] = ()
    split: str = "train"
    part: tuple[float, float] | None = None
    within: bool = True

    def shifts(self, limit: int | None = None) -> tuple[ShiftSpec, ...]:
        """What is only tested on, so many images of each."""
        from shifts.spec import SHIFTS

        found = [one for name in self.registered for one in _named(name)]
        found += [_corrupted(SHIFTS.get(self.reference), name) for name in self.corrupted]
        return tuple(one.limited(limit) for one in found)

    def tested_on(self, limit: int | None = None) -> tuple[ShiftSpec, ...]:
        """The reference and the shifts."""
        from shifts.spec import SHIFTS

        return (SHIFTS.get(self.reference).limited(limit), *self.shifts(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is trained.

    Attributes:
        rates: of noise, none the first.
        pretrain: epochs of every pre-training, None for those of the suite.
        tune: epochs of LoRA and of fine-tuning.
        lora_rate, ft_rate: learning rates at which these two start. That of LoRA was chosen on digits by the
            accuracy in distribution of two seeds, 0 and 1; that of fine-tuning was set beforehand.
        shares: percent of the data that the scratch models of a line learn from.
        scratch: epochs of theirs, None for those of their recipe.
    """

    rates: tuple[float, ...] = GRID
    pretrain: int | None = None
    tune: int = 20
    lora_rate: float = 1e-2
    ft_rate: float = 1e-3
    shares: tuple[int, ...] = (10, 25, 50, 75, 100)
    scratch: int | None = None


SMOKE = Sizes(rates=(0.0, 0.3), pretrain=1, tune=1, shares=(25, 50, 100), scratch=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        pretexts: kind of pre-training → what it is.
        targets: every model is tuned to each of them. Accuracies are means over sets: in distribution over
            the references, out of it over all shifts.
        methods: of ``METHODS``, by which it is tuned.
        zero_shot: what zero-shot models are tested on; None for the targets.
        augment, view: changes of the images where weights are trained on them.
        preprocess: of the tuned models; None leaves that of the pre-training.
        baseline: accuracies of scratch models that come with the package, for the one target.
        scratch: where there are none a registered model, trained on shares of that target's data. Without
            either there is no line, and no effective robustness.
        limit: number of test images of every set, None for all.
    """

    pretexts: Mapping[str, Pretext]
    targets: tuple[Target, ...]
    methods: tuple[str, ...] = METHODS
    zero_shot: Target | None = None
    augment: str | tuple[Augmentation, ...] | None = None
    view: Augmentation | None = None
    preprocess: Preprocess | None = None
    baseline: str | None = None
    scratch: str | None = None
    limit: int | None = None
    sizes: Sizes = field(default_factory=Sizes)

    def shifts(self) -> tuple[ShiftSpec, ...]:
        """What is only tested on."""
        return tuple(one for target in self.targets for one in target.shifts(self.limit))

    def untuned(self) -> tuple[Target, ...]:
        """What zero-shot models are tested on."""
        return self.targets if self.zero_shot is None else (self.zero_shot,)


def _named(name: str) -> list[ShiftSpec]:
    """A shift by its name, without the variants below it, or all whose names fit a pattern."""
    from shifts.spec import SHIFTS

    one = SHIFTS.find(name)
    return SHIFTS.entries(name) if one is None else [one]


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


def downstream_pretexts() -> dict[str, Pretext]:
    """The pre-trainings of Chen et al. at full scale, by the names that their figures give them."""
    return {
        "supervised ResNet-50": Pretext(
            model="imagenet-resnet50-a1", noise="symmetric", tested="imagenet-val"
        ),
        "supervised ViT-B/16": Pretext(
            model="imagenet-vit-b16-scratch",
            noise="symmetric",
            tested="imagenet-val",
            adapted=("*.mlp.0", "*.mlp.3"),
        ),
        "CLIP ResNet-50": Pretext(
            model="yfcc15m-clip-rn50", noise="captions", zero_shot=True, tested="imagenet-val"
        ),
        "CLIP ViT-B/16": Pretext(
            model="cc12m-clip-vit-b16",
            noise="captions",
            zero_shot=True,
            tested="imagenet-val",
            adapted=("*.mlp.c_fc", "*.mlp.c_proj"),
        ),
    }


# Two views of an image in the code released with NMTune.
VIEW = Augmentation(
    function="models_zoo.augmentations:random_resized_crop", parameters={"scale": (0.8, 1.0), "flip": 0.5}
)
STYLES = ("clipart", "painting", "real", "sketch")


def downstream_targets() -> tuple[Target, ...]:
    """The fourteen sets that are in distribution, and two styles of DomainNet with the others out of it."""
    return (*_fourteen(), *_styles("real", "sketch"))


def _fourteen() -> Iterator[Target]:
    from benchmark.suites import SUITES
    from shifts.spec import SOURCES

    for one in SUITES.get("downstream").shifts():
        # Some publishers give training and validation images as one split.
        split = next(name for name in SOURCES.get(one.source).counts if name.startswith("train"))
        yield Target(reference=one.name, split=split)


def _styles(*homes: str) -> Iterator[Target]:
    for home in homes:
        yield Target(
            reference=f"domainnet-{home}",
            registered=tuple(f"domainnet-{home}/{away}" for away in STYLES if away != home),
            split=f"{home}-train",
            within=False,
        )


IMAGENET = Target(
    reference="imagenet-val",
    registered=(
        "imagenet-v2",
        "imagenet-r",
        "imagenet-sketch",
        "imagenet-a",
        "objectnet",
        "imagenet-vid-robust/pm-0",
    ),
)


def _suites() -> dict[str, Suite]:
    from models_zoo.sources.cifar_small import MOVE, TRAIN
    from models_zoo.spec import MODELS

    objects = {"supervised": Pretext(model="cifar10-turned-cnn", noise="symmetric", epochs=2)}
    captions = {"contrastive": Pretext(model="cifar10-two-tower", noise="captions", zero_shot=True, epochs=2)}
    downstream = Suite(
        pretexts=downstream_pretexts(),
        targets=downstream_targets(),
        methods=("lp",),
        zero_shot=IMAGENET,
        view=VIEW,
        # Epochs as published; of the rates of fine-tuning nothing is, and none was tried.
        sizes=Sizes(tune=30, lora_rate=1e-3, ft_rate=1e-4),
    )
    return {
        "digits": Suite(
            pretexts={
                "supervised": Pretext(model="digits-turned-cnn", noise="symmetric", epochs=12),
                "contrastive": Pretext(model="digits-two-tower", noise="captions", zero_shot=True, epochs=12),
            },
            targets=(Target(reference="digits", registered=("digits/*/3", "digits/unseen-tint")),),
            augment="models_zoo.sources.digits_models:pixel_noise",
            baseline="digits-scratch-v1",
        ),
        "cifar10": Suite(
            pretexts={**objects, **captions},
            targets=(
                Target(
                    reference="cifar10-compressed",
                    registered=("cifar10-compressed/unseen-tint",),
                    corrupted=("gaussian-noise", "gaussian-blur", "contrast", "brightness", "pixelate"),
                    part=TRAIN,
                ),
            ),
            augment=(MOVE,),
            scratch="cifar10-cnn16",
            limit=2000,
            sizes=Sizes(tune=2, shares=(10, 25, 50, 100)),
        ),
        # Tuned to photographs, tested on the other styles: the protocol on domains, with fewer classes.
        "pacs": Suite(
            pretexts=objects,
            targets=(
                Target(
                    reference="pacs-photo",
                    registered=("pacs-photo/art", "pacs-photo/cartoon", "pacs-photo/sketch"),
                    split="photo",
                ),
            ),
            augment="models_zoo.sources.pacs_models:mirror_and_move",
            preprocess=MODELS.get("pacs-cnn-32").preprocess,
            scratch="pacs-cnn-32",
            sizes=Sizes(tune=8),
        ),
        "downstream": downstream,
        "downstream-tuned": dataclasses.replace(downstream, methods=METHODS),
    }


NAMES = ("digits", "cifar10", "pacs", "downstream", "downstream-tuned")


def suite_of(name: str) -> Suite:
    """One of ``NAMES``; made when it is asked for, since it looks at what is registered."""
    return _suites()[name]
