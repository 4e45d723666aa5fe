"""Shape against texture: cue-conflict images, edges and filled silhouettes of 16 everyday classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.sources.imagenet import RUSSAKOVSKY
from shifts.spec import SHIFTS, SOURCES, ImageSource, Pooling, RemoteFile, Selection, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shifts.data import Examples, Rows

GEIRHOS = (
    "Geirhos, Rubisch, Michaelis, Bethge, Wichmann and Brendel. ImageNet-trained CNNs are biased towards "
    "texture; increasing shape bias improves accuracy and robustness. ICLR 2019, arXiv 1811.12231."
)
HOMEPAGE = "https://github.com/rgeirhos/texture-vs-shape"
_RELEASE = "https://github.com/bethgelab/model-vs-human/releases/download/v0.1/"

# Class = indices of the ImageNet classes that mean it (human_categories.py of the homepage).
_MAP = """
airplane=404 bear=294-297 bicycle=444,671
bird=8,10-16,18-20,22-24,80-83,87-96,98-100,127-133,135-145 boat=472,554,625,814,914
bottle=440,720,737,898,899,901,907 car=436,511,817 cat=281-286 chair=423,559,765,857 clock=409,530,892
dog=152-191,193-203,205-226,228-241,243-250,252-257,259,261-263,265-268 elephant=385,386 keyboard=508,878
knife=499 oven=766 truck=555,569,656,675,717,734,864,867
"""


def _indices(text: str) -> tuple[int, ...]:
    runs = (part.partition("-") for part in text.split(","))
    return tuple(i for first, _, last in runs for i in range(int(first), int(last or first) + 1))


CLASSES = {name: _indices(text) for name, _, text in (entry.partition("=") for entry in _MAP.split())}
POOLING = Pooling(label_space="imagenet-1k", members=tuple(CLASSES.values()), rule="mean-probability")

LABEL_SPACES.register(LabelSpace(name="imagenet-16", class_names=tuple(CLASSES)))

# Source → title, images of each class, archive of the toolbox, folders that hold the classes.
_SETS = {
    "cue-conflict": (
        "Cue conflict: the shape of one class in the texture of another",
        80,
        "cue-conflict.tar.gz",
        "style-transfer-preprocessed-512",
    ),
    "edges": ("Edges of objects on white", 10, "edge.tar.gz", "edges"),
    "silhouettes": ("Filled silhouettes of objects", 10, "silhouette.tar.gz", "filled-silhouettes"),
}
_COMMON: dict[str, Any] = {
    "split": "test",
    "label_space": "imagenet-16",
    "kind": "synthetic",
    "support": "out",
    "reference": "imagenet-val/16-classes",
    "pooling": POOLING,
    "cropped": 224,
}
_NOTES = (
    "The answer is the class whose ImageNet classes have the largest mean probability after the softmax over "
    "all 1000. Images are 224 x 224 and are neither resized nor cropped for a model of that size."
)

for _name, (_title, _size, _archive, _folder) in _SETS.items():
    SOURCES.register(
        ImageSource(
            name=_name,
            title=_title,
            label_space="imagenet-16",
            counts={"test": (_size,) * len(CLASSES)},
            files=(RemoteFile(filename=_archive, urls=(_RELEASE + _archive,)),),
            licence="CC-BY-4.0",
            citation=GEIRHOS,
            homepage=HOMEPAGE,
            layouts=(
                f"folder stimuli/{_folder} of the homepage's repository: airplane/NAME.png and so on",
                f"{_archive} of the toolbox model-vs-human, or its folder",
            ),
            loader=f"shifts.sources.cue_conflict:load_{_name.replace('-', '_')}",
        )
    )

SHIFTS.register(
    ShiftSpec(
        name="imagenet-val/16-classes",
        title="ImageNet-1k validation set, the 207 classes that make up the 16 of cue conflict",
        kind="reference",
        support="in",
        source="imagenet-val",
        split="val",
        label_space="imagenet-16",
        pooling=POOLING,
        groups=("class",),
        citation=RUSSAKOVSKY,
    ),
    ShiftSpec(
        name="cue-conflict",
        title="Cue conflict: the shape of one class in the texture of another",
        source="cue-conflict",
        selection=Selection(function="shifts.sources.cue_conflict:conflicting"),
        groups=("shape", "texture"),
        notes="Accuracy counts the shape as right. The 80 of 1,280 images whose texture is of the same class "
        "carry no conflict and are left out. Shape bias is computed from the same predictions. " + _NOTES,
        **_COMMON,
    ),
    ShiftSpec(
        name="edges", title=_SETS["edges"][0], source="edges", groups=("class",), notes=_NOTES, **_COMMON
    ),
    ShiftSpec(
        name="silhouettes",
        title=_SETS["silhouettes"][0],
        source="silhouettes",
        groups=("class",),
        notes=_NOTES,
        **_COMMON,
    ),
)


def conflicting(rows: Rows) -> NDArray[np.int64]:
    """Images whose texture is of another class than their shape; ids are ``SHAPE/SHAPE1-TEXTURE2``."""
    import numpy as np

    kept = [
        row
        for row, name in enumerate(rows.ids)
        if name.partition("/")[0] != _cues(name.rpartition("/")[2])[1]
    ]
    return np.array(kept, dtype=np.int64)


def load_cue_conflict(root: Path, split: str) -> Examples:
    """The images by their shape, with the texture as a group column; ids ``SHAPE/SHAPE1-TEXTURE2``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    import dataclasses

    import numpy as np

    from shifts.data import Attribute

    examples = _load(root, split, "cue-conflict", ("style-transfer-preprocessed-512", "cue-conflict"))
    names = tuple(CLASSES)
    textures = [names.index(_cues(name.rpartition("/")[2])[1]) for name in examples.ids]
    columns = {
        "shape": Attribute(values=examples.labels, names=names),
        "texture": Attribute(values=np.array(textures, dtype=np.int64), names=names),
    }
    return dataclasses.replace(examples, attributes=columns)


def load_edges(root: Path, split: str) -> Examples:
    """The edges; ids ``CLASS/CLASS1``."""
    return _load(root, split, "edges", ("edges", "edge"))


def load_silhouettes(root: Path, split: str) -> Examples:
    """The silhouettes; ids ``CLASS/CLASS1``."""
    return _load(root, split, "silhouettes", ("filled-silhouettes", "silhouettes", "silhouette"))


def _cues(stem: str) -> tuple[str, str]:
    """Shape and texture from a file's name; both the class where it names one.

    Raises:
        CorruptDataError: the name is not of that form.

    >>> _cues("cat7-elephant1"), _cues("bear10")
    (('cat', 'elephant'), ('bear', 'bear'))
    """
    import re

    from shifts.errors import CorruptDataError

    found = re.fullmatch(r"([a-z]+)\d+(?:-([a-z]+)\d+)?", stem)
    if found is None or found[1] not in CLASSES or (found[2] or found[1]) not in CLASSES:
        raise CorruptDataError(
            f"the name {stem!r} is not of the form cat7-elephant1 (or cat7) with two of the 16 classes",
            hint="keep the published file names: they tell shape and texture",
        )
    return found[1], found[2] or found[1]


def _load(root: Path, split: str, source: str, tops: tuple[str, ...]) -> Examples:
    from shifts.readers.files import open_files
    from shifts.readers.folders import class_folders
    from shifts.readers.layouts import first_layout

    def folders(root: Path, split: str) -> Examples | None:
        if not root.is_dir() and root.suffix != ".tar":
            return None
        labels = {name: label for label, name in enumerate(CLASSES)}
        # Folders named after this set alone at first: the repository has several side by side.
        for below in (tuple(f"stimuli/{top}" for top in tops) + tops, ("",)):
            found = class_folders(open_files(root), labels, below=below, depth=1)
            if found is not None:
                break
        if found is None:
            return None
        examples = found.examples()
        _agree(examples, root)
        return examples

    return first_layout(root, split, (folders,), source=source)


def _agree(examples: Examples, root: Path) -> None:
    from shifts.errors import CorruptDataError
    from shifts.readers.payloads import where

    for row, name in enumerate(examples.ids):
        folder, _, stem = name.rpartition("/")
        shape = _cues(stem)[0]
        if shape != folder:
            raise CorruptDataError(
                f"{where(examples.payloads, row)} lies in the folder of {folder!r}, but shows a {shape!r}",
                hint="folders were swapped or files moved; get the images again",
            )
