"""Models in turns over batches: all at once where they fit into memory, else group after group.

Where they do not fit, prepared batches wait until they fill ``SPOOL`` bytes; then each group is opened and
answers for all of them. So every image is read, decoded and perturbed once however many models there are,
and a model is opened once for each fill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmark.memory import Fitting
from benchmark.track import Track, contained
from models_zoo.devices import Shared

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from benchmark.lineup import Entrant, Lineup
    from models_zoo.classifier import Answer

    Positions = NDArray[np.int64]

SPOOL = 2 * 2**30  # bytes
AHEAD = 4  # batches whose answers a GPU may owe; on a CPU they come at once


class Turns:
    """Takes batches, asks the models, hands the answers to the cells.

    Args:
        groups: models that are in memory together; more than one where not all fit.
        keep_logits: as in ``Options``.
        spool: bytes of batches that wait for the groups to take turns; None for ``SPOOL``.
    """

    def __init__(
        self,
        lineup: Lineup,
        groups: Sequence[Sequence[Entrant]],
        *,
        keep_logits: bool = False,
        spool: int | None = None,
    ) -> None:
        self.fitting = Fitting()
        # The models that came in last are in memory: their group begins.
        self._lineup, self._groups = lineup, [list(group) for group in reversed(groups)]
        self._keep_logits = keep_logits
        self._spool = SPOOL if spool is None else spool
        self._waiting: list[tuple[list[list[Track]], Shared, Positions]] = []
        self._size = 0
        self._owed: deque[Future[None]] = deque()
        # Answers of a GPU are scored beside the thread that keeps it busy; one thread, so in their order.
        self._scorer = ThreadPoolExecutor(1, thread_name_prefix="score")
        if len(self._groups) == 1:
            lineup.seat(self._groups[0])

    def take(self, models: list[list[Track]], batch: torch.Tensor, positions: Positions) -> None:
        """Answer for a batch, now or when its models have their turn.

        Args:
            models: the cells of each model.
            batch: uint8 (B, 3, h, w), on the CPU or on the models' device.
            positions: int64 (B,), the rows of the source.
        """
        if len(self._groups) <= 1:
            self._ask(models, Shared(batch), positions)
            return
        self._waiting.append((models, Shared(batch), positions))
        self._size += batch.nbytes
        if self._size > self._spool:
            self._round()

    def cost(self, entrant: Entrant) -> dict[str, float]:
        """What a reader may want to know of how a model ran: where it had to be cut, or was compiled."""
        cut, spent = self.fitting.largest(entrant), entrant.compile_seconds
        return {
            **({} if cut is None else {"batch_size": cut}),
            **({} if spent is None else {"compile_seconds": round(spent, 3)}),
        }

    def finish(self) -> None:
        """Answer for all that waits, and wait for all that is owed."""
        if self._waiting:
            self._round()
        self._settle(0)

    def close(self) -> None:
        """Ask nobody any more; what is being scored is waited for."""
        self._scorer.shutdown(cancel_futures=True)

    def _round(self) -> None:
        """Each group in turn; the last one begins the next round, since it is in memory."""
        for group in self._groups:
            self._lineup.seat(group)
            members = set(map(id, group))
            for models, batch, positions in self._waiting:
                own = [tracks for tracks in models if id(tracks[0].entrant) in members]
                self._ask(own, batch.afresh(), positions)
            self._settle(0)
        self._groups.reverse()
        self._waiting, self._size = [], 0

    def _ask(self, models: Sequence[list[Track]], batch: Shared, positions: Positions) -> None:
        for tracks in models:
            live = [track for track in tracks if track.failure is None]
            if not live:
                continue
            entrant = live[0].entrant
            with contained(live):
                entrant.make_ready(batch)
                answer = self.fitting.begin(entrant, batch)
                if entrant.gpu is not None:
                    self._owed.append(self._scorer.submit(self._hand_on, live, answer, positions))
                else:
                    self._hand_on(live, answer, positions)
            self._settle(AHEAD)

    def _hand_on(self, tracks: Sequence[Track], answer: Answer, positions: Positions) -> None:
        with contained(tracks):
            logits = answer()
            for track in tracks:
                with contained([track]):
                    track.take(logits, positions, keep_logits=self._keep_logits)

    def _settle(self, number: int) -> None:
        """Wait until no more than ``number`` of the answers are owed."""
        while len(self._owed) > number:
            self._owed.popleft().result()
