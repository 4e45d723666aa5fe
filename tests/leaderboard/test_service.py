"""The service around its uploads: kills, its queue, interface, site, tokens and log."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest

from benchmark.cli import run
from leaderboard.board import Board
from leaderboard.service import queue, tokens
from leaderboard.service.database import Database
from leaderboard.service.settings import Settings
from leaderboard.service.tables import Submission
from leaderboard.upload import upload
from shifts.errors import UserError
from tests.leaderboard.running_service import bundle, entries, free_port, new_service


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
