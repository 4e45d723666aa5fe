"""Rendered SST2: sentences of film reviews, drawn as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, RemoteFile, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

CLASSES = ("negative", "positive")
_FOLDERS = {"train": "train", "val": "valid", "test": "test"}

LABEL_SPACES.register(
    LabelSpace(name="rendered-sst2", class_names=CLASSES, templates=("a {} review of a movie.",))
)

SOURCES.register(
    ImageSource(
        name="rendered-sst2",
        title="Rendered SST2",
        label_space="rendered-sst2",
        counts={"test": (912, 909), "train": (3310, 3610), "val": (428, 444)},
        files=(
            RemoteFile(
                filename="rendered-sst2.tgz",
                urls=("https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz",),
                md5="2384d08e9dcfa4bd55b324e610496ee5",
            ),
        ),
        licence="not stated; sentences of the Stanford Sentiment Treebank",
        citation="A. Radford et al. Learning Transferable Visual Models From Natural Language Supervision. "
        "ICML 2021. R. Socher et al. Recursive Deep Models for Semantic Compositionality. EMNLP 2013.",
        homepage="https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md",
        layouts=("rendered-sst2.tgz, or its folder with test/negative and so on",),
        loader="shifts.sources.rendered_sst2:load",
    )
)

SHIFTS.register(
    ShiftSpec(
        name="rendered-sst2",
        title="Rendered SST2 test set",
        kind="reference",
        support="in",
        source="rendered-sst2",
        split="test",
        label_space="rendered-sst2",
        groups=("class",),
    )
)


def load(root: Path, split: str) -> Examples:
    """A split; ids are ``negative/NAME``.

    Raises:
        DataNotFoundError, CorruptDataError: see ``shifts.readers``.
    """
    from shifts.readers.layouts import first_layout

    return first_layout(root, split, (_published,), source="rendered-sst2")


def _published(root: Path, split: str) -> Examples | None:
    from shifts.readers.files import FolderFiles
    from shifts.readers.folders import class_folders

    if not root.is_dir():
        return None
    folders = {name: label for label, name in enumerate(CLASSES)}
    found = class_folders(FolderFiles(root), folders, below=(_FOLDERS[split],))
    return None if found is None else found.examples()
