"""Uploads to the service as a real process: broken connections, bad tokens, malicious bundles."""

from __future__ import annotations

import hashlib
import io
import socket
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmark.cli import run
from leaderboard.container import BUNDLE_BYTES
from leaderboard.service import tokens
from leaderboard.service.database import Database
from leaderboard.service.tables import Token
from leaderboard.upload import upload
from shifts.errors import UserError
from tests.leaderboard.made_bundles import made, network
from tests.leaderboard.running_service import SHIFTS, Service, bundle, entries, new_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = new_service(tmp_path_factory.mktemp("service")).start()
    yield started
    started.kill(everything=True)


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
