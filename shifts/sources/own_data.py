"""Own data that ``data add --name`` took in: found again in the data folder by name."""

from __future__ import annotations

from collections.abc import Iterator

from shifts import own
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec


def _source(name: str) -> ImageSource | None:
    found = own.declared(name)
    return None if found is None else found.source()


def _shift(name: str) -> ShiftSpec | None:
    found = own.declared(name)
    return None if found is None else found.shift()


def _shifts() -> Iterator[ShiftSpec]:
    for found in own.all_declared():
        # The reference may have been own data or a plug-in's, and be gone.
        if found.reference is None or SHIFTS.find(found.reference) is not None:
            yield found.shift()


def _space(name: str) -> LabelSpace | None:
    found = own.declared(name)
    return None if found is None else found.space()


SOURCES.add_resolver(_source, listing=lambda: [found.source() for found in own.all_declared()])
SHIFTS.add_resolver(_shift, listing=_shifts)
LABEL_SPACES.add_resolver(
    _space, listing=lambda: [space for found in own.all_declared() if (space := found.space()) is not None]
)
