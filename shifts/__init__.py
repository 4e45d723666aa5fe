"""What the images are: sources, shifts, perturbations. Imports nothing heavy before it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shifts.data import Shift, load_shift
    from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec

__all__ = ["SHIFTS", "SOURCES", "ImageSource", "Shift", "ShiftSpec", "load_shift"]

_HOME = {
    "Shift": "shifts.data",
    "load_shift": "shifts.data",
    "SHIFTS": "shifts.spec",
    "SOURCES": "shifts.spec",
    "ImageSource": "shifts.spec",
    "ShiftSpec": "shifts.spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'shifts' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
