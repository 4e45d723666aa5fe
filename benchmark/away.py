"""Files of a shared results store that are known here but not fetched yet: a note stands in for each.

Nothing of it is needed for a folder of this machine: there is no note, and ``fsspec`` is not imported.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from shifts.errors import ResultsError
from shifts.local import write_atomic

# A path has lost one of the two slashes; one letter before the colon is a drive of Windows.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)
_HERE = ("file", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Where a file is: ``url``, in the ``state`` (etag, size, time) in which it was last seen."""

    url: str
    state: str


def url_of(given: PurePath) -> str | None:
    """The URL that was given as a path, or None where it is a path of this machine.

    >>> from pathlib import PurePosixPath as P
    >>> url_of(P("s3://bucket/results")), url_of(P("results")), url_of(P("file:///data"))
    ('s3://bucket/results', None, None)
    """
    found = _URL.fullmatch(given.as_posix())
    return None if found is None or found[1] in _HERE else f"{found[1]}://{found[2]}"


def local_path(given: Path) -> Path:
    """A path, also where it was given as a ``file://`` URL."""
    found = _URL.fullmatch(given.as_posix())
    return Path("/", found[2]) if found is not None and found[1] in _HERE else given


def away(path: Path) -> Away | None:
    """The note that stands in for a file, or None."""
    try:
        return Away(**json.loads(_note(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def put_away(path: Path, known: Away) -> None:
    """Leave a note where a file is."""
    write_atomic(_note(path), json.dumps(asdict(known)))


def fetch(path: Path) -> None:
    """Fetch a file that a note stands in for; does nothing where there is none.

    Raises:
        ResultsError: it cannot be fetched.
    """
    known = away(path)
    if known is None:
        return
    from benchmark.shared_store import file_system

    files, place = file_system(known.url)
    try:
        write_atomic(path, files.cat_file(place))
    except Exception as error:  # libraries of stores raise errors of their own kinds
        raise ResultsError(f"cannot fetch {known.url}: {error}", hint="is the store reachable?") from error


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.away")
