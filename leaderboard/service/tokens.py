"""Tokens: made once, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from leaderboard.service.tables import Submission, Token
from shifts.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PREFIX = "rbs_"
PER_DAY = 20
DAY = 86_400.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,99}")


def create(session: Session, name: str, *, per_day: int = PER_DAY) -> str:
    """A new token; the only time that its secret is seen.

    Raises:
        UserError: the name is taken or not one.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a token", hint="letters, digits and . _ @ -, at most 100")
    if session.scalar(select(Token).where(Token.name == name)) is not None:
        raise UserError(f"there is a token {name!r} already", hint="revoke it, or choose another name")
    secret = PREFIX + secrets.token_urlsafe(32)
    session.add(Token(name=name, hash=_hash(secret), per_day=per_day, created=time.time(), revoked=None))
    return secret


def revoke(session: Session, name: str) -> None:
    """Let a token open nothing any more.

    Raises:
        UserError: there is none of that name.
    """
    token = session.scalar(select(Token).where(Token.name == name))
    if token is None:
        raise UserError(f"there is no token {name!r}", hint="robustbench-shift leaderboard token list")
    token.revoked = token.revoked or time.time()


def holder(session: Session, secret: str) -> Token | None:
    """Whose token it is; None for an unknown or revoked one."""
    # 256 random bits: a plain hash tells nothing, and looking it up by value leaks no more than "unknown".
    token = session.scalar(select(Token).where(Token.hash == _hash(secret)))
    return None if token is None or token.revoked is not None else token


def seconds_to_wait(session: Session, token: Token) -> float | None:
    """Until the token may submit again; None when it may now."""
    since = time.time() - DAY
    recent = select(Submission.created).where(Submission.token_id == token.id, Submission.created > since)
    count = session.scalar(select(func.count()).select_from(recent.subquery())) or 0
    if count < token.per_day:
        return None
    oldest = session.scalars(recent.order_by(Submission.created)).first()
    return DAY if oldest is None else max(oldest - since, 1.0)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
