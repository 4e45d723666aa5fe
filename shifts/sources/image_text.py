"""Image-text pairs to pre-train on: YFCC15M and Conceptual 12M, as img2dataset downloads them.

The publishers give addresses, of which every year fewer answer: how many pairs a copy has is its own. What is
read is kept in memory but for the images: a few hundred bytes of text for each pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec

if TYPE_CHECKING:
    from pathlib import Path

    from shifts.data import Examples

SPACE = "image-text"
LABEL_SPACES.register(LabelSpace(name=SPACE, class_names=("an image with a caption", "an image without one")))

_PUBLISHED: dict[str, dict[str, Any]] = {
    "yfcc15m-pairs": {
        "title": "YFCC15M: the images of YFCC100M with a title or description in English",
        "licence": "Creative Commons, of various kinds, image by image",
        "citation": "Thomee et al., YFCC100M, Communications of the ACM 59(2), 2016; the subset is that of "
        "Radford et al., arXiv 2103.00020",
        "homepage": "https://github.com/openai/CLIP/blob/main/data/yfcc100m.md",
    },
    "cc12m-pairs": {
        "title": "Conceptual 12M: images of the web with their alternative text",
        "licence": "free for any purpose, as the publisher says of the list; the images are their owners'",
        "citation": "Changpinyo, Sharma, Ding and Soricut, Conceptual 12M, CVPR 2021, arXiv 2102.08981",
        "homepage": "https://github.com/google-research-datasets/conceptual-12m",
    },
}

for _name, _published in _PUBLISHED.items():
    SOURCES.register(
        ImageSource(
            name=_name,
            label_space=SPACE,
            counts={"train": (None, 0)},
            loader="shifts.sources.image_text:load",
            layouts=("folder of tars as img2dataset writes them: KEY.jpg with KEY.txt beside it",),
            may_lack=True,
            **_published,
        )
    )
    SHIFTS.register(
        ShiftSpec(
            name=_name,
            title=_published["title"],
            kind="reference",
            support="in",
            source=_name,
            split="train",
            label_space=SPACE,
            groups=("caption",),
            notes="To pre-train on; there is nothing to classify.",
        )
    )


def load(root: Path, split: str) -> Examples:
    """The pairs, with their captions as a column.

    Raises:
        DataNotFoundError: no image with a caption; CorruptDataError: see ``shifts.readers.captioned``.
    """
    from shifts.errors import DataNotFoundError
    from shifts.readers.captioned import captioned

    found = captioned(root)
    if found is None:
        raise DataNotFoundError(
            f"{root} holds no image with a caption beside it",
            hint="img2dataset --output_format webdataset writes what is read here",
        )
    return found
