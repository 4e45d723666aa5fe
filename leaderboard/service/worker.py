"""Takes submissions off the queue, one after the other."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from typing import Any, cast

from leaderboard.service import queue
from leaderboard.service.database import Database
from leaderboard.service.logs import log
from leaderboard.service.settings import Settings
from leaderboard.service.tables import FINAL, Status, Submission
from leaderboard.service.uploads import bundle_of

IDLE = 0.5


class Worker(threading.Thread):
    """A thread that waits on the process which does the work; ``stop`` ends it within a second.

    A worker that is killed leaves its lease behind; when that has run out another one takes over.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(name="verification", daemon=True)
        self.database, self.settings = database, settings
        self.identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after giving back what is in work."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        while not self._stopping.is_set():
            try:
                claimed = queue.claim(self.database, self.identity, self.settings)
                if claimed is not None:
                    self._work(claimed)
                    continue
            except Exception as error:  # noqa: BLE001 - a database that is away for a while must not end the worker
                log("worker failed", error=str(error), worker=self.identity)
            self._stopping.wait(IDLE)

    def _work(self, submission: Submission) -> None:
        log("verification begins", submission=submission.id, attempt=submission.attempts)
        started = time.monotonic()
        outcome = self._judged(submission.id)
        if outcome is None:
            queue.give_back(self.database, submission.id, self.identity)
            return
        status = cast(Status, outcome["status"]) if outcome["status"] in FINAL else "error"
        kept = queue.finish(
            self.database,
            submission.id,
            self.identity,
            status,
            entry=outcome.get("entry"),
            message=outcome.get("message"),
            report=outcome.get("report"),
        )
        seconds = round(time.monotonic() - started, 2)
        log("verification ends", submission=submission.id, status=status, kept=kept, seconds=seconds)

    def _judged(self, submission: str) -> dict[str, Any] | None:
        """What the process says; None when the worker is to stop or has lost its lease."""
        command = [sys.executable, "-m", "leaderboard.service.judge", str(self.settings.board.resolve())]
        command += [str(bundle_of(self.settings, submission).resolve())]
        command += [] if self.settings.data_dir is None else [str(self.settings.data_dir.resolve())]
        started, renewed = time.monotonic(), time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while True:
                try:
                    said, complaint = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                    if self._stopping.is_set():
                        process.kill()
                        return None
                    if now - started > self.settings.timeout:
                        process.kill()
                        return {"status": "error", "message": f"no end after {self.settings.timeout:.0f} s"}
                    if now - renewed > self.settings.lease / 4:
                        renewed = now
                        if not queue.renew(self.database, submission, self.identity, self.settings):
                            process.kill()
                            return None
        if process.returncode == 0:
            return cast(dict[str, Any], json.loads(said))
        last = complaint.strip().splitlines()[-1] if complaint.strip() else "no word"
        log("verification died", submission=submission, code=process.returncode, said=last)
        return {"status": "error", "message": f"the verification ended with code {process.returncode}"}
