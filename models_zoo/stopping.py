"""Stop between two steps, never within one: half an update would be no state to go on from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked to stop (Ctrl-C, or a scheduler's SIGTERM)."""

    def __init__(self) -> None:
        self.asked = False

    def now(self) -> None:
        """Stop here, if asked to.

        Raises:
            KeyboardInterrupt
        """
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Within the block a signal to stop is remembered; a second one stops at once.

    Outside the main thread, where Python handles no signals, nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def remember(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {one: signal.getsignal(one) for one in _SIGNALS}
    for one, handler in before.items():
        if handler is not signal.SIG_IGN:  # of a program in the background, which must not hear Ctrl-C
            signal.signal(one, remember)
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler if handler is not None else signal.SIG_DFL)
