"""What a library of models holds, as a table that is read without the library: importing one takes seconds.

The table of one version of each library comes with the package; for another installed version it is made
once, in a process of its own, and kept in the cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shifts.errors import UserError
from shifts.local import cache_home, write_atomic
from shifts.registry import resolve

SHIPPED = Path(__file__).resolve().parent / "sources" / "data"
SCHEMA = 1
PATIENCE = 600  # seconds; the import takes a few, the table one or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library whose models go by ``name:…``.

    Attributes:
        package: what is installed.
        facts: ``"module:function"`` that imports the library and gives its entries as plain data.
    """

    name: str
    package: str
    facts: str


LIBRARIES = {
    library.name: library
    for library in (
        Library(name="timm", package="timm", facts="models_zoo.timm_facts:facts"),
        Library(name="torchvision", package="torchvision", facts="models_zoo.torchvision_facts:facts"),
        Library(name="open_clip", package="open_clip_torch", facts="models_zoo.open_clip_facts:facts"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The entries of a version of a library, by the library's own names."""

    version: str
    entries: Mapping[str, Mapping[str, Any]]


def index(library: str) -> Index:
    """The table of the installed version, made now where it is not there.

    Raises:
        UserError: the library is not installed, or does not do what it did when this was written.
    """
    return _index(library, cache_home())


def ready(library: str) -> Index | None:
    """The table where it need not be made first; None where it must, or the library is not installed."""
    installed = _installed(LIBRARIES[library])
    if installed is None:
        return None
    own = shipped(library)
    if installed == own.version:
        return own
    try:
        return _read(_cached(library, installed), version=installed)
    except (OSError, ValueError, KeyError):
        return None


@cache
def _index(name: str, home: Path) -> Index:
    library = LIBRARIES[name]
    if (found := ready(name)) is not None:
        return found
    installed = _installed(library)
    if installed is None:
        raise UserError(f"{library.package} is not installed", hint=f"pip install {library.package}")
    path = _cached(name, installed)
    sys.stderr.write(f"listing what {library.package} {installed} holds, once (some seconds) …\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "models_zoo.library_index", name, str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        return _read(path, version=installed)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["nothing was said"])[-1]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        last = str(error)
    raise UserError(
        f"what {library.package} {installed} holds cannot be listed: {last}",
        hint=f"a version that is known to work: pip install {library.package}=={shipped(name).version}",
    )


def make(name: str) -> str:
    """The table of the library as it is installed, as JSON with one entry a line; imports the library.

    Counts of parameters take minutes to make and are taken over from the table that comes with the package.
    """
    library = LIBRARIES[name]
    try:
        known: Mapping[str, Any] = shipped(name).entries
    except OSError:
        known = {}
    lines = []
    for key, entry in resolve(library.facts)().items():
        if "parameters" not in entry and (counted := known.get(key, {}).get("parameters")) is not None:
            entry = {**entry, "parameters": counted}
        lines.append(f"  {json.dumps(key)}: {json.dumps(entry)}")
    head = f' "schema_version": {SCHEMA},\n "version": {json.dumps(_installed(library))}'
    return "{\n" + head + ',\n "entries": {\n' + ",\n".join(lines) + "\n }\n}\n"


def _installed(library: Library) -> str | None:
    try:
        return version(library.package).partition("+")[0]  # without the local part: 0.30.0+cpu
    except PackageNotFoundError:
        return None


def _cached(name: str, installed: str) -> Path:
    return cache_home() / "index" / f"{name}-{installed}.json"


@cache
def shipped(name: str) -> Index:
    """The table that comes with the package, of the version it was made with."""
    return _read(SHIPPED / f"{name}.json")


def _read(path: Path, *, version: str | None = None) -> Index:
    """Raises OSError, ValueError or KeyError where it is not a table of that version."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(raw, dict) or raw["schema_version"] != SCHEMA or version not in (None, raw["version"]):
        raise ValueError(f"{path} is not the table of that version")
    return Index(version=raw["version"], entries=raw["entries"])


if __name__ == "__main__":  # python -m models_zoo.library_index LIBRARY FILE
    write_atomic(Path(sys.argv[2]), make(sys.argv[1]))
