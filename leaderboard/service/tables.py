"""The database: tokens and submissions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Status = Literal["receiving", "queued", "verifying", "accepted", "flagged", "rejected", "error"]
FINAL: tuple[Status, ...] = ("accepted", "flagged", "rejected", "error")


class Base(DeclarativeBase):
    """Declares the tables."""


class Token(Base):
    """Who may upload; the secret itself is never stored."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    per_day: Mapped[int]
    created: Mapped[float]
    revoked: Mapped[float | None]


class Submission(Base):
    """A bundle on its way to the board. Times are seconds since 1970.

    Attributes:
        id: SHA-256 of the file, which makes an upload idempotent.
        lease_until: until when ``worker`` is believed to be alive.
        entry: id on the board, once accepted.
    """

    __tablename__ = "submissions"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), index=True)
    size: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), index=True)
    created: Mapped[float] = mapped_column(index=True)
    updated: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[float | None]
    entry: Mapped[str | None] = mapped_column(String(300))
    message: Mapped[str | None] = mapped_column(String(2000))
    report: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    def to_json(self, *, received: int | None = None) -> dict[str, Any]:
        """What a client is told."""
        return {
            "id": self.id,
            "status": self.status,
            "final": self.status in FINAL,
            "size": self.size,
            "received": self.size if received is None else received,
            "created": _iso(self.created),
            "updated": _iso(self.updated),
            "entry": self.entry,
            "message": self.message,
            "report": self.report,
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
