"""What else could have been done: variants of a run, one step away from it.

A variant is data: a changed declaration (``dataclasses.replace`` of preprocess or arguments), a change of the
prepared pixels, or another reading of the same logits. Each maker below gives the variants of one cause.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.sentinel import pixels, readings
from shifts.labels import ANY, LABEL_SPACES

if TYPE_CHECKING:
    from benchmark.sentinel.pixels import Change
    from benchmark.sentinel.readings import Reading
    from models_zoo.spec import ModelSpec, Preprocess
    from shifts.spec import ShiftSpec

NORMALISATIONS = {
    "ImageNet's mean and standard deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mean and standard deviation 0.5 (inputs from -1 to 1)": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP's mean and standard deviation": (
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "CIFAR-10's mean and standard deviation": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "no normalisation (inputs from 0 to 1)": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "no scaling (inputs from 0 to 255)": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
CROPS = (0.875, 0.9, 0.95, 1.0)
SIZES = (224, 256, 288, 384)
ONE_TEMPLATE = "a photo of a {}."
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to run a model on a shift.

    Attributes:
        key: the cause in a word; unique together with ``says``.
        says: what is done instead of what was done.
        spec: the declaration to run.
        precision: of the forward pass.
        change: of the images or of the prepared batch, or None.
        reading: of the logits, or None for the runner's.
    """

    key: str
    says: str
    spec: ModelSpec
    precision: str = "float32"
    change: Change | None = None
    reading: Reading | None = None

    @property
    def name(self) -> str:
        return f"{self.key}: {self.says}"


Maker = Callable[[Variant, "ShiftSpec"], Iterator[Variant]]


def variants(base: Variant, shift: ShiftSpec) -> list[Variant]:
    """Everything one step away from a run, the commonest faults first; none does what the run does.

    Args:
        base: the run; its key and what it says go before those of the variants, unless empty.
    """
    found: dict[str, Variant] = {}
    for make in MAKERS:
        for one in make(base, shift):
            joined = one
            if base.key:
                joined = dataclasses.replace(
                    one, key=f"{base.key} + {one.key}", says=f"{base.says} and {one.says}"
                )
            found.setdefault(joined.name, joined)
    return list(found.values())


def _with(base: Variant, key: str, says: str, **preprocess: object) -> Variant:
    changed = dataclasses.replace(base.spec.preprocess, **preprocess)  # type: ignore[arg-type] # checked there
    return dataclasses.replace(
        base, key=key, says=says, spec=dataclasses.replace(base.spec, preprocess=changed)
    )


def _readings(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    """Class order, class mask and an output too many: nothing is run again."""
    if base.reading is None:
        for reading in readings.readings(base.spec, shift):
            yield dataclasses.replace(base, key=reading.key, says=reading.says, reading=reading)


def _channels(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    if base.change is None:
        yield dataclasses.replace(
            base, key="channels", says="channels reversed (BGR against RGB)", change=pixels.REVERSED
        )


def _normalisation(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    now = base.spec.preprocess
    seen = [_affine(now)]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    for says, (mean, std) in NORMALISATIONS.items():
        if _affine(now, mean, std) not in seen:
            seen.append(_affine(now, mean, std))
            yield _with(base, "normalisation", says, mean=mean, std=std)
    # Scaled twice, or not at all, with the model's own constants.
    twice = (tuple(255 * value for value in now.mean), tuple(255 * value for value in now.std))
    never = (tuple(value / 255 for value in now.mean), tuple(value / 255 for value in now.std))
    for says, (mean, std) in {
        "pixels divided by 255 once more": twice,
        "pixels not divided by 255": never,
    }.items():
        if _affine(now, mean, std) not in seen:
            seen.append(_affine(now, mean, std))
            yield _with(base, "scale", says, mean=mean, std=std)


def _affine(
    now: Preprocess, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    """A normalisation to three digits: constants that differ by less are the same."""
    return tuple(float(f"{value:.3g}") for value in (*(mean or now.mean), *(std or now.std)))


def _interpolation(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    now = base.spec.preprocess
    if now.resize is None:
        return
    for kind in INTERPOLATIONS:
        if kind != now.interpolation:
            yield _with(
                base, "interpolation", f"resized {kind} instead of {now.interpolation}", interpolation=kind
            )
    if now.resizer != "pil":
        yield _with(base, "interpolation", f"resized by PIL instead of {now.resizer}", resizer="pil")
    if base.change is None:
        yield dataclasses.replace(
            base, key="antialias", says="resized without antialiasing", change=pixels.ALIASED
        )


def _crop(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    """Other shares of the resized image, and the whole image squeezed."""
    now = base.spec.preprocess
    if now.resize is None or now.crop is None:
        return
    side = now.crop[0]
    for share in CROPS:
        resize = math.floor(side / share)
        if (resize, "squash") != (now.resize, now.fit):
            yield _with(base, "crop", f"crop {share:g} (shorter side {resize})", resize=resize, fit="squash")
    if now.resize != now.crop:
        yield _with(base, "crop", f"whole image squeezed to {side} pixels", resize=now.crop, fit="squash")


def _size(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    """Another input size at the same crop; a network of fixed size refuses it and the variant is dropped."""
    now = base.spec.preprocess
    if now.resize is not None:
        yield _with(base, "size", "images kept at their own size", resize=None, crop=None)
    if now.crop is None or not isinstance(now.resize, int):
        return
    for side in SIZES:
        if side != now.crop[0] and side <= 2 * now.crop[0]:  # larger ones take much time and are unlikely
            resize = round(side * now.resize / now.crop[0])
            says = f"input of {side} pixels instead of {now.crop[0]}"
            yield _with(base, "size", says, resize=resize, crop=(side, side))


def _compression(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    if base.change is None:
        yield dataclasses.replace(
            base, key="compression", says="images through JPEG of quality 75", change=pixels.COMPRESSED
        )


def _activation(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    """QuickGELU where the other GELU was run, and the other way round."""
    for name in ("architecture", "arch"):
        now = base.spec.arguments.get(name)
        if isinstance(now, str) and base.spec.label_space == ANY:
            lost = now.endswith("-quickgelu")
            other = now.removesuffix("-quickgelu") if lost else f"{now}-quickgelu"
            spec = dataclasses.replace(base.spec, arguments={**base.spec.arguments, name: other})
            says = "GELU instead of QuickGELU" if lost else "QuickGELU instead of GELU"
            yield dataclasses.replace(base, key="quickgelu", says=says, spec=spec)


def _prompts(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    """Other prompts and class names for a zero-shot head."""
    if base.spec.label_space != ANY:
        return
    space, now = LABEL_SPACES.get(shift.label_space), base.spec.arguments
    templates = tuple(now.get("templates") or space.templates)
    names = tuple(now.get("class_names") or space.class_names)
    changes: dict[str, dict[str, tuple[str, ...]]] = {
        f"the {len(space.templates)} published templates": {"templates": space.templates},
        f"one template ({ONE_TEMPLATE!r})": {"templates": (ONE_TEMPLATE,)},
        "class names alone, without a template": {"templates": ("{}",)},
        "the published class names": {"class_names": space.class_names},
    }
    for says, change in changes.items():
        if change.get("templates", templates) != templates or change.get("class_names", names) != names:
            spec = dataclasses.replace(base.spec, arguments={**now, **change})
            yield dataclasses.replace(base, key="prompts", says=says, spec=spec)


def _precision(base: Variant, shift: ShiftSpec) -> Iterator[Variant]:
    if base.precision != "float32":
        says = f"float32 instead of {base.precision}"
        yield dataclasses.replace(base, key="precision", says=says, precision="float32")


def known_classes(spec: ModelSpec, shift: ShiftSpec) -> str | None:
    """The label space that a zero-shot head is built for."""
    return shift.label_space if spec.label_space == ANY else None


MAKERS: tuple[Maker, ...] = (
    _readings,
    _activation,
    _channels,
    _normalisation,
    _interpolation,
    _crop,
    _size,
    _prompts,
    _precision,
    _compression,
)
