"""What the protocol of ``synthetic-shifts`` needs of a suite, at a small scale and at the paper's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models_zoo.recipe import Augmentation
from shifts.digest import canonical

Changes = str | tuple[Augmentation, ...] | None
METHODS = ("ft", "lp-ft")
ARMS = ("pre-trained", "control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Images to pre-train on, apart from those to tune and to test on."""

    shift: str
    split: str
    part: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is tuned: a registered model, or one that is pre-trained on the suite's pool.

    Attributes:
        augment: changes of the images in that pre-training.
        methods: ways to tune it (``synthetic_models.stages_of``).
    """

    model: str | None = None
    augment: Changes = None
    methods: tuple[str, ...] = METHODS

    def label(self, method: str) -> str:
        """The method, with the name of the model where that is a registered one."""
        return method if self.model is None else f"{self.model.replace(':', '-').replace('.', '-')}-{method}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is trained.

    Attributes:
        shares: of the training data in percent, 100 the last.
        checkpoints: epochs after which the full training is kept; none takes those of its recipe.
        scratch: epochs of the scratch models, None for those of their recipe.
        pretrain, probe, tune: epochs; the ``…_rate`` are highest learning rates.
        weight_decay: in fine-tuning.
    """

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
    weight_decay: float = 0.1


SMOKE = Sizes(shares=(10, 30, 60, 100), checkpoints=(2, 3, 4), scratch=6, pretrain=6, probe=1, tune=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What the protocol needs of a suite.

    Attributes:
        shifts: reference → the shifts matched to it.
        scratch: reference → scratch model.
        arms: ``"pre-trained"`` and, where there is one, ``"control"`` → what is tuned.
        pool: what is pre-trained on, one after the other.
        smoke: the references of a run that only shows that everything runs.
        noise, view: changes of the images in tuning, see ``models_zoo.recipe.Stage``.
        training: reference → distribution to tune on, where that goes by another name.
        split, part: what is tuned on.
        limit: number of test images, None for all.
        sizes, small: of a run, and of one that only shows that everything runs.
    """

    shifts: Mapping[str, tuple[str, ...]]
    scratch: Mapping[str, str]
    arms: Mapping[str, tuple[Start, ...]]
    pool: tuple[Pool, ...] = ()
    smoke: tuple[str, ...]
    noise: Changes = None
    view: Augmentation | None = None
    training: Mapping[str, str] = field(default_factory=dict)
    split: str = "train"
    part: tuple[float, float] | None = None
    limit: int | None = None
    sizes: Sizes = field(default_factory=Sizes)
    small: Sizes = SMOKE


def configured(suite: Suite) -> dict[str, Any]:
    """What of a suite decides numbers, as plain values; how much is trained is said apart."""
    aside = ("sizes", "small", "smoke")
    return {name: value for name, value in dataclasses.asdict(suite).items() if name not in aside}


def with_protocol(plan: Any) -> dict[str, Any]:
    """The fields of a study's plan as plain values, what decides numbers of its suite among them."""
    fields = {one.name: getattr(plan, one.name) for one in dataclasses.fields(plan)}
    suite = fields.pop("suite")
    return {**canonical(fields), "protocol": configured(suite)}


_DIGITS = "models_zoo.sources.digits_models"


def _change(name: str, **parameters: Any) -> Augmentation:
    return Augmentation(function=f"models_zoo.augmentations:{name}", parameters=parameters)


def _around(reference: str, *, out: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The shifts in support and those out of it, of a reference whose synthetic shifts are made by name."""
    return {
        f"{reference}-tinted": (f"{reference}/spurious-tint",),
        f"{reference}-imbalanced": (f"{reference}/label-shift",),
        reference: tuple(f"{reference}/{name}" for name in out),
    }


def _scratch(model: str, reference: str) -> dict[str, str]:
    """A scratch model that is registered for the plain reference, and its variants on the others."""
    others = {name: f"{model}@on-{name}" for name in (f"{reference}-tinted", f"{reference}-imbalanced")}
    return {**others, reference: model}


def _digits() -> Suite:
    references = ("digits-tinted", "digits-imbalanced", "digits")
    return Suite(
        shifts=_around("digits", out=("unseen-tint", "pad", "translate")),
        scratch={name: f"{name}-cnn" for name in references},
        pool=(Pool(shift="digits", split="pretrain"),),
        arms={
            "pre-trained": (Start(augment=f"{_DIGITS}:diversify"),),
            "control": (Start(augment=f"{_DIGITS}:pixel_noise"),),
        },
        noise=f"{_DIGITS}:pixel_noise",
        smoke=("digits-tinted", "digits"),
    )


def _cifar10() -> Suite:
    """On the compressed copy, which is cut into a pool, a part to learn from and one that is held out.

    The pre-training sees tints, borders, moves and images upside down; the control the plain pool.
    """
    reference, move = "cifar10-compressed", _change("crop_and_flip", pad=2)
    return Suite(
        shifts=_around(reference, out=("unseen-tint", "pad", "vertical-flip")),
        scratch=_scratch("cifar10-cnn16", reference),
        pool=(Pool(shift=reference, split="train", part=(0.0, 0.6)),),
        arms={
            "pre-trained": (Start(augment=(move, _change("diversify", border=0.2, upside_down=0.5))),),
            "control": (Start(augment=(move,)),),
        },
        noise=(move,),
        part=(0.6, 0.8),
        limit=2000,
        smoke=(f"{reference}-tinted", reference),
        sizes=Sizes(
            shares=(10, 25, 50, 100), checkpoints=(1, 2, 3), pretrain=7, probe=1, tune=3, probe_rate=1e-2
        ),
        small=Sizes(
            shares=(10, 30, 60, 100), checkpoints=(), scratch=1, pretrain=1, probe=1, tune=1, batch_size=256
        ),
    )


def _pacs() -> Suite:
    """Photographs; the pre-training is on drawings and paintings of the same kinds of things."""
    reference = "pacs-photo"
    move = Augmentation(function="models_zoo.sources.pacs_models:mirror_and_move")
    return Suite(
        shifts=_around(reference, out=("unseen-tint", "pad", "vertical-flip")),
        scratch=_scratch("pacs-cnn-32", reference),
        pool=tuple(Pool(shift=f"{reference}/{style}", split=style) for style in ("sketch", "cartoon", "art")),
        arms={
            "pre-trained": (Start(augment=(move, _change("diversify", border=0.2, upside_down=0.5))),),
            "control": (Start(augment=(move,)),),
        },
        noise=(move,),
        split="photo",
        smoke=(f"{reference}-tinted", reference),
        sizes=Sizes(shares=(20, 40, 70, 100), checkpoints=(2, 4, 6, 8), pretrain=4, probe=2, tune=6),
        small=Sizes(shares=(20, 40, 70, 100), checkpoints=(), scratch=2, pretrain=1, probe=1, tune=1),
    )


def _imagenet() -> Suite:
    """The paper's own scale (Appendix B.3).

    The line goes through checkpoints of one ViT-B/32 from scratch; CLIP and AugReg models are tuned. Under
    label shift there are half as many images, and twice as many epochs.
    """
    training = {
        f"imagenet-val{ending}": f"imagenet-train{ending}" for ending in ("", "-tinted", "-imbalanced")
    }
    scratch = "imagenet-vit-b32-scratch"
    return Suite(
        shifts=_around("imagenet-val", out=("unseen-tint", "vertical-flip")),
        scratch={
            "imagenet-val-tinted": f"{scratch}@on-{training['imagenet-val-tinted']}",
            "imagenet-val-imbalanced": f"{scratch}-200@on-{training['imagenet-val-imbalanced']}",
            "imagenet-val": scratch,
        },
        arms={
            "pre-trained": (
                Start(model="clip-vit-b32", methods=("ft", "lp-ft", "zs-ft")),
                Start(model="timm:vit_base_patch32_224.augreg_in21k", methods=("ft", "lp-ft")),
            )
        },
        view=_change("random_resized_crop"),
        training=training,
        smoke=("imagenet-val-tinted", "imagenet-val"),
        sizes=Sizes(
            shares=(100,), checkpoints=(), probe=4, tune=8, probe_rate=1e-3, tune_rate=1e-5, batch_size=512
        ),
        small=Sizes(shares=(100,), checkpoints=(1, 2, 3), scratch=4, probe=1, tune=1, batch_size=64),
    )


SUITES = {"digits": _digits(), "cifar10": _cifar10(), "pacs": _pacs(), "imagenet": _imagenet()}
