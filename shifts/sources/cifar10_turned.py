"""CIFAR-10 turned by quarters: a pretext to pre-train on, each image in one of four turns.

Of the compressed images only those that ``models_zoo.sources.cifar_small`` leaves to pre-train on, so that
what is tuned on the others has seen none of them.
"""

from __future__ import annotations

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.sources.cifar10 import CLASSES
from shifts.spec import SHIFTS, Perturbation, Relabelling, Selection, ShiftSpec
from shifts.turns import turned_names

NAME = "cifar10-turned"
POOL = (0.0, 0.6)

LABEL_SPACES.register(LabelSpace(name=NAME, class_names=turned_names(CLASSES)))
SHIFTS.register(
    ShiftSpec(
        name=NAME,
        title="CIFAR-10 as JPEG, each image in one of four turns, class and turn to be told",
        kind="reference",
        support="in",
        source="cifar10-jpeg75",
        split="test",
        label_space=NAME,
        relabelling=Relabelling(function="shifts.perturbations.turned:turned_labels"),
        selection=Selection(
            function="shifts.perturbations.turned:part_of_upright", parameters={"between": POOL}
        ),
        perturbations=(Perturbation(function="shifts.perturbations.turned:turn", uses_labels=True),),
        groups=("class",),
        notes="The part of the images that the small models of cifar10-compressed leave to pre-train on.",
        citation="after Gidaris, Singh and Komodakis, arXiv 1803.07728",
    )
)
