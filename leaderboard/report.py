"""What verification found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shifts.errors import ResultsError

SCHEMA_VERSION = 1

CheckStatus = Literal["passed", "failed", "skipped"]
LintStatus = Literal["clear", "flagged", "not judged"]
Tier = Literal["claimed", "re-scored", "spot-reproduced", "reproduced"]
TIERS: tuple[Tier, ...] = ("claimed", "re-scored", "spot-reproduced", "reproduced")

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule that a bundle keeps or breaks.

    Attributes:
        name: what was checked.
        status: ``"skipped"`` where an earlier failure or missing data left nothing to look at.
        detail: what was found, in words.
    """

    name: str
    status: CheckStatus
    detail: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "status": self.status, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """A look at numbers that keep every rule and may still be wrong.

    Attributes:
        name: what was looked for.
        status: ``"not judged"`` where there is too little to go by.
        detail: the reason, in words.
        evidence: ``{"shift", "value", "threshold", ...}`` of each shift that was judged.
    """

    name: str
    status: LintStatus
    detail: str
    evidence: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status,
            "detail": self.detail,
            "evidence": [dict(one) for one in self.evidence],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """The outcome of verifying one bundle; the same for the same bundle, keys and board.

    Attributes:
        bundle: its digest, or None where it could not be read that far.
        model, suite: as the manifest says, or None.
        checks: every check by name, in the order they are made.
        lints: every lint; empty when a check failed.
    """

    bundle: str | None
    model: str | None
    suite: str | None
    checks: tuple[Check, ...]
    lints: tuple[Lint, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def passed(self) -> bool:
        """Whether every check was made and passed."""
        return bool(self.checks) and all(check.status == "passed" for check in self.checks)

    @property
    def flagged(self) -> tuple[str, ...]:
        """Names of the lints that somebody has to look at."""
        return tuple(lint.name for lint in self.lints if lint.status == "flagged")

    @property
    def tier(self) -> Tier | None:
        """``"re-scored"`` when everything passed; what has not been re-scored has no tier of its own."""
        return "re-scored" if self.passed else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema_version": self.schema_version,
            "bundle": self.bundle,
            "model": self.model,
            "suite": self.suite,
            "passed": self.passed,
            "tier": self.tier,
            "checks": [check.to_json() for check in self.checks],
            "flagged": list(self.flagged),
            "lints": [lint.to_json() for lint in self.lints],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> VerificationReport:
        """What ``to_json`` wrote.

        Raises:
            ResultsError: of a newer version, or not a report.
        """
        try:
            if document["schema_version"] > SCHEMA_VERSION:
                raise ResultsError(
                    f"the report has schema {document['schema_version']}, this version reads up to "
                    f"{SCHEMA_VERSION}",
                    hint="upgrade robustbench-shift",
                )
            return cls(
                bundle=document["bundle"],
                model=document["model"],
                suite=document["suite"],
                checks=tuple(Check(**check) for check in document["checks"]),
                lints=tuple(
                    Lint(**{**lint, "evidence": tuple(lint["evidence"])}) for lint in document["lints"]
                ),
            )
        except (KeyError, TypeError) as error:
            raise ResultsError(f"not a verification report: {error}") from error


def check(name: str, problems: Sequence[str], *, passed: str) -> Check:
    """A check that fails when there are problems; the first few are named."""
    if not problems:
        return Check(name=name, status="passed", detail=passed)
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Check(name=name, status="failed", detail="; ".join(problems[:_SHOWN]) + more)


def skipped(name: str, why: str) -> Check:
    """A check that there was nothing for."""
    return Check(name=name, status="skipped", detail=why)
