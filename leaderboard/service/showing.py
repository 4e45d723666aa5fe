"""Keeps the site that is served up to date with the board."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from pathlib import Path

from leaderboard.board import Board
from leaderboard.service.logs import log
from leaderboard.service.settings import Settings

IDLE = 0.5
_NOTHING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Leaderboard</title></head>
<body><main><h1>Leaderboard</h1><p>The pages are being made; come back in a minute.</p></main></body></html>
"""


class Shower(threading.Thread):
    """A thread that builds the site anew when the board has changed; uploads do not wait for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="site", daemon=True)
        self.settings = settings
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the build that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Build until stopped."""
        shown = None
        while not self._stopping.is_set():
            try:
                head = Board(self.settings.board).head
                if head != shown:
                    show(self.settings)
                    shown = head
                    log("site", head=head)
            except Exception as error:  # noqa: BLE001 - the last site stays; the next change is tried again
                log("site failed", error=str(error))
                self._stopping.wait(10 * IDLE)
            self._stopping.wait(IDLE)


def prepare(settings: Settings) -> None:
    """Something to show until the first site is built."""
    if settings.shown.exists():
        return
    folder = settings.storage / "sites" / "none"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(_NOTHING, encoding="utf-8")
    _put(settings, folder)


def show(settings: Settings) -> None:
    """Build the site of the board as it is now, then put it in place of the last one in one step."""
    from leaderboard.site.build import build

    board = Board(settings.board)
    if not board.entries() and not settings.claimed:
        return
    folder = settings.storage / "sites" / f"{board.head[:12]}-{secrets.token_hex(4)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    build(board, folder, claimed=settings.claimed)
    _put(settings, folder)
    _forget(folder)


def _put(settings: Settings, folder: Path) -> None:
    link = settings.shown.with_name(f"site.{os.getpid()}.{secrets.token_hex(4)}")
    link.symlink_to(folder.resolve(), target_is_directory=True)
    link.replace(settings.shown)


def _forget(current: Path) -> None:
    """Sites before the last one; the last stays for requests that are under way."""
    others = sorted(
        (path for path in current.parent.iterdir() if path != current), key=lambda p: p.stat().st_mtime
    )
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)
