"""STL-10 against CIFAR-10: nine shared classes, photographs from ImageNet at 96 × 96.

STL-10's monkey has no class in CIFAR-10 and is left out, as is CIFAR-10's frog; no published rule says what
to do with the answer "frog", so here it is declared: it is not among the answers, on either side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SIDE = 96
MONKEY = 8
# STL-10's labels 1 to 10 (airplane bird car cat deer dog horse monkey ship truck) → those of CIFAR-10.
TO_CIFAR10 = {1: 0, 2: 2, 3: 1, 4: 3, 5: 4, 6: 5, 7: 7, 9: 8, 10: 9}
SHARED = tuple(sorted(TO_CIFAR10.values()))

SOURCES.register(
    ImageSource(
        name="stl10",
        title="STL-10, the nine classes it shares with CIFAR-10",
        label_space="cifar10",
        counts={
            split: tuple(number if label in SHARED else 0 for label in range(10))
            for split, number in (("test", 800), ("train", 500))
        },
        files=(
            RemoteFile(
                filename="stl10_binary.tar.gz",
                urls=("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
                sha256="f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
                md5="91f7769df0f17e558f3565bffb0c7dfb",
                size=2_640_397_119,
            ),
            *(
                RemoteFile(filename=name, md5=md5, how="inside stl10_binary.tar.gz")
                for name, md5 in (
                    ("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
                    ("train_y.bin", "5a34089d4802c674881badbb80307741"),
                    ("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
                    ("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
                )
            ),
        ),
        licence="the images are from ImageNet: non-commercial research and education",
        citation="A. Coates, H. Lee, A. Y. Ng. An Analysis of Single-Layer Networks in Unsupervised Feature "
        "Learning. AISTATS 2011.",
        homepage="https://cs.stanford.edu/~acoates/stl10/",
        layouts=("stl10_binary.tar.gz, or its folder with test_X.bin and test_y.bin",),
        loader="shifts.sources.stl10:load",
        notes="Labels are those of CIFAR-10; the monkeys and the unlabelled images are not read.",
    )
)

_NINE: dict[str, Any] = {"label_space": "cifar10", "class_indices": SHARED, "groups": ("class",)}

SHIFTS.register(
    ShiftSpec(
        name="cifar10/stl10-classes",
        title="CIFAR-10 test set, the nine classes of STL-10",
        kind="reference",
        support="in",
        source="cifar10",
        split="test",
        notes="The frogs are left out, and frog is not among the answers.",
        **_NINE,
    ),
    ShiftSpec(
        name="stl10",
        title="STL-10 test set, nine classes, shrunk to 32 × 32",
        kind="natural",
        support="unknown",
        source="stl10",
        split="test",
        reference="cifar10/stl10-classes",
        perturbations=(
            Perturbation(function="shifts.perturbations.geometry:shrink", parameters={"factor": 3}),
        ),
        notes="Shrunk from 96 × 96 with a box filter; frog is not among the answers.",
        **_NINE,
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split without its monkeys; ids ``test-00000`` and so on are rows of the published file.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_binary,), source="stl10")


def _binary(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Examples
    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import row_ids
    from shifts.readers.layouts import folder_with
    from shifts.readers.payloads import ArrayPayloads, Subset

    folder = folder_with(root, f"{split}_X.bin")
    if folder is None:
        return None
    images, labels = folder / f"{split}_X.bin", folder / f"{split}_y.bin"
    if not labels.is_file():
        raise CorruptDataError(f"{folder} lacks {labels.name}", hint="unpack the archive again")
    stl = np.fromfile(labels, dtype=np.uint8)
    if not len(stl) or images.stat().st_size != len(stl) * 3 * SIDE * SIDE:
        raise CorruptDataError(
            f"{images} has {images.stat().st_size} bytes, which is not {len(stl)} images of 96 × 96",
            hint="it was cut short or is another file; get it again",
        )
    if not np.isin(stl, (*TO_CIFAR10, MONKEY)).all():
        raise CorruptDataError(f"{labels} holds labels other than 1 to 10", hint="get the file again")
    table = np.full(11, -1, dtype=np.int64)
    table[list(TO_CIFAR10)] = list(TO_CIFAR10.values())
    kept = np.flatnonzero(table[stl] >= 0)
    # The published planes are column by column.
    pixels = np.memmap(images, dtype=np.uint8, mode="r").reshape(-1, 3, SIDE, SIDE).swapaxes(2, 3)
    return Examples(
        payloads=Subset(ArrayPayloads(pixels, [images, labels], order="CHW"), kept),
        labels=table[stl[kept]],
        ids=row_ids(split, kept.tolist()),
    )
