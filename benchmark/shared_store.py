"""Results in a store that many machines share: any URL that fsspec knows (``s3://bucket/prefix``).

The store is the truth and has the files of a results folder under the same names. Beside it each machine has
a local copy (``<cache>/stores/``), which may be removed at any time: cells are measured there and put into
the store as they are finished, shards as they are written; results are fetched when they are asked for,
predictions when they are read.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.away import Away, away, put_away
from benchmark.result import RESULT
from benchmark.store import PREDICTIONS, SHARDS, Store, finished_result, held_shards, shard_name
from shifts.digest import digest
from shifts.errors import ResultsError, UserError
from shifts.local import cache_home, write_atomic

if TYPE_CHECKING:
    from benchmark.result import Result

# Where an object appears whole or not at all when it is put; elsewhere it is renamed to appear so.
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})
# What others have put into a store is taken by these names alone: no other path can come of it.
_CELL_RESULT = re.compile(rf"[^/\\]*@[^/\\]*/[^/\\]*@[^/\\]*/{re.escape(RESULT)}")
_SHARD = re.compile(r"\d{12}\.parquet")
PAUSE = 10.0  # seconds between two looks for shards to put


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the place in it. Credentials are the file system's own matter.

    Raises:
        UserError: what it needs is not installed, or the URL is none.
    """
    try:
        from fsspec.core import url_to_fs

        files, place = url_to_fs(url)
    except ImportError as error:
        raise UserError(f"{url}: {error}", hint="install it beside this package") from error
    except ValueError as error:
        raise UserError(f"{url}: {error}", hint="a folder, or a URL such as s3://bucket/prefix") from error
    return files, str(place).rstrip("/")


def put_whole(files: Any, place: str, data: bytes) -> None:
    """Write an object so that nobody sees a part of it."""
    kinds = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    if kinds & _ATOMIC:
        files.pipe_file(place, data)
        return
    folder, _, name = place.rpartition("/")
    files.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{name}.{digest([place, threading.get_ident()])[:12]}.tmp"
    files.pipe_file(temporary, data)
    files.mv(temporary, place)


class SharedStore(Store):
    """A results folder that is a copy of a shared one.

    Args:
        url: of the store.

    Attributes:
        unsent: why finished cells could not be put into the store, by folder.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._base = file_system(url)
        self._listed: dict[str, dict[str, str]] = {}
        self.unsent: dict[Path, str] = {}
        super().__init__(cache_home() / "stores" / digest(url)[:16])

    def __reduce__(self) -> tuple[object, ...]:
        return (SharedStore, (self.url,))  # each machine has a copy of its own

    @property
    def place(self) -> str:
        return self.url

    def check_writable(self) -> None:
        super().check_writable()
        probe = f"{self._base}/.probe-{digest(str(self.root))[:12]}"
        try:
            put_whole(self._files, probe, b"")
            self._files.rm_file(probe)
        except Exception as error:
            raise ResultsError(
                f"cannot write results to {self.url}: {error}",
                hint="check the bucket and your credentials, or choose another place: --results",
            ) from error

    def finished(self, folder: Path) -> Result | None:
        self._pull(folder)
        found = finished_result(folder)
        known = self._list(folder.parent.name)
        if found is not None and f"{folder.parent.name}/{folder.name}/{RESULT}" not in known:
            self.keep(folder)  # it was measured here when the store could not be reached
        return found

    def read(self, folder: Path) -> Result | None:
        self._pull(folder)
        return super().read(folder)

    def results(self) -> Iterator[tuple[Path, Result]]:
        self.pull()
        return super().results()

    def pull(self) -> None:
        """Fetch every result that is new or has changed; predictions are fetched when they are read."""
        listed = self._list("")
        for key in sorted(listed):
            if _CELL_RESULT.fullmatch(key):
                self._pull(self.root / Path(key).parent, listed)

    def put_shard(self, folder: Path, start: int, data: bytes) -> None:
        here = self._here(folder)
        super().put_shard(here, start, data)
        put_whole(self._files, f"{self._place(here)}/{SHARDS}/{shard_name(start)}", data)

    def drop_shard(self, folder: Path, start: int) -> None:
        super().drop_shard(folder, start)
        self._remove(f"{self._place(folder)}/{SHARDS}/{shard_name(start)}")

    def keep(self, folder: Path) -> None:
        """Put a cell into the store, the result last: with it the cell counts as finished.

        A store that cannot be reached ends no run; ``check_kept`` says what was not put.
        """
        try:
            for name in (PREDICTIONS, RESULT):
                if (folder / name).is_file():
                    place = f"{self._place(folder)}/{name}"
                    put_whole(self._files, place, (folder / name).read_bytes())
                    self._note(folder / name, place, _state(self._files.info(place)))
            if finished_result(folder) is not None:
                self._remove(f"{self._place(folder)}/{SHARDS}")
            self.unsent.pop(folder, None)
        except Exception as error:  # noqa: BLE001 - libraries of stores raise errors of their own kinds
            self.unsent[folder] = str(error)

    def collect(self, folder: Path) -> None:
        self._listed.pop(folder.parent.name, None)
        self._fetch_shards(folder)

    @contextmanager
    def sharing(self, folders: Sequence[Path]) -> Iterator[None]:
        """Fetch the shards of these cells, and put theirs while they are measured."""
        sent = {folder: self._fetch_shards(folder) for folder in folders}
        over = threading.Event()

        def send() -> None:
            while not over.wait(PAUSE):
                self._send_shards(sent)

        sender = threading.Thread(target=send, name="shards", daemon=True)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()
            self._send_shards(sent)

    def check_kept(self) -> None:
        if self.unsent:
            raise ResultsError(
                f"{len(self.unsent)} finished evaluations could not be put into {self.url}: "
                f"{next(iter(self.unsent.values()))}",
                hint="they are kept on this machine: the same command puts them there",
            )

    def _fetch_shards(self, folder: Path) -> set[str]:
        """Bring the store's shards of a cell here; gives the names of those that it has."""
        prefix = f"{folder.parent.name}/{folder.name}/{SHARDS}/"
        keys = self._list(folder.parent.name)
        names = {key[len(prefix) :] for key in keys if key.startswith(prefix)}
        listed = {name for name in names if _SHARD.fullmatch(name)}
        for name in listed:
            if not (folder / SHARDS / name).is_file():
                write_atomic(folder / SHARDS / name, self._files.cat_file(f"{self._base}/{prefix}{name}"))
        return listed

    def _send_shards(self, sent: dict[Path, set[str]]) -> None:
        for folder, names in sent.items():
            for held in held_shards(folder) if (folder / SHARDS).is_dir() else ():
                if held.path.name in names:
                    continue
                try:
                    data = held.path.read_bytes()
                    put_whole(self._files, f"{self._place(folder)}/{SHARDS}/{held.path.name}", data)
                except Exception:  # noqa: BLE001 - the next look, or the finished cell, makes up for it
                    return
                names.add(held.path.name)

    def _pull(self, folder: Path, listed: dict[str, str] | None = None) -> None:
        listed = self._list(folder.parent.name) if listed is None else listed
        for name in (PREDICTIONS, RESULT):
            state = listed.get(f"{folder.parent.name}/{folder.name}/{name}")
            path, place = folder / name, f"{self._place(folder)}/{name}"
            known = away(path)
            if state is None or (known is not None and known.state == state and self._whole(path, name)):
                continue
            path.unlink(missing_ok=True)
            if name == RESULT:
                write_atomic(path, self._files.cat_file(place))
            self._note(path, place, state)

    def _whole(self, path: Path, name: str) -> bool:
        return name == PREDICTIONS or path.is_file()

    def _note(self, path: Path, place: str, state: str) -> None:
        put_away(path, Away(url=str(self._files.unstrip_protocol(place)), state=state))

    def _list(self, below: str) -> dict[str, str]:
        """State of every file below a folder of the store, by its path from the top; looked up once."""
        if below not in self._listed:
            self._files.invalidate_cache()
            top = f"{self._base}/{below}".rstrip("/")
            try:
                found = self._files.find(top, detail=True)
            except FileNotFoundError:
                found = {}
            except Exception as error:
                raise ResultsError(
                    f"cannot read {self.url}: {error}", hint="is the store reachable?"
                ) from error
            cut = len(self._base.strip("/")) + 1
            self._listed[below] = {name.strip("/")[cut:]: _state(info) for name, info in found.items()}
        return self._listed[below]

    def _here(self, folder: Path) -> Path:
        """A cell's folder on this machine, also where another one named it."""
        return self.root / folder.parent.name / folder.name

    def _place(self, folder: Path) -> str:
        return f"{self._base}/{folder.parent.name}/{folder.name}"

    def _remove(self, place: str) -> None:
        if self._files.exists(place):
            self._files.rm(place, recursive=True)


def _state(info: dict[str, Any]) -> str:
    """What tells a changed object: its etag where there is one, else size and time."""
    if etag := info.get("ETag") or info.get("etag"):
        return str(etag)
    return f"{info.get('size')} {info.get('mtime') or info.get('created') or info.get('LastModified')}"
