"""What has to be in a submission: the shifts of a suite, and their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.suites import SUITES
from shifts.digest import digest
from shifts.errors import UnknownNameError
from shifts.own import LOADER as OWN_LOADER
from shifts.spec import SHIFTS, SOURCES, ShiftSpec

# Raised when the same predictions would give other metrics.
METRICS_VERSION = 1


def suite_shifts(name: str) -> list[ShiftSpec]:
    """The shifts of a registered suite; the name of a single shift is a suite of that shift alone.

    Shifts that somebody's plug-in or own data add to a suite are his alone: a board cannot ask for them.

    Raises:
        UnknownNameError: neither a suite nor a shift.
    """
    if name in SUITES.names():
        return [spec for spec in SUITES.get(name).shifts() if shipped(spec)]
    try:
        return [SHIFTS.get(name)]
    except UnknownNameError:
        pass
    SUITES.get(name)  # names what is near
    raise UnknownNameError(f"no suite is called {name!r}")


def shipped(spec: ShiftSpec) -> bool:
    """Whether a shift comes with this package: its loader and everything that makes it."""
    loader = SOURCES.get(spec.source).loader
    rules = (spec.selection, spec.relabelling, *spec.perturbations)
    made_by = [loader, *(rule.function for rule in rules if rule is not None)]
    return loader != OWN_LOADER and all(function.startswith("shifts.") for function in made_by)


def suite_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over shift → shift digest: which data, and which definition of every shift."""
    return digest(dict(digests))


def protocol_digest(specs: Iterable[ShiftSpec]) -> str:
    """SHA-256 over how the shifts are defined and scored, whatever revision of the data."""
    return digest(
        {"metrics": METRICS_VERSION, "shifts": {spec.name: spec.digest("protocol") for spec in specs}}
    )
