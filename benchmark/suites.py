"""Named sets of shifts.

Every reference is a suite of its own: itself and the shifts matched to it. Published corruption sets are
suites of their own as well (``imagenet-c``): 95 cells on top of a handful would bury the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shifts.registry import Registry
from shifts.spec import SHIFTS, ShiftSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Shifts that are reported together.

    Attributes:
        references: patterns of reference shifts; the suite holds them and the shifts matched to them.
        corruptions: of the corruption shifts only those whose names begin so; None for those that are
            named after a reference of the suite.
        matched: whether the shifts matched to the references are in it.
    """

    name: str
    title: str
    references: tuple[str, ...]
    corruptions: str | None = None
    matched: bool = True

    def shifts(self, among: Iterable[ShiftSpec] = SHIFTS) -> list[ShiftSpec]:
        """References first, then natural, synthetic and spurious shifts, then corruptions.

        Args:
            among: all shifts, where many suites are asked and they are listed already.
        """
        among = list(among)
        references = {
            name
            for name in {shift.reference or shift.name for shift in among}
            if any(fnmatchcase(name, pattern) for pattern in self.references)
        }
        members = [
            shift for shift in among if (shift.reference or shift.name) in references and self._holds(shift)
        ]
        return sorted(members, key=lambda shift: _ORDER.index(shift.kind))

    def _holds(self, shift: ShiftSpec) -> bool:
        """Whether a shift with a reference of the suite is in it."""
        reference = shift.reference or shift.name
        if not self.matched:
            return shift.reference is None
        if self.corruptions is not None:
            return shift.reference is None or shift.name.startswith(f"{self.corruptions}/")
        return shift.kind != "corruption" or shift.name.startswith(f"{reference}/")


_ORDER = ("reference", "natural", "synthetic", "spurious", "corruption")

SUITES: Registry[Suite] = Registry("suite")
SUITES.register(
    Suite(
        name="digits",
        title="handwritten digits: offline, in seconds",
        references=("digits", "digits-tinted", "digits-imbalanced"),
    ),
    Suite(
        name="imagenet",
        title="ImageNet and its natural shifts, each against the validation images of the same classes",
        references=("imagenet-val", "imagenet-val/*"),
    ),
    Suite(
        name="downstream",
        title="the fourteen sets that Chen et al. 2024 (arXiv 2309.17002) tune to, in distribution",
        references=(
            "cifar10",
            "cifar100",
            "flowers102",
            "food101",
            "oxford-pets",
            "stanford-cars",
            "fgvc-aircraft",
            "svhn",
            "dtd",
            "caltech101",
            "eurosat",
            "pcam",
            "resisc45",
            "rendered-sst2",
        ),
        matched=False,
    ),
)


def _derived() -> dict[str, Suite]:
    """Suites that follow from what is registered: one for each reference and for each corruption set."""
    found: dict[str, Suite] = {}
    shifts = list(SHIFTS)
    for shift in shifts:
        if shift.reference is None:
            title = f"{shift.title}, and the shifts matched to it"
            found[shift.name] = Suite(name=shift.name, title=title, references=(shift.name,))
    for shift in shifts:
        stem = shift.name.partition("/")[0]
        if shift.kind == "corruption" and shift.reference is not None and stem not in found:
            title = f"the corruptions of {stem}, and their reference"
            found[stem] = Suite(name=stem, title=title, references=(shift.reference,), corruptions=stem)
    return found


SUITES.add_resolver(lambda name: _derived().get(name), listing=lambda: _derived().values())
