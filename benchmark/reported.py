"""What data sets are reported in where that is not plain accuracy: adjusted average, macro F1, pm-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shifts.spec import SHIFTS

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.result import Result


def reported(result: Result) -> dict[str, Estimate]:
    """The metrics that publications of the shift give, by the name they give them; of a measured result.

    A worst group bears its name: ``worst region (Africa, n=2593)``. Metrics that could not be computed are
    left out; the result's warnings say why.
    """
    spec = SHIFTS.find(result.shift)
    found: dict[str, Estimate] = {}
    for metric, title in {} if spec is None else spec.reported.items():
        estimate = result.metrics.get(metric)
        if estimate is not None:
            which = _group(result.worst_group) if metric == "worst_group_accuracy" else ""
            found[title + which] = estimate
    return found


def _group(label: str | None) -> str:
    """A group's values without the names of their columns.

    >>> _group("class=waterbird, place=land (n=642)")
    ' (waterbird, land, n=642)'
    """
    if label is None:
        return ""
    values, _, size = label.rpartition(" (")
    return f" ({', '.join(part.partition('=')[2] for part in values.split(', '))}, {size}"
