"""Coloured MNIST: small or large digit, with noisy labels and a colour that tells more than the shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, Perturbation, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

NOISE = 0.25  # of the labels: no shape can be right more often than in three cases of four
TRAIN = 50_000  # of MNIST's 60,000 training images; the paper tests on the last 10,000
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_FILES = {
    "train-images-idx3-ubyte.gz": (
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte.gz": (
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}
ARJOVSKY = (
    "M. Arjovsky, L. Bottou, I. Gulrajani, D. Lopez-Paz. Invariant Risk Minimization. arXiv 1907.02893, 2019."
)

LABEL_SPACES.register(LabelSpace(name="coloured-mnist", class_names=("5 to 9", "0 to 4")))

SOURCES.register(
    ImageSource(
        name="coloured-mnist",
        title="MNIST at 14 × 14 with the noisy binary labels of Coloured MNIST",
        label_space="coloured-mnist",
        counts={"test": (None, None), "val": (None, None), "train": (None, None)},
        totals={"test": 10_000, "val": 60_000 - TRAIN, "train": TRAIN},
        files=tuple(
            RemoteFile(
                filename=name, urls=tuple(f"{mirror}/{name}" for mirror in _MIRRORS), sha256=sha256, size=size
            )
            for name, (size, sha256) in _FILES.items()
        ),
        licence="CC BY-SA 3.0 as far as known",
        citation=f"Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-Based Learning Applied to Document "
        f"Recognition. Proceedings of the IEEE, 1998; {ARJOVSKY}",
        homepage="https://github.com/facebookresearch/InvariantRiskMinimization",
        layouts=("folder with MNIST's t10k-images-idx3-ubyte and so on, gzipped or not",),
        loader="shifts.sources.coloured_mnist:load",
        notes="The label is 1 for the digits 0 to 4 and 0 for the others, flipped for one image in four; "
        "which ones is a property of the image. The splits are MNIST's test images (test), the paper's test "
        "images (val: the last 10,000 of training) and the rest.",
    )
)


def _spec(name: str, title: str, flip: float, **fields: Any) -> ShiftSpec:
    colours = "shifts.perturbations.colours"
    return ShiftSpec(
        name=name,
        title=title,
        support="in",
        source="coloured-mnist",
        split="test",
        label_space="coloured-mnist",
        perturbations=(
            Perturbation(
                function=f"{colours}:colour",
                parameters={"flip": flip},
                uses_labels=True,
                groups={"colour": f"{colours}:colour_agrees"},
            ),
        ),
        groups=("class", "colour"),
        citation=ARJOVSKY,
        **fields,
    )


SHIFTS.register(
    _spec(
        "coloured-mnist",
        "Coloured MNIST, colour right in 85 of 100",
        0.15,
        kind="reference",
        notes="As many images of the paper's training environments of 0.1 as of 0.2.",
    ),
    _spec(
        "coloured-mnist/reversed",
        "Coloured MNIST, colour wrong in 90 of 100",
        0.9,
        kind="spurious",
        reference="coloured-mnist",
        notes="The best invariant predictor is right in 75 of 100; one that goes by colour, in 10.",
    ),
    _spec(
        "coloured-mnist/random",
        "Coloured MNIST, colour by chance",
        0.5,
        kind="spurious",
        reference="coloured-mnist",
    ),
)


def load(root: Path, split: str) -> Examples:
    """A split with the attribute ``digit``; ids are rows of MNIST's files.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_idx,), source="coloured-mnist")


def _idx(root: Path, split: str) -> Examples | None:
    import numpy as np

    from shifts.data import Attribute, Examples, generator
    from shifts.errors import CorruptDataError
    from shifts.readers.arrays import row_ids
    from shifts.readers.idx import find_idx, read_idx
    from shifts.readers.payloads import ArrayPayloads

    stem = "t10k" if split == "test" else "train"
    paths = [find_idx(root, f"{stem}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")]
    if paths[0] is None:
        return None
    if paths[1] is None:
        raise CorruptDataError(
            f"{root} lacks {stem}-labels-idx1-ubyte", hint="get it from where the images are"
        )
    images, digits = read_idx(paths[0]), read_idx(paths[1])
    if images.ndim != 3 or digits.shape != images.shape[:1] or (digits > 9).any():
        raise CorruptDataError(
            f"{paths[0]} {images.shape} and {paths[1]} {digits.shape} are not images with a digit for each",
            hint="get both files again",
        )
    part = {"test": slice(None), "train": slice(None, TRAIN), "val": slice(TRAIN, None)}[split]
    rows = np.arange(len(digits))[part]
    if not len(rows):
        return None
    ids = row_ids(stem, rows.tolist())
    flipped = np.array([generator("coloured-mnist", name).random() < NOISE for name in ids])
    return Examples(
        payloads=ArrayPayloads(images[part, ::2, ::2], [paths[0], paths[1]], order="HW"),
        labels=((digits[part] < 5) ^ flipped).astype(np.int64),
        ids=ids,
        attributes={"digit": Attribute(values=digits[part].astype(np.int64), names=tuple("0123456789"))},
    )
