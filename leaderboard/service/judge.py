"""One verification in a process of its own: whatever a bundle does to it, the service lives on.

``python -m leaderboard.service.judge BOARD BUNDLE [DATA_DIR]`` prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from leaderboard.board import Board
from leaderboard.keys import Keys
from leaderboard.verify import verify
from shifts.errors import UserError


def judge(board: Board, bundle: Path, *, keys: Keys) -> dict[str, Any]:
    """Verify a bundle and admit it when nothing is to be said against it.

    Returns:
        ``{"status", "entry", "message", "report"}``; status ``"accepted"``, ``"flagged"`` (a maintainer has
        to look) or ``"rejected"``. The same again for a bundle that is on the board already.
    """
    report = verify(bundle, keys=keys, known=board.known()).report
    found = {"entry": None, "message": None, "report": report.to_json()}
    if not report.passed:
        failed = next(check for check in report.checks if check.status != "passed")
        return {**found, "status": "rejected", "message": f"{failed.name} {failed.status}: {failed.detail}"}
    there = next((one.entry.id for one in board.entries() if one.entry.bundle == report.bundle), None)
    if there is not None:  # an earlier attempt was interrupted after it had admitted the bundle
        return {**found, "status": "accepted", "entry": there}
    if report.flagged:
        reason = next(lint.detail for lint in report.lints if lint.name == report.flagged[0])
        return {
            **found,
            "status": "flagged",
            "message": f"a maintainer has to look at {', '.join(report.flagged)}: {reason}",
        }
    try:
        return {**found, "status": "accepted", "entry": board.add(bundle, keys=keys).entry.id}
    except UserError as error:
        return {**found, "status": "rejected", "message": error.message}


def main() -> None:
    """The process."""
    board, bundle, *rest = sys.argv[1:]
    keys = Keys(data_dir=Path(rest[0])) if rest else Keys()
    print(json.dumps(judge(Board(Path(board)), Path(bundle), keys=keys), allow_nan=False))  # noqa: T201


if __name__ == "__main__":
    main()
