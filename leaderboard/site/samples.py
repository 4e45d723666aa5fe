"""A few images of a shift, where its licence lets them be shown and they come with a package."""

from __future__ import annotations

import base64
import io

import numpy as np

from shifts.spec import SOURCES, ShiftSpec

SHOWN = 8
SIDE = 64


def samples(spec: ShiftSpec) -> list[tuple[str, str]]:
    """(what is on it, data URI) of the first images of a bundled source; none of any other.

    Images of published sets are not redistributed: their licences forbid it, or do not say.
    """
    if not SOURCES.get(spec.source).bundled:
        return []
    from PIL import Image

    from shifts.class_maps import class_names
    from shifts.data import load_shift

    shift, names = load_shift(spec.name), class_names(spec)
    shown = []
    for label in range(min(SHOWN, len(names))):
        index = int(np.flatnonzero(shift.labels == label)[0]) if (shift.labels == label).any() else None
        if index is None:
            continue
        image = Image.fromarray(shift.item(index)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        stream = io.BytesIO()
        image.save(stream, format="PNG", optimize=True)
        uri = base64.b64encode(stream.getvalue()).decode()
        shown.append((f"class {names[label]}", f"data:image/png;base64,{uri}"))
    return shown
