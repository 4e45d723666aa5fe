"""Named sets of shifts. Every reference is a suite of its own: itself and the shifts matched to it."""

from __future__ import annotations

from dataclasses import dataclass

from shifts.registry import Registry
from shifts.spec import SHIFTS, ShiftSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Shifts that are reported together.

    Attributes:
        references: reference shifts; the suite holds them and every shift matched to one of them.
    """

    name: str
    title: str
    references: tuple[str, ...]

    def shifts(self) -> list[ShiftSpec]:
        """References first, then synthetic, spurious, natural shifts and corruptions."""
        members = [
            shift for shift in SHIFTS if shift.name in self.references or shift.reference in self.references
        ]
        return sorted(members, key=lambda shift: _ORDER.index(shift.kind))


_ORDER = ("reference", "natural", "synthetic", "spurious", "corruption")

SUITES: Registry[Suite] = Registry("suite")
SUITES.register(
    Suite(
        name="digits",
        title="handwritten digits: offline, in seconds",
        references=("digits", "digits-tinted", "digits-imbalanced"),
    )
)


def _of_reference(name: str) -> Suite | None:
    if name not in SHIFTS or SHIFTS.get(name).kind != "reference":
        return None
    return Suite(name=name, title=f"{SHIFTS.get(name).title}: all shifts matched to it", references=(name,))


SUITES.add_resolver(
    _of_reference,
    listing=lambda: [
        found for shift in SHIFTS if shift.name not in SUITES and (found := _of_reference(shift.name))
    ],
)
