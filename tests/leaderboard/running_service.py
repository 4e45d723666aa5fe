"""The service as a real process on loopback, and bundles to send it."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from leaderboard.board import Board
from leaderboard.service import tokens
from leaderboard.service.database import Database
from leaderboard.service.settings import Settings
from leaderboard.upload import await_verdict
from tests.leaderboard.made_bundles import made, network

SHIFTS = ("digits-tinted", "digits/spurious-tint")
LEASE = 2.0


@dataclass
class Service:
    """A server process, its storage and a token."""

    storage: Path
    port: int
    token: str
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Settings:
        return Settings(storage=self.storage, board=self.storage / "entries", lease=LEASE)

    def start(self, *, workers: int = 1) -> Service:
        command = [
            sys.executable, "-m", "benchmark.cli", "leaderboard", "serve", "--storage", str(self.storage),
            "--port", str(self.port), "--no-site", "--lease", str(LEASE), "--workers", str(workers),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(600):
            try:
                if self.get("/v1/health").status_code == 200:
                    return self
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
                time.sleep(0.1)
        raise AssertionError("the service does not answer")

    def kill(self, *, everything: bool = False) -> None:
        """SIGKILL: nothing gets a chance to tidy up."""
        assert self.process is not None
        if everything:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, headers=self.header(), timeout=30, **options)

    def header(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}

    def post(
        self, data: bytes, *, size: int | None = None, offset: int = 0, digest: str | None = None
    ) -> httpx.Response:
        headers = self.header(**{
            "Bundle-SHA256": digest or hashlib.sha256(data).hexdigest(),
            "Bundle-Size": str(len(data) if size is None else size),
            "Upload-Offset": str(offset),
        })  # fmt: skip
        return httpx.post(f"{self.url}/v1/submissions", content=data, headers=headers, timeout=60)

    def verdict(self, digest: str) -> dict[str, Any]:
        return await_verdict(self.url, digest, token=self.token, timeout=120)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_service(storage: Path, *, per_day: int = 100) -> Service:
    storage.mkdir(parents=True, exist_ok=True)
    database = Database(Settings(storage=storage, board=storage / "entries"))
    with database.session() as session:
        secret = tokens.create(session, "tester", per_day=per_day)
    database.close()
    return Service(storage, free_port(), secret)


def bundle(folder: Path, name: str, *, skill: float = 2.0, seed: int = 0, **card: Any) -> Path:
    answers = {shift: network(shift, skill=skill, seed=seed) for shift in SHIFTS}
    folder.mkdir(parents=True, exist_ok=True)
    return made(answers, model=name, **card).write(folder)


def entries(service: Service) -> list[str]:
    return [one.entry.model.name for one in Board(service.storage / "entries").entries()]
