"""Digits turned by quarters: a pretext to pre-train on, with and without colours for captions.

Every image appears in all four turns, each digit and turn a class: 40 classes. What is learned here is tuned
to upright digits afterwards, of whose images it has seen none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.sources.digits import load as load_upright
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, ShiftSpec
from shifts.turns import TURNS, turned_names

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

NAME = "digits-turned"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PALETTE = {
    "white": (1.0, 1.0, 1.0),
    "red": (1.0, 0.2, 0.2),
    "green": (0.2, 1.0, 0.2),
    "blue": (0.3, 0.3, 1.0),
    "yellow": (1.0, 1.0, 0.2),
}
_TEST = (58, 62, 57, 63, 61, 62, 61, 59, 54, 60)

LABEL_SPACES.register(LabelSpace(name=NAME, class_names=turned_names(WORDS)))

_SOURCE: dict[str, Any] = {
    "licence": "CC-BY-4.0",
    "citation": "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, 1998, doi:10.24432/C50P49; turned by this project",
    "homepage": "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
}
SOURCES.register(
    ImageSource(
        name=NAME,
        title="UCI handwritten digits, each turned by 0, 1, 2 and 3 quarters",
        label_space=NAME,
        counts={"pretrain": (70,) * 40, "test": tuple(count for count in _TEST for _ in TURNS)},
        loader="shifts.sources.digits_turned:load",
        bundled=True,
        content={
            "pretrain": "7d6f0414424020d56e8584a157912b1ee87f51fbcd86e2e2fe98af47142dacb2",
            "test": "c63a979e63162be80d49213691d80ce95212b23a973a3664dfc99e697eb563ea",
        },
        notes="Label 4 · digit + quarters to the left.",
        **_SOURCE,
    )
)

_COMMON: dict[str, Any] = {
    "kind": "reference",
    "support": "in",
    "source": NAME,
    "split": "test",
    "label_space": NAME,
}
SHIFTS.register(
    ShiftSpec(name=NAME, title="handwritten digits in four turns", groups=("class",), **_COMMON),
    ShiftSpec(
        name="digits-coloured",
        title="handwritten digits in four turns and five colours",
        perturbations=(
            Perturbation(
                function="shifts.perturbations.turned:coloured",
                parameters={"palette": PALETTE},
                groups={"colour": "shifts.perturbations.turned:colour"},
            ),
        ),
        groups=("class", "colour"),
        notes="For captions: the colour of each image has a name.",
        **_COMMON,
    ),
)


def load(root: Path | None, split: str) -> Examples:
    """The images of the split of ``digits``, four turns of each; ids ``NNNN-0`` to ``NNNN-3``."""
    import numpy as np

    from shifts.data import Examples

    upright = load_upright(root, split)
    images = np.stack([upright.image(index) for index in range(len(upright.ids))])
    quarters = range(len(TURNS))
    return Examples(
        payloads=np.stack([np.rot90(images, number, axes=(1, 2)) for number in quarters], axis=1).reshape(
            -1, *images.shape[1:]
        ),
        labels=(len(TURNS) * upright.labels[:, None] + np.arange(len(TURNS))).reshape(-1),
        ids=[f"{name}-{number}" for name in upright.ids for number in quarters],
    )
