"""Looks at numbers that keep every rule and may still be wrong, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboard.report import Lint

if TYPE_CHECKING:
    from leaderboard.manifest import Manifest
    from leaderboard.verify import Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An entry of a board that a submission is compared with."""

    entry: str


def run_lints(manifest: Manifest, scored: Sequence[Scored], known: Sequence[Known]) -> tuple[Lint, ...]:
    return ()
