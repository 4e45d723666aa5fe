"""The workers on a Ray cluster: started, greeted, given pieces, replaced when they are gone."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from benchmark.ray_actor import Actor, Wanted
from models_zoo.weights import COMPANIONS
from shifts.errors import UserError, WeightsError
from shifts.local import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmark.pieces import Piece
    from benchmark.queueing import Queue
    from benchmark.runner import Options
    from benchmark.worker import Greeting, Part, Split

IN_FLIGHT = 2  # pieces that a worker has: one at work, one waiting
SHIPPED = 32  # weights files that are kept in the object store for workers that do not see them


@dataclass(slots=True, eq=False)
class Member:
    """A worker that may be used.

    Attributes:
        lacking: images that its machine cannot give, with the reason.
        group: whose models it holds.
        flying: what it was given and has not answered, the first being at work.
    """

    actor: Any
    node: str
    lacking: Mapping[Split, str]
    group: int | None = None
    flying: deque[tuple[Any, Piece]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What became of a piece: its parts, or why it failed (``begun``: the worker was at work on it)."""

    piece: Piece
    parts: list[Part] | None = None
    lost: str | None = None
    error: Exception | None = None
    begun: bool = True

    def into(self, queue: Queue) -> None:
        """Tell the queue."""
        if self.parts is not None:
            queue.take(self.piece, self.parts)
        elif self.error is not None:
            queue.refuse(self.piece, self.error)
            queue.take(self.piece, [])
        elif self.begun:
            queue.lost(self.piece, self.lost or "")
        else:
            queue.again(self.piece)


class Fleet:
    """The workers of a run.

    Args:
        number: how many are wanted.
        cpus, gpus: of each.
        contents: content digests of the images, by source and split.

    Attributes:
        workers: those that may be given pieces.
        environment: of the first; the others must have the same.
        dismissed: why workers were not used.
    """

    def __init__(
        self,
        number: int,
        *,
        cpus: int,
        gpus: float,
        options: Options,
        contents: Mapping[Split, str],
        notice: Callable[[str], None],
    ) -> None:
        self.number, self.contents = number, contents
        self.workers: list[Member] = []
        self.environment: Mapping[str, Any] | None = None
        self.dismissed: list[str] = []
        self._cpus, self._gpus = cpus, gpus
        self._options, self._notice = options, notice
        self._coming: dict[Any, Any] = {}
        self._told: set[tuple[str, str]] = set()
        self._shipped: dict[str, Any] = {}
        self._kind: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0)(Actor)
        for _ in range(number):
            self._start()

    @property
    def coming(self) -> int:
        """Workers that have been asked for and have not answered."""
        return len(self._coming)

    def wants(self) -> str:
        """What the cluster was asked for, in words."""
        return f"{self.number} workers with {self._cpus} cores and {self._gpus:g} GPUs each"

    def idle(self) -> list[Member]:
        """Workers that may be given a piece, those with nothing to do first."""
        free = [worker for worker in self.workers if len(worker.flying) < IN_FLIGHT]
        return sorted(free, key=lambda worker: len(worker.flying))

    def send(self, worker: Member, piece: Piece) -> None:
        """Give a worker a piece."""
        worker.group = piece.group
        digests = {str(cell.contestant.weights_digest) for cell in piece.cells}
        shipped = {one: self._shipped[one] for one in digests if one in self._shipped}
        worker.flying.append((worker.actor.measure.remote(piece, shipped), piece))

    def wait(self, seconds: float) -> list[Back]:
        """What came back, waiting a while for the first."""
        owners = {ref: worker for worker in self.workers for ref, _ in worker.flying}
        refs = [*self._coming, *owners]
        if not refs:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        if not ready:
            ready, _ = ray.wait(refs, num_returns=1, timeout=seconds)
        back: list[Back] = []
        for ref in ready:
            if ref in self._coming:
                self._welcome(ref)
            elif owners[ref] in self.workers:
                back += self._answered(owners[ref], ref)
        return back

    def close(self) -> None:
        """End all workers."""
        for actor in (*self._coming.values(), *(worker.actor for worker in self.workers)):
            _end(actor)
        self.workers, self._coming = [], {}

    def _start(self) -> None:
        places = [str(Path(place).absolute()) for place in sys.path]
        forbidden = {name: os.environ[name] for name in OFFLINE if name in os.environ}
        actor = self._kind.remote(self._options, places, forbidden)
        self._coming[actor.greet.remote(dict(self.contents))] = actor

    def _welcome(self, ref: Any) -> None:
        actor = self._coming.pop(ref)
        try:
            greeting: Greeting = ray.get(ref)
        except RayError as error:
            self._dismiss(actor, f"a worker did not start: {_said(error)}")
            return
        if differs := self._difference(greeting):
            self._dismiss(actor, f"the node {greeting.node!r} has {differs}")
            return
        self.environment = self.environment or greeting.environment
        self.workers.append(Member(actor, greeting.node, greeting.lacking))
        for split, why in greeting.lacking.items():
            if (greeting.node, split[0]) not in self._told:
                self._told.add((greeting.node, split[0]))
                self._notice(f"the node {greeting.node!r} does not measure on {split[0]}: {why}")

    def _difference(self, greeting: Greeting) -> str:
        """What may move a number and is not as it is here (versions), or on the other nodes (the device)."""
        from benchmark.provenance import provenance

        here = provenance(device="", precision="")
        wanted = {**here, "device": greeting.environment["device"], **(self.environment or {})}
        for name, value in greeting.environment.items():
            expected = wanted[name]
            if value != expected:
                if isinstance(value, dict) and isinstance(expected, dict):
                    names = sorted({*value, *expected})
                    name = next(one for one in names if value.get(one) != expected.get(one))
                    value, expected = value.get(name), expected.get(name)
                return f"{name} {value}, not {expected}"
        return ""

    def _dismiss(self, actor: Any, why: str) -> None:
        _end(actor)
        self.dismissed.append(why)
        self._notice(f"a worker is not used: {why}")

    def _answered(self, worker: Member, ref: Any) -> list[Back]:
        place = next(number for number, (one, _) in enumerate(worker.flying) if one == ref)
        _, piece = worker.flying[place]
        try:
            found = ray.get(ref)
        except RayTaskError as error:
            del worker.flying[place]
            return [Back(piece=piece, error=error.cause if isinstance(error.cause, UserError) else error)]
        except RayError as error:
            return self._lost(worker, _said(error))
        del worker.flying[place]
        if isinstance(found, Wanted):
            try:
                self._ship(piece, found)
            except (UserError, OSError) as error:
                return [Back(piece=piece, error=error)]
            self.send(worker, piece)
            return []
        return [Back(piece=piece, parts=found)]

    def _ship(self, piece: Piece, wanted: Wanted) -> None:
        """Put weights into the object store for machines that do not see the driver's files."""
        files = {str(cell.contestant.weights_digest): cell.contestant.weights for cell in piece.cells}
        for one in wanted.weights:
            path = files[one]
            assert path is not None, "asked for by its digest"
            if any(path.name.endswith(ending) for ending in COMPANIONS):
                raise WeightsError(
                    f"{path} is one of several files, which a node does not see",
                    hint="put weights of several files on a path that all nodes share",
                )
            while len(self._shipped) >= SHIPPED:
                del self._shipped[next(iter(self._shipped))]
            self._shipped[one] = ray.put(path.read_bytes())

    def _lost(self, worker: Member, why: str) -> list[Back]:
        """A worker is gone, or cannot be reached: end it for good, ask for another one."""
        self.workers.remove(worker)
        _end(worker.actor)
        self._start()
        self._notice(f"a worker on {worker.node!r} is gone: its work is given out again ({why})")
        return [
            Back(piece=piece, lost=why, begun=place == 0) for place, (_, piece) in enumerate(worker.flying)
        ]


def _end(actor: Any) -> None:
    with suppress(RayError, ValueError):
        ray.kill(actor, no_restart=True)


def _said(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
