"""The HTTP interface: uploads, their status, the board, the site."""

# No `from __future__ import annotations`: FastAPI has to see the annotations of the routes, which are local.

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from leaderboard.board import Board
from leaderboard.service import queue, tokens
from leaderboard.service.database import Database
from leaderboard.service.logs import log
from leaderboard.service.settings import Settings
from leaderboard.service.showing import Shower, prepare
from leaderboard.service.tables import Submission, Token
from leaderboard.service.uploads import Refused, receive, received
from leaderboard.service.worker import Worker

DIGEST = r"^[0-9a-f]{64}$"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The site loads its own files only, so a name that slipped through unescaped could do nothing.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'",
}


class Problem(BaseModel):
    """What went wrong, and how much of an upload is here."""

    detail: str
    received: int | None = None


class State(BaseModel):
    """A submission as a client sees it."""

    id: str
    status: str
    final: bool
    size: int
    received: int
    created: str
    updated: str
    entry: str | None
    message: str | None
    report: dict[str, Any] | None


class Health(BaseModel):
    """Whether the service works, and what waits."""

    status: str
    version: str
    board: str
    queued: int
    verifying: int


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 404, 409, 413, 429)
}


def create_app(settings: Settings, *, workers: int = 1) -> FastAPI:
    """The application; workers and the database live as long as it runs.

    Args:
        workers: threads that verify; 0 leaves that to other processes.
    """
    database = Database(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        crew: list[Worker | Shower] = [Worker(database, settings) for _ in range(workers)]
        if settings.site:
            crew.append(Shower(settings))
        for worker in crew:
            worker.start()
        log("started", workers=workers, board=str(settings.board))
        yield
        for worker in crew:
            worker.stop()
        for worker in crew:
            worker.join(timeout=10)
        database.close()
        log("stopped")

    app = FastAPI(
        title="robustbench-shift leaderboard",
        version=version("robustbench-shift"),
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _routes(app, database, settings)
    if settings.site:
        prepare(settings)
        app.mount("/", StaticFiles(directory=settings.shown, html=True, check_dir=False), name="site")
    return app


def _routes(app: FastAPI, database: Database, settings: Settings) -> None:
    bearer = HTTPBearer(auto_error=False)

    def caller(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Token:
        with database.session() as session:
            found = tokens.holder(session, given.credentials) if given is not None else None
        if found is None:
            raise HTTPException(
                401, "a valid token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )
        return found

    Caller = Annotated[Token, Depends(caller)]

    @app.middleware("http")
    async def safe(request: Request, call_next: Callable[[Request], Any]) -> Response:
        response: Response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(Refused)
    async def refused(_: Request, problem: Refused) -> Response:
        body = Problem(detail=problem.message, received=problem.received)
        return Response(body.model_dump_json(), problem.code, media_type="application/json")

    @app.get("/v1/health", responses={503: {"model": Problem}})
    def health() -> Health:
        """Whether the database answers and the board's log is whole."""
        try:
            with database.session() as session:
                counts = dict(
                    session.execute(select(Submission.status, func.count()).group_by(Submission.status)).all()
                )
            head = Board(settings.board).head
        except Exception as error:
            log("unhealthy", error=str(error))
            raise HTTPException(503, "the database or the board cannot be read") from error
        return Health(
            status="ok",
            version=app.version,
            board=head,
            queued=counts.get("queued", 0),
            verifying=counts.get("verifying", 0),
        )

    @app.post(
        "/v1/submissions",
        status_code=202,
        responses={200: {"model": State, "description": "this bundle was uploaded before"}, **_PROBLEMS},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def submit(
        request: Request,
        response: Response,
        token: Caller,
        bundle_sha256: Annotated[str, Header(pattern=DIGEST, description="of the whole bundle")],
        bundle_size: Annotated[int, Header(ge=1, lt=2**40, description="bytes of the whole bundle")],
        upload_offset: Annotated[int, Header(ge=0, lt=2**40, description="where the body begins in it")] = 0,
    ) -> State:
        """Upload a bundle, or the rest of one; the same bundle again gives the same submission."""
        if bundle_size > settings.max_bytes:
            raise Refused(413, f"a bundle has at most {settings.max_bytes} bytes")
        if upload_offset >= bundle_size:
            raise Refused(400, f"an upload of {bundle_size} bytes cannot begin at {upload_offset}")
        if not await run_in_threadpool(_open, database, token, bundle_sha256, bundle_size):
            response.status_code = 200
            return await run_in_threadpool(_state, database, settings, token, bundle_sha256)
        try:
            whole = await receive(
                settings, bundle_sha256, request.stream(), offset=upload_offset, size=bundle_size
            )
        except ClientDisconnect:
            whole = False  # nobody hears the answer; what came stays, and the client goes on from there
        if whole:
            await run_in_threadpool(_complete, database, bundle_sha256)
        log("upload", submission=bundle_sha256, token=token.name, complete=whole)
        return await run_in_threadpool(_state, database, settings, token, bundle_sha256)

    @app.get("/v1/submissions/{digest}", responses=_PROBLEMS)
    def status(digest: str, token: Caller) -> State:
        """How far one of your submissions is; ``received`` says where an upload goes on."""
        return _state(database, settings, token, digest)

    @app.get("/v1/submissions", responses=_PROBLEMS)
    def mine(token: Caller) -> list[State]:
        """Your submissions, the newest first."""
        wanted = select(Submission).where(Submission.token_id == token.id).order_by(Submission.created.desc())
        with database.session() as session:
            return [
                State(**one.to_json(received=_here(settings, one)))
                for one in session.scalars(wanted.limit(200))
            ]

    @app.get("/v1/board")
    def board() -> dict[str, Any]:
        """All entries with their numbers and ranks, as in ``leaderboard/README.md``."""
        return _document(str(settings.board), Board(settings.board).head)


@lru_cache(maxsize=2)
def _document(folder: str, head: str) -> dict[str, Any]:
    from pathlib import Path

    from leaderboard.ranking import board_document

    return board_document(Board(Path(folder)), claimed=False)


def _open(database: Database, token: Token, digest: str, size: int) -> bool:
    """Whether there is something to receive; makes the submission when it is new.

    Raises:
        Refused: too many today, another size than before, or somebody else is uploading it.
    """
    import time

    try:
        with database.session() as session:
            found = session.get(Submission, digest)
            if found is None:
                wait = tokens.seconds_to_wait(session, token)
                if wait is not None:
                    raise HTTPException(
                        429, f"{token.per_day} submissions a day are allowed", {"Retry-After": f"{wait:.0f}"}
                    )
                now = time.time()
                session.add(
                    Submission(
                        id=digest,
                        token_id=token.id,
                        size=size,
                        status="receiving",
                        created=now,
                        updated=now,
                        attempts=0,
                    )
                )
                return True
            if found.token_id != token.id:
                raise Refused(409, "this bundle was submitted with another token")
            if found.status == "receiving" and found.size != size:
                raise Refused(409, f"this bundle was announced with {found.size} bytes")
            return found.status == "receiving"
    except SQLAlchemyError as error:
        # Two first requests at once: one of them made the submission.
        with database.session() as session:
            if session.get(Submission, digest) is not None:
                return True
        raise Refused(409, "the submission could not be made; try again") from error


def _complete(database: Database, digest: str) -> None:
    with database.session() as session:
        found = session.get(Submission, digest)
        if found is not None and found.status == "receiving":
            queue.enqueue(session, found)


def _state(database: Database, settings: Settings, token: Token, digest: str) -> State:
    with database.session() as session:
        found = session.get(Submission, digest)
    if found is None or found.token_id != token.id:
        raise HTTPException(404, "you have no such submission")
    return State(**found.to_json(received=_here(settings, found)))


def _here(settings: Settings, submission: Submission) -> int | None:
    return received(settings, submission.id) if submission.status == "receiving" else None
