"""Every claimed number again, from the predictions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmark.metrics import Metrics, evaluate
from leaderboard.manifest import Claim
from leaderboard.table import Answers
from shifts.spec import ShiftSpec

# What keeping logarithms of probabilities as short floats moves a metric by, relative to it.
ROUNDING = 2e-6
_SIZE = re.compile(r"\(n=(\d+)\)$")


def score(answers: Answers, claim: Claim, spec: ShiftSpec) -> Metrics:
    """All metrics of a shift's predictions, as an evaluation computes them.

    Raises:
        ValueError: the answers are not of the claimed classes or groups.
    """
    return evaluate(
        answers.columns(num_classes=claim.num_classes, group_columns=claim.group_columns),
        min_group_size=spec.min_group_size,
        group_weights=spec.group_weights,
        further=spec.metrics,
        unit=spec.unit,
    )


def wrong_metrics(claim: Claim, found: Metrics) -> Iterator[str]:
    """Claimed numbers that the predictions do not give, with what they give."""
    if claim.metrics.get("accuracy") is None:
        yield "no accuracy is claimed"
    for name, claimed in claim.metrics.items():
        if name not in found.metrics:
            yield f"{name[:40]!r} is not a metric of this shift"
            continue
        computed = found.metrics[name]
        if claimed is None or computed is None:
            if claimed is not computed:
                yield f"{name} is {_shown(computed)}, claimed {_shown(claimed)}"
            continue
        for part in ("value", "low", "high", "level", "n"):
            said, is_ = getattr(claimed, part), getattr(computed, part)
            if abs(said - is_) > ROUNDING * max(1.0, abs(is_)):
                yield f"{name}.{part} is {is_:.6g}, claimed {said:.6g}"
                break
        else:
            if claimed.method != computed.method:
                yield f"{name} has an interval by {computed.method!r}, claimed {claimed.method[:40]!r}"


def small_groups(claim: Claim, found: Metrics, spec: ShiftSpec) -> Iterator[str]:
    """A worst group that is too small to be one, or is not the worst."""
    size = _SIZE.search(claim.worst_group or "")
    if size is not None and int(size[1]) < spec.min_group_size:
        yield (
            f"the worst group {claim.worst_group!r} has fewer than {spec.min_group_size} examples, too few "
            "to count as the worst"
        )
        return
    worst = found.worst_group.label if found.worst_group is not None else None
    if claim.worst_group != worst:
        yield f"the worst group is {worst}, claimed {claim.worst_group}"


def _shown(estimate: object) -> str:
    value = getattr(estimate, "value", None)
    return "none" if value is None else f"{value:.6g}"
