"""Numbers in words, and verdicts on the claims that most studies make: above, or within a margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.studies.study import Verdict, decided

Number = Mapping[str, Any]
Evidence = Sequence[str] | str
MARGIN = 0.03  # an effective robustness within ± 3 points is none


def points(one: Number) -> str:
    """An estimate as a difference in points.

    >>> points({"value": 0.0123, "low": -0.004, "high": 0.0286})
    '+1.2 [-0.4, +2.9]'
    """
    return f"{100 * one['value']:+.1f} [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"


def percent(one: Number) -> str:
    """An estimate as a share in percent."""
    return f"{100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"


def above(claim: str, one: Number, *, evidence: Evidence, than: float = 0.0) -> Verdict:
    """The claim that a number is larger: it holds where the whole interval is."""
    return decided(claim, holds=one["low"] > than, noise=one["low"] <= than <= one["high"], evidence=evidence)


def below(claim: str, one: Number, *, evidence: Evidence, than: float = 0.0) -> Verdict:
    """The claim that a number is smaller."""
    return decided(
        claim, holds=one["high"] < than, noise=one["low"] <= than <= one["high"], evidence=evidence
    )


def within(claim: str, one: Number, *, evidence: Evidence, margin: float = MARGIN) -> Verdict:
    """The claim that a number is none: it holds where the whole interval lies within the margin."""
    holds = one["low"] >= -margin and one["high"] <= margin
    overlaps = one["low"] <= margin and one["high"] >= -margin
    return decided(claim, holds=holds, noise=not holds and overlaps, evidence=evidence)
