"""ImageNet-ReaL: the validation images with reassessed labels, of which an image may have several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shifts.spec import SHIFTS, Relabelling, ShiftSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shifts.class_maps import NewLabels

SHIFTS.register(
    ShiftSpec(
        name="imagenet-real",
        title="ImageNet-1k validation set, reassessed labels",
        kind="natural",
        support="in",
        source="imagenet-val",
        split="val",
        label_space="imagenet-1k",
        reference="imagenet-val",
        relabelling=Relabelling(function="shifts.sources.imagenet_real:reassessed"),
        citation="Beyer, Henaff, Kolesnikov, Zhai and van den Oord. Are we done with ImageNet? "
        "arXiv 2006.07159, 2020.",
        notes="A prediction is right when it is one of an image's labels; the 3,163 images without a label "
        "do not count, which leaves 46,837. The stored label of a row is the right one the model ranks "
        "first, so it depends on the model. The labels come with the package (Apache-2.0); the images are "
        "those of imagenet-val and are read once for both.",
    )
)


def reassessed(ids: Sequence[str], labels: NDArray[np.int64]) -> NewLabels:
    """The accepted labels of each validation image by its number; the old label first where it is one.

    Raises:
        CorruptDataError: the copy does not keep the published file names.
    """
    import numpy as np

    from shifts.class_maps import NewLabels
    from shifts.errors import CorruptDataError
    from shifts.readers.imagenet_tables import real_labels, val_number

    table = real_labels()
    accepted: list[tuple[int, ...]] = []
    for name, label in zip(ids, labels.tolist(), strict=True):
        number = val_number(name)
        if number is None:
            raise CorruptDataError(
                f"image {name!r} does not say which of the 50,000 validation images it is, and its "
                "reassessed labels are found by that",
                hint="add a copy of imagenet-val that keeps the names ILSVRC2012_val_00000001 and so on",
            )
        known = table[number - 1]
        accepted.append(tuple(dict.fromkeys((label, *known))) if label in known else known)
    first = np.array([known[0] if known else -1 for known in accepted], dtype=np.int64)
    return NewLabels(labels=first, accepted=accepted)
