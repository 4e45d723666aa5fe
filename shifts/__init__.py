"""What the images are: sources, shifts, perturbations. Imports nothing heavy before it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.lazy import exports

if TYPE_CHECKING:
    from shifts.data import Shift, load_shift
    from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec

__all__ = ["SHIFTS", "SOURCES", "ImageSource", "Shift", "ShiftSpec", "load_shift"]

__getattr__ = exports(
    __name__,
    {
        "Shift": "shifts.data",
        "load_shift": "shifts.data",
        "SHIFTS": "shifts.spec",
        "SOURCES": "shifts.spec",
        "ImageSource": "shifts.spec",
        "ShiftSpec": "shifts.spec",
    },
)
