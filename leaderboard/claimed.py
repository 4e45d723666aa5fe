"""Published accuracies beside the measured ones: cited, never ranked with them.

They are read from the baselines that come with the package; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmark.baselines import baseline_names, load_baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRow:
    """One published accuracy.

    Attributes:
        baseline: identifier of the table; ``source`` its publication, ``licence`` of the table.
        model, library_key, shift, protocol, accuracy, n, family, training_data, publisher, revision: as in
            ``benchmark.baselines.BaselineRow``.
    """

    baseline: str
    source: str
    model: str
    library_key: str
    shift: str
    protocol: str
    accuracy: float
    n: int | None
    family: str
    training_data: tuple[str, ...]
    publisher: str
    revision: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with the tier."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {"tier": "claimed", **found, "training_data": list(self.training_data)}


def claimed_rows(*, shift: str | None = None) -> Iterator[ClaimedRow]:
    """Every published accuracy in the shipped baselines, in their latest versions.

    Tables that this project measured itself are left out: their models have entries of their own.

    Args:
        shift: only those on this shift.
    """
    latest = {name.rpartition("-v")[0]: name for name in baseline_names()}
    for name in latest.values():
        table = load_baseline(name)
        for row in table.rows:
            if row.publisher == OWN or (shift is not None and row.shift != shift):
                continue
            yield ClaimedRow(
                baseline=table.identifier,
                source=table.source,
                publisher=row.publisher,
                revision=row.revision,
                training_data=row.training_data,
                **{name: getattr(row, name) for name in _SAME},
            )


OWN = "robustbench-shift"
_SAME = ("model", "library_key", "shift", "protocol", "accuracy", "n", "family")
