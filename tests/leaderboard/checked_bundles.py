"""An honest bundle, and which checks a changed one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard.verify import CHECKS, verify
from tests.leaderboard.made_bundles import Made, made

TABLE = "predictions/digits--spurious-tint.parquet"


@pytest.fixture(scope="module")
def honest() -> Made:
    return made()


def failed(bundle: Path) -> tuple[set[str], str]:
    """Names of the failed checks, and their details."""
    report = verify(bundle).report
    assert tuple(check.name for check in report.checks) == CHECKS
    bad = [check for check in report.checks if check.status == "failed"]
    assert report.passed == (not bad)
    return {check.name for check in bad}, "; ".join(check.detail for check in bad)
