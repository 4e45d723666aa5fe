"""The service as a real process on loopback: uploads, kills, bad tokens, malicious bundles."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmark.cli import run
from leaderboard.board import Board
from leaderboard.container import BUNDLE_BYTES
from leaderboard.service import queue, tokens
from leaderboard.service.database import Database
from leaderboard.service.settings import Settings
from leaderboard.service.tables import Submission, Token
from leaderboard.upload import await_verdict, upload
from shifts.errors import UserError
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


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = new_service(tmp_path_factory.mktemp("service")).start()
    yield started
    started.kill(everything=True)


def bundle(folder: Path, name: str, *, skill: float = 2.0, seed: int = 0, **card: Any) -> Path:
    answers = {shift: network(shift, skill=skill, seed=seed) for shift in SHIFTS}
    folder.mkdir(parents=True, exist_ok=True)
    return made(answers, model=name, **card).write(folder)


def entries(service: Service) -> list[str]:
    return [one.entry.model.name for one in Board(service.storage / "entries").entries()]


def test_an_upload_is_verified_and_admitted(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle(tmp_path, "first", title="<script>alert(1)</script>")
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_TOKEN", service.token)
    assert run(["leaderboard", "upload", str(path), "--to", service.url]) == 0
    assert "accepted" in capsys.readouterr().out
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    state = service.get(f"/v1/submissions/{digest}").json()
    assert state["status"] == "accepted"
    assert state["report"]["passed"]
    assert entries(service).count("first") == 1
    again = service.post(path.read_bytes())
    assert again.status_code == 200, "the same bundle is the same submission"
    assert again.json()["entry"] == state["entry"]
    document = service.get("/v1/board").json()
    assert state["entry"] in {row["entry"] for suite in document["suites"] for row in suite["rows"]}


def test_concurrent_uploads_are_each_admitted_once(service: Service, tmp_path: Path) -> None:
    paths = [bundle(tmp_path / str(i), f"many-{i}", skill=1.0 + 0.2 * i, seed=10 + i) for i in range(3)]
    jobs = [path for path in paths for _ in range(2)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        states = list(pool.map(lambda path: _patient(service, path), jobs))
    verdicts = [service.verdict(state["id"]) for state in states]
    assert {verdict["status"] for verdict in verdicts} <= {"accepted", "flagged"}
    assert len({state["id"] for state in states}) == 3
    board = entries(service)
    assert all(board.count(f"many-{i}") <= 1 for i in range(3))


def _patient(service: Service, path: Path) -> dict[str, Any]:
    """Somebody else may be sending the same bundle just now."""
    for _ in range(20):
        try:
            return upload(path, service.url, token=service.token, pause=0.1)
        except UserError as error:
            assert "another request" in error.message or "begins at" in error.message
            time.sleep(0.2)
    raise AssertionError("never got through")


def test_an_upload_goes_on_where_it_stopped(service: Service, tmp_path: Path) -> None:
    path = bundle(tmp_path, "resumed", seed=20)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    half = len(data) // 2
    head = (
        f"POST /v1/submissions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
        f"Bundle-SHA256: {digest}\r\nBundle-Size: {len(data)}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.sendall(head.encode() + data[:half])
        time.sleep(0.5)  # the connection breaks in the middle
    for _ in range(50):
        state = service.get(f"/v1/submissions/{digest}").json()
        if state["received"] == half:
            break
        time.sleep(0.1)
    assert (state["status"], state["received"]) == ("receiving", half)
    assert service.post(data[half + 1 :], size=len(data), offset=half + 1, digest=digest).status_code == 409
    sent: list[int] = []
    upload(path, service.url, token=service.token, progress=lambda done, total: sent.append(done))
    assert sent[0] > half
    assert service.verdict(digest)["status"] == "accepted"


def test_wrong_revoked_and_exhausted_tokens(service: Service, tmp_path: Path) -> None:
    data = b"PK\x03\x04 not a bundle"
    for header in ({}, {"Authorization": "Bearer rbs_wrong"}, {"Authorization": "Basic abc"}):
        headers = {"Bundle-SHA256": "0" * 64, "Bundle-Size": "5", **header}
        answer = httpx.post(f"{service.url}/v1/submissions", content=b"12345", headers=headers)
        assert answer.status_code == 401
    database = Database(service.settings)
    with database.session() as session:
        poor = tokens.create(session, "poor", per_day=1)
        gone = tokens.create(session, "gone")
        tokens.revoke(session, "gone")
        stored = [token.hash for token in session.query(Token)]
    assert poor not in stored, "only the hash is stored"
    assert gone.removeprefix("rbs_") not in str(stored)
    assert Service(service.storage, service.port, gone).post(data).status_code == 401
    mine = Service(service.storage, service.port, poor)
    assert mine.post(data).status_code == 202
    limited = mine.post(data + b"2")
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 80_000
    other = hashlib.sha256(data).hexdigest()
    assert service.get(f"/v1/submissions/{other}").status_code == 404, "others' submissions are not shown"
    database.close()


def zipped(members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def malicious() -> dict[str, bytes]:
    import pickle

    honest = made({shift: network(shift, skill=2.0, seed=30) for shift in SHIFTS}, model="honest")
    members = honest.members()
    table = next(name for name in members if name.endswith(".parquet"))
    return {
        "outside": zipped({**members, "../../evil.py": b"print('pwned')"}),
        "bomb": zipped({**members, table: b"\0" * 300_000_000}),
        "pickle": zipped({**members, table: pickle.dumps({"a": 1})}),
        "extra": zipped({**members, "setup.py": b"raise SystemExit"}),
        "not a zip": b"<html>" * 100,
        "empty": zipped({}),
        "json bomb": zipped({**members, "manifest.json": b"[" * 100_000}),
    }


def test_malicious_bundles_are_rejected_and_the_service_lives(service: Service) -> None:
    sent = {}
    for kind, data in malicious().items():
        answer = service.post(data)
        assert answer.status_code == 202, kind
        sent[kind] = answer.json()["id"]
    for kind, digest in sent.items():
        verdict = service.verdict(digest)
        assert verdict["status"] == "rejected", (kind, verdict)
        assert verdict["message"]
    assert service.get("/v1/health").json()["status"] == "ok"
    assert not list(service.storage.rglob("evil.py"))


def test_what_is_too_big_or_has_another_hash_is_refused(service: Service) -> None:
    assert service.post(b"x", size=BUNDLE_BYTES + 1).status_code == 413
    assert service.post(b"y" * 100, size=50).status_code == 400
    wrong = service.post(b"some bytes", digest="1" * 64)
    assert wrong.status_code == 422
    assert "hash" in wrong.json()["detail"]
    assert service.post(b"z", size=10, offset=10, digest="2" * 64).status_code == 400


@pytest.mark.parametrize("everything", [True, False], ids=["with its children", "alone"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, everything: bool) -> None:
    service = new_service(tmp_path / "service").start()
    path = bundle(tmp_path, "survivor", seed=40)
    state = upload(path, service.url, token=service.token)
    for _ in range(200):
        if service.get(f"/v1/submissions/{state['id']}").json()["status"] == "verifying":
            break
        time.sleep(0.02)
    service.kill(everything=everything)
    assert (service.storage / "uploads" / f"{state['id']}.zip").read_bytes() == path.read_bytes()
    service.start()
    verdict = service.verdict(state["id"])
    assert verdict["status"] == "accepted", verdict
    assert entries(service) == ["survivor"]
    assert Board(service.storage / "entries").check() == []
    service.kill(everything=True)


def test_a_submission_whose_verification_keeps_dying_is_given_up(tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path, board=tmp_path / "entries", lease=0.01)
    database = Database(settings)
    with database.session() as session:
        tokens.create(session, "x")
        session.flush()
        session.add(
            Submission(id="a" * 64, token_id=1, size=1, status="queued", created=1.0, updated=1.0, attempts=0)
        )
    for attempt in range(settings.attempts):
        claimed = queue.claim(database, f"worker-{attempt}", settings)
        assert claimed is not None
        assert claimed.attempts == attempt + 1
        time.sleep(0.02)  # the worker dies, its lease runs out
        assert not queue.finish(database, "a" * 64, "worker-of-yesterday", "accepted")
    assert queue.claim(database, "last", settings) is None
    with database.session() as session:
        found = session.get(Submission, "a" * 64)
        assert found is not None
        assert found.status == "error"
    database.close()


def test_of_many_workers_one_gets_a_submission(tmp_path: Path) -> None:
    settings = Settings(storage=tmp_path, board=tmp_path / "entries")
    database = Database(settings)
    with database.session() as session:
        tokens.create(session, "x")
        session.flush()
        session.add_all(
            Submission(
                id=f"{i:064x}", token_id=1, size=1, status="queued", created=float(i), updated=1.0, attempts=0
            )
            for i in range(20)
        )
    got: list[str] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        for _ in range(60):
            claimed = queue.claim(database, name, settings)
            if claimed is not None:
                with lock:
                    got.append(claimed.id)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [f"{i:064x}" for i in range(20)]
    database.close()


def test_the_interface_keeps_its_own_description(tmp_path: Path) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given
    from hypothesis import settings as hypothesis_settings
    from schemathesis.specs.openapi import checks

    from leaderboard.service.app import create_app

    @schemathesis.serializer("application/zip")
    def as_it_is(_context: object, value: object) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()

    storage = tmp_path / "service"
    service = new_service(storage, per_day=1_000_000)
    app = create_app(Settings(storage=storage, board=storage / "entries", site=False), workers=0)
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app)

    strict = [checks.ignored_auth, checks.negative_data_rejection, checks.positive_data_acceptance]
    for found in schema.get_all_operations():

        @given(case=found.ok().as_strategy())
        @hypothesis_settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: schemathesis.Case) -> None:
            response = case.call(headers={**(case.headers or {}), **service.header()})
            assert response.status_code < 500
            case.validate_response(response, excluded_checks=strict)

        check()


def test_the_site_is_served_and_follows_the_board(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from leaderboard.service.app import create_app

    storage = tmp_path / "service"
    service = new_service(storage)
    settings = Settings(storage=storage, board=storage / "entries", claimed=False)
    Board(storage / "entries").add(bundle(tmp_path / "one", "shown", seed=50))
    with TestClient(create_app(settings, workers=1)) as client:
        page = client.get("/")
        for _ in range(300):
            if "shown" in page.text:
                break
            time.sleep(0.2)  # the first site is being built
            page = client.get("/")
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert "shown" in page.text
        path = bundle(tmp_path / "two", "newcomer", skill=1.2, seed=51)
        data = path.read_bytes()
        headers = service.header(**{
            "Bundle-SHA256": hashlib.sha256(data).hexdigest(), "Bundle-Size": str(len(data)),
        })  # fmt: skip
        assert client.post("/v1/submissions", content=data, headers=headers).status_code == 202
        for _ in range(300):
            if "newcomer" in client.get("/").text:
                break
            time.sleep(0.2)
        else:
            raise AssertionError(
                client.get(f"/v1/submissions/{headers['Bundle-SHA256']}", headers=headers).text
            )


def test_commands_about_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--storage", str(tmp_path / "s")]
    assert run(["leaderboard", "token", "create", "ada", *at]) == 0
    secret = capsys.readouterr().out.strip()
    assert secret.startswith("rbs_")
    assert run(["leaderboard", "token", "create", "ada", *at]) == 2
    assert run(["leaderboard", "token", "revoke", "bob", *at]) == 2
    assert run(["leaderboard", "token", "revoke", "ada", *at]) == 0
    capsys.readouterr()
    assert run(["leaderboard", "token", "list", *at]) == 0
    listed = capsys.readouterr().out
    assert "ada" in listed
    assert secret not in listed


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match="cannot be reached"):
        upload(path, f"http://127.0.0.1:{free_port()}", token="x", pause=0.01)
    with pytest.raises(UserError, match="no address"):
        upload(path, "ftp://example.org", token="x")


def test_the_log_is_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    from leaderboard.service.logs import log, to_stderr

    to_stderr()
    log("tested", path=Path("x"), text="two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    assert (written["event"], written["path"], written["text"]) == ("tested", "x", "two\nlines")
    assert written["time"].endswith("+00:00")
