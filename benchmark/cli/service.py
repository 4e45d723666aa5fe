"""``leaderboard serve``, ``leaderboard token``, ``leaderboard upload``: a board for a group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.leaderboard import app

if TYPE_CHECKING:
    from leaderboard.service.settings import Settings

TOKEN = "ROBUSTBENCH_SHIFT_TOKEN"
leaderboard_app = app  # with the commands of this module

token_app = typer.Typer(no_args_is_help=True)
leaderboard_app.add_typer(token_app, name="token", help="Who may upload to a service.")

Storage = Annotated[Path, typer.Option(help="Folder of uploads, site and database.")]
Database = Annotated[
    str | None, typer.Option(help="SQLAlchemy URL, e.g. postgresql+psycopg://HOST/NAME; default: SQLite.")
]


def register(program: typer.Typer) -> None:
    """Add the commands of the board."""
    program.add_typer(leaderboard_app, name="leaderboard", help="Verify submissions and keep the board.")


@leaderboard_app.command()
def serve(
    storage: Storage = Path("leaderboard-service"),
    board: Annotated[
        Path | None, typer.Option(help="Folder of the entries; default: STORAGE/entries.")
    ] = None,
    database: Database = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=0, help="Verifications at once.")] = 1,
    site: Annotated[bool, typer.Option(help="Build and serve the site.")] = True,
    claimed: Annotated[bool, typer.Option(help="Show published accuracies beside the entries.")] = True,
    lease: Annotated[
        float,
        typer.Option(min=1.0, help="Seconds until a verification without a sign of life is taken over."),
    ] = 60.0,
    data_dir: Annotated[Path | None, typer.Option(help="Where local copies of data sets lie.")] = None,
) -> None:
    """Take uploads, verify them and show the board."""
    _needed()
    import uvicorn

    from leaderboard.service.app import create_app
    from leaderboard.service.logs import to_stderr

    to_stderr()
    settings = _settings(storage, database, board=board)
    import dataclasses

    settings = dataclasses.replace(settings, site=site, claimed=claimed, lease=lease, data_dir=data_dir)
    uvicorn.run(
        create_app(settings, workers=workers), host=host, port=port, log_level="warning", server_header=False
    )


@token_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    per_day: Annotated[int, typer.Option(min=1, help="Submissions a day.")] = 20,
    storage: Storage = Path("leaderboard-service"),
    database: Database = None,
) -> None:
    """Make a token and print it, this once."""
    _needed()
    from leaderboard.service import tokens
    from leaderboard.service.database import Database as Opened

    opened = Opened(_settings(storage, database))
    with opened.session() as session:
        secret = tokens.create(session, name, per_day=per_day)
    typer.echo(secret)


@token_app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    storage: Storage = Path("leaderboard-service"),
    database: Database = None,
) -> None:
    """Let a token open nothing any more."""
    _needed()
    from benchmark.cli.terminal import out
    from leaderboard.service import tokens
    from leaderboard.service.database import Database as Opened

    with Opened(_settings(storage, database)).session() as session:
        tokens.revoke(session, name)
    out().print(f"{name}: revoked")


@token_app.command("list")
def list_tokens(storage: Storage = Path("leaderboard-service"), database: Database = None) -> None:
    """All tokens, without their secrets."""
    _needed()
    from datetime import UTC, datetime

    from sqlalchemy import select

    from benchmark.cli.terminal import columns
    from leaderboard.service.database import Database as Opened
    from leaderboard.service.tables import Token

    with Opened(_settings(storage, database)).session() as session:
        rows = [
            (
                token.name,
                datetime.fromtimestamp(token.created, UTC).date().isoformat(),
                str(token.per_day),
                "yes" if token.revoked else "no",
            )
            for token in session.scalars(select(Token).order_by(Token.id))
        ]
    columns(["name", "created", "a day", "revoked"], rows)


@leaderboard_app.command()
def upload(
    bundle: Annotated[Path, typer.Argument(help="The zip that `submit` wrote.")],
    to: Annotated[str, typer.Option("--to", help="Address of the service.")],
    wait: Annotated[bool, typer.Option(help="Wait for the verdict.")] = True,
) -> None:
    """Send a bundle to a service; the token comes from $ROBUSTBENCH_SHIFT_TOKEN."""
    send(bundle, to, wait=wait)


def send(bundle: Path, url: str, *, wait: bool = True) -> None:
    """Upload with progress and say what the service makes of it; exit code 1 unless it is accepted."""
    from rich.markup import escape

    from benchmark.cli.terminal import out, progress
    from leaderboard.upload import await_verdict
    from leaderboard.upload import upload as sent
    from shifts.errors import UserError

    token = os.environ.get(TOKEN, "")
    if not token:
        raise UserError(f"an upload needs a token in ${TOKEN}", hint="ask who runs the service for one")
    with progress() as display:
        task = display.add_task("upload", total=bundle.stat().st_size if bundle.is_file() else None)
        state = sent(
            bundle,
            url,
            token=token,
            progress=lambda done, total: display.update(task, completed=done, total=total),
        )
        if wait:
            waiting = display.add_task("verification", total=None)
            state = await_verdict(
                url, state["id"], token=token,
                say=lambda status: display.update(waiting, description=f"verification: {status}"),
            )  # fmt: skip
    message = f": {state['message']}" if state["message"] else ""
    out().print(escape(f"{state['id'][:8]} {state['status']}{message}"), soft_wrap=True)
    if state["entry"]:
        out().print(escape(f"entry {state['entry']}"), soft_wrap=True)
    if wait and state["status"] != "accepted":
        raise typer.Exit(1)


def _settings(storage: Path, database: str | None, *, board: Path | None = None) -> Settings:
    from leaderboard.service.settings import Settings

    storage.mkdir(parents=True, exist_ok=True)
    return Settings(storage=storage, board=board or storage / "entries", database=database)


def _needed() -> None:
    from importlib.util import find_spec

    from shifts.errors import UserError

    missing = [name for name in ("fastapi", "uvicorn", "sqlalchemy", "alembic") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"the service needs {', '.join(missing)}", hint="pip install 'robustbench-shift[serve]'"
        )
