"""Opens the database and brings it to the present schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shifts.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leaderboard.service.settings import Settings


class Database:
    """Sessions of one database.

    Raises:
        UserError: it cannot be opened or migrated.
    """

    def __init__(self, settings: Settings) -> None:
        settings.uploads.mkdir(parents=True, exist_ok=True)
        self.engine = _engine(settings.url)
        try:
            migrate(self.engine)
        except (SQLAlchemyError, OSError) as error:
            raise UserError(
                f"the database {self.engine.url.render_as_string(hide_password=True)} cannot be used: "
                f"{str(error).splitlines()[0]}",
                hint="--database URL, e.g. postgresql+psycopg://user@host/name",
            ) from error
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end, rolled back on an error."""
        with self._sessions.begin() as session:
            yield session

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def migrate(engine: Engine) -> None:
    """Run the migrations that the database has not had; several processes may do so at once."""
    from alembic import command
    from alembic.config import Config
    from filelock import FileLock

    with as_file(files("leaderboard.service").joinpath("migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        lock: Any = None
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            lock = FileLock(f"{engine.url.database}.lock")
            lock.acquire()
        try:
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            if lock is not None:
                lock.release()


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError) as error:
        raise UserError(f"{url!r} is no database that can be opened: {error}") from error
    if engine.url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _pragmas)
    return engine


def _pragmas(connection: Any, _record: object) -> None:
    # Readers do not wait for the writer, a second writer waits, and a commit survives a power cut.
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
