"""A toy data set for trying things out and for tests: the class is written into the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = 8
SIZE = 16

LABEL_SPACES.register(
    LabelSpace(name="toy", class_names=tuple(f"block {number}" for number in range(CLASSES)))
)

SOURCES.register(
    ImageSource(
        name="toy",
        title="white blocks at eight places on a random grey",
        label_space="toy",
        counts={"test": tuple(range(20, 20 + CLASSES))},
        licence="CC0-1.0",
        citation="this project",
        homepage="this project",
        loader="shifts.sources.toy:load",
        bundled=True,
        content={"test": "c439628216fc644900da73ccd1e47562bd1f8c2cad98c639521fa77e7dd35d7c"},
        notes="Generated; for tests of models, metrics and pipelines whose right answer is known.",
    )
)

_COMMON: dict[str, Any] = {
    "source": "toy",
    "split": "test",
    "label_space": "toy",
    "groups": ("class", "shade"),
}

SHIFTS.register(
    ShiftSpec(name="toy", title="toy blocks", kind="reference", support="in", **_COMMON),
    ShiftSpec(
        name="toy/tint",
        title="toy blocks under a random tint",
        kind="synthetic",
        support="out",
        reference="toy",
        perturbations=(
            Perturbation(
                function="shifts.perturbations.synthetic:tint",
                parameters={"p": 0.0, "alpha": 0.25, "palette_seed": 0},
            ),
        ),
        **_COMMON,
    ),
)


def load(root: Path | None, split: str) -> Examples:
    """Class c has a white 4 × 4 block at place c of a 2 × 4 grid; backgrounds are darker or lighter greys."""
    import numpy as np

    from shifts.data import Attribute, Examples, generator

    labels = np.repeat(np.arange(CLASSES), np.arange(20, 20 + CLASSES)).astype(np.int64)
    greys = np.array([int(generator("toy", row).integers(0, 120)) for row in range(len(labels))])
    images = np.repeat(greys, SIZE * SIZE * 3).reshape(-1, SIZE, SIZE, 3).astype(np.uint8)
    for row, label in enumerate(labels):
        top, left = 2 + 8 * (label // 4), 4 * (label % 4)
        images[row, top : top + 4, left : left + 4] = 255
    return Examples(
        payloads=images,
        labels=labels,
        ids=[f"toy-{row:03d}" for row in range(len(labels))],
        attributes={"shade": Attribute(values=(greys >= 60).astype(np.int64), names=("dark", "light"))},
    )
