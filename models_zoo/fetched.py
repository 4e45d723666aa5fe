"""What was fetched first under an address that publishes no hash: it stays what it was, or is refused.

As with data sets (``source.json``), the content is recorded when it comes for the first time. A branch of a
repository is recorded with its commit, so that the same command means the same weights a year later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from shifts.errors import WeightsError
from shifts.local import cache_home, write_atomic

SCHEMA = 1


def record_of(key: str) -> dict[str, str]:
    """What is recorded of an address; empty where nothing is.

    Raises:
        WeightsError: the record cannot be read, or a newer version wrote it.
    """
    return _read().get(key, {})


def remember(key: str, found: Mapping[str, str], *, where: Path) -> None:
    """Record what came from an address, unless that is done; refuse another content.

    Args:
        found: ``sha256``, and what else tells the content (the commit of a branch).
        where: the file, for a message.

    Raises:
        WeightsError: something else was recorded.
    """
    from filelock import FileLock

    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        known = _read()
        if key not in known:
            write_atomic(
                path, json.dumps({"schema_version": SCHEMA, "files": {**known, key: dict(found)}}, indent=1)
            )
            return
    if known[key].get("sha256") != found["sha256"]:
        raise WeightsError(
            f"{key} is not what it was when it was first fetched: its sha256 is {found['sha256']}, "
            f"recorded is {known[key].get('sha256')} ({where.name})",
            hint=f"where you trust the new content, take the entry out of {path} and run the command again; "
            "what was measured with the old weights keeps its own digest",
        )


def _path() -> Path:
    return cache_home() / "models" / "fetched.json"


def _read() -> dict[str, dict[str, str]]:
    path = _path()
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["schema_version"] > SCHEMA:
            raise WeightsError(f"{path} was written by a newer version", hint="upgrade robustbench-shift")
        return {str(key): dict(value) for key, value in table["files"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} is not a readable record of what was fetched: {error}", hint=f"mend or remove {path}"
        ) from error
