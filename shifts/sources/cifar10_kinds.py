"""CIFAR-10 in two classes, vehicles and animals: a task whose features a few dozen images cannot teach.

For studies of small curated sets: ``cifar10-kinds-tinted-0.9`` gives the two kinds a colour each that mostly
goes with them, and ``cifar10-kinds/cars-and-dogs`` holds one sort of either kind alone, to curate from.
"""

from __future__ import annotations

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, Pooling, ShiftSpec

VEHICLES, ANIMALS = (0, 1, 8, 9), (2, 3, 4, 5, 6, 7)
CAR, DOG = 1, 5

LABEL_SPACES.register(LabelSpace(name="cifar10-kinds", class_names=("vehicle", "animal")))


def _pooled(*members: tuple[int, ...]) -> Pooling:
    return Pooling(label_space="cifar10", members=members, rule="max-logit")


SHIFTS.register(
    ShiftSpec(
        name="cifar10-kinds",
        title="CIFAR-10 test set as JPEG: vehicle or animal",
        kind="reference",
        support="in",
        source="cifar10-jpeg75",
        split="test",
        label_space="cifar10-kinds",
        pooling=_pooled(VEHICLES, ANIMALS),
        groups=("class",),
    ),
    ShiftSpec(
        name="cifar10-kinds/cars-and-dogs",
        title="CIFAR-10 test set as JPEG: car or dog, as vehicle or animal",
        kind="synthetic",
        support="in",
        source="cifar10-jpeg75",
        split="test",
        label_space="cifar10-kinds",
        reference="cifar10-kinds",
        pooling=_pooled((CAR,), (DOG,)),
        groups=("class",),
        notes="A part to curate small sets from.",
    ),
)
