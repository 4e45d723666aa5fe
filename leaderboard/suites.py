"""What has to be in a submission: the shifts of a suite, and their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.suites import SUITES
from shifts.digest import digest
from shifts.errors import UnknownNameError
from shifts.spec import SHIFTS, ShiftSpec

# Raised when the same predictions would give other metrics.
METRICS_VERSION = 1


def suite_shifts(name: str) -> list[ShiftSpec]:
    """The shifts of a registered suite; the name of a single shift is a suite of that shift alone.

    Raises:
        UnknownNameError: neither a suite nor a shift.
    """
    if name in SUITES.names():
        return list(SUITES.get(name).shifts())
    try:
        return [SHIFTS.get(name)]
    except UnknownNameError:
        pass
    SUITES.get(name)  # names what is near
    raise UnknownNameError(f"no suite is called {name!r}")


def suite_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over shift → shift digest: which data, and which definition of every shift."""
    return digest(dict(digests))


def protocol_digest(specs: Iterable[ShiftSpec]) -> str:
    """SHA-256 over how the shifts are defined and scored, whatever revision of the data."""
    return digest(
        {"metrics": METRICS_VERSION, "shifts": {spec.name: spec.digest("protocol") for spec in specs}}
    )
