"""The queue of verifications: every step is one transaction, so that a kill at any point loses nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select, update

from leaderboard.service.tables import Status, Submission

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from leaderboard.service.database import Database
    from leaderboard.service.settings import Settings


def enqueue(session: Session, submission: Submission) -> None:
    """A bundle is complete: it waits for a worker."""
    submission.status, submission.updated = "queued", time.time()


def claim(database: Database, worker: str, settings: Settings) -> Submission | None:
    """The oldest submission that waits, or whose worker has died; None when there is nothing to do.

    The update names the state that was read, so of two workers only one gets it.
    """
    now = time.time()
    waiting = or_(
        Submission.status == "queued",
        and_(Submission.status == "verifying", Submission.lease_until < now),
    )
    with database.session() as session:
        found = session.scalars(
            select(Submission).where(waiting).order_by(Submission.created).limit(1)
        ).first()
        if found is None:
            return None
        seen = and_(
            Submission.id == found.id,
            Submission.status == found.status,
            Submission.attempts == found.attempts,
        )
        if found.attempts >= settings.attempts:
            given_up = f"the verification died {found.attempts} times; an administrator has to look"
            session.execute(update(Submission).where(seen).values(**_end("error", message=given_up)))
            return None
        result: CursorResult[Any] = session.execute(  # type: ignore[assignment]  # an update gives a cursor
            update(Submission)
            .where(seen)
            .values(
                status="verifying",
                worker=worker,
                attempts=found.attempts + 1,
                lease_until=now + settings.lease,
                updated=now,
            )
            .execution_options(synchronize_session=False)
        )
        claimed = result.rowcount == 1
    if not claimed:
        return None
    with database.session() as session:
        return session.get(Submission, found.id)


def renew(database: Database, submission: str, worker: str, settings: Settings) -> bool:
    """A sign of life; False when another worker has taken over."""
    return _change(database, submission, worker, {"lease_until": time.time() + settings.lease})


def finish(
    database: Database,
    submission: str,
    worker: str,
    status: Status,
    *,
    entry: str | None = None,
    message: str | None = None,
    report: dict[str, Any] | None = None,
) -> bool:
    """Note the outcome; False when another worker has taken over, whose outcome counts."""
    return _change(database, submission, worker, _end(status, entry=entry, message=message, report=report))


def give_back(database: Database, submission: str, worker: str) -> None:
    """The worker stops: the next one goes on at once, and nobody died."""
    with database.session() as session:
        found = session.get(Submission, submission)
        if found is not None and found.worker == worker and found.status == "verifying":
            found.status, found.attempts, found.updated = "queued", found.attempts - 1, time.time()


def _change(database: Database, submission: str, worker: str, values: dict[str, Any]) -> bool:
    mine = and_(Submission.id == submission, Submission.worker == worker, Submission.status == "verifying")
    with database.session() as session:
        result: CursorResult[Any] = session.execute(update(Submission).where(mine).values(**values))  # type: ignore[assignment]  # an update gives a cursor
        return result.rowcount == 1


def _end(
    status: Status,
    *,
    entry: str | None = None,
    message: str | None = None,
    report: dict[str, Any] | None = None,
) -> dict[str, Any]:
    short = None if message is None else message[:2000]
    return {
        "status": status,
        "entry": entry,
        "message": short,
        "report": report,
        "lease_until": None,
        "updated": time.time(),
    }
