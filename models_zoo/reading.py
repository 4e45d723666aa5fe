"""What the loading of one model was asked to do with its weights file, and what it has to say about it.

Loaders of all families read weights through ``load_state_dict`` and ``load_into``. These two learn here how
to read, so that every family, a plug-in's too, can leave something out or take averaged weights, and none
has to pass the wish on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from models_zoo.spec import Reading


@dataclass(slots=True, kw_only=True)
class Session:
    """One loading.

    Attributes:
        notes: what a reader of the result has to know.
        left_out: names of the network's own tensors that got no value from the file.
    """

    reading: Reading = field(default_factory=Reading)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


_current: ContextVar[Session | None] = ContextVar("reading", default=None)


@contextmanager
def reading(how: Reading) -> Iterator[Session]:
    """Weights read in the block are read like this."""
    session = Session(reading=how)
    token = _current.set(session)
    try:
        yield session
    finally:
        _current.reset(token)


def session() -> Session:
    """The loading that is going on; outside of one, what is said is lost."""
    return _current.get() or Session()
