"""Structured logs: one JSON object to a line, on stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

_logger = logging.getLogger("leaderboard.service")


def log(event: str, **fields: Any) -> None:
    """Write one event with its fields; secrets never come here."""
    _logger.info("%s", json.dumps({"time": _now(), "event": event, **fields}, default=str))


def to_stderr() -> None:
    """Let events be seen."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _logger.handlers[:] = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
