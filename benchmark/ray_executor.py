"""Passes on a Ray cluster: actors that hold models are given pieces, the driver keeps what they answer.

Tasks by hand, not Ray Data: a piece answers for many cells at once, in batches of a fixed composition, and
each of its models fails alone; a data pipeline orders, splits and retries blocks by rules of its own. It
is not faster either (``tests/benchmarks/ray_data.py``).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray

from benchmark.executors import setting
from benchmark.queueing import Queue, WorkerLostError
from benchmark.ray_fleet import Fleet
from shifts.errors import UserError

if TYPE_CHECKING:
    from benchmark.executors import Watch
    from benchmark.planning import Plan
    from benchmark.result import Result
    from benchmark.runner import Options
    from benchmark.store import Store

LOOK = 1.0  # seconds between two looks at the cluster while nothing comes back
SAY = 30.0  # seconds without a worker after which the user is told
GIVE_UP = 600.0  # seconds without a worker after which the rest fails


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """What ``--executor ray`` takes."""

    address: str | None = setting(
        None,
        "of the cluster; default RAY_ADDRESS, or the one that runs here, or one started here",
    )
    workers: int | None = setting(None, "how many; default as many as the cluster has room for")
    cpus: int | None = setting(None, "cores of a worker; default its share of a node")
    gpus: float | None = setting(None, "GPUs of a worker; default 1 where the cluster has any, else 0")


def run_on_ray(
    plan: Plan, *, store: Store, options: Options, settings: RaySettings, watch: Watch
) -> Iterator[Result]:
    """Measure the passes of a plan on a cluster.

    Raises:
        UserError: no cluster, or none of its workers may be used; says why.
    """
    contents = {(work.source, work.split): work.cells[0].content for work in plan.passes}
    with cluster(settings.address):
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # ray leaves it so
        cpus, gpus, number = shape(nodes, settings)
        if options.workers is None and gpus:
            options = replace(options, workers=max(cpus - 1, 1))
        fleet = Fleet(number, cpus=cpus, gpus=gpus, options=options, contents=contents, notice=watch.notice)
        try:
            yield from _run(plan, fleet, store=store, options=options, watch=watch)
        finally:
            fleet.close()


def _run(plan: Plan, fleet: Fleet, *, store: Store, options: Options, watch: Watch) -> Iterator[Result]:
    environment = _first(fleet, watch)
    queue = Queue(
        plan,
        store=store,
        options=options,
        environment=environment,
        workers=fleet.number,
        executor="ray",
    )
    still, missing = time.monotonic(), sum(len(work.cells) for work in plan.passes)
    try:
        while not queue.over:
            for worker in fleet.idle():
                piece = queue.next(holds=worker.group, lacking=worker.lacking)
                if piece is not None:
                    fleet.send(worker, piece)
            while queue.results:
                yield queue.results.popleft()
            watch.show(0, f"{missing} evaluations on {_busy(fleet)}", *queue.evaluations)
            for back in fleet.wait(LOOK):
                back.into(queue)
            if any(worker.flying for worker in fleet.workers):
                still = time.monotonic()
            elif not fleet.coming or time.monotonic() - still > GIVE_UP:
                _refuse_unusable(queue, fleet)
    finally:
        queue.close()
    while queue.results:
        yield queue.results.popleft()


_LATER = "see `ray status`; the same command measures what is missing"


def _busy(fleet: Fleet) -> str:
    at_work = sum(bool(worker.flying) for worker in fleet.workers)
    return f"{at_work} of {fleet.number} workers"


def _refuse_unusable(queue: Queue, fleet: Fleet) -> None:
    """Let the cells fail whose images no worker has, and all where there is no worker and none comes."""
    usable = {split for worker in fleet.workers for split in fleet.contents if split not in worker.lacking}
    reasons = [reason for worker in fleet.workers for reason in worker.lacking.values()]
    why = (*reasons, *fleet.dismissed, "no worker of the Ray cluster is left")[0]
    queue.fail_rest(WorkerLostError(why, hint=_LATER), unless=usable)


def _first(fleet: Fleet, watch: Watch) -> Mapping[str, Any]:
    """Wait for the first worker; its environment is everyone's.

    Raises:
        UserError: no worker may be used, or none came.
    """
    start, told = time.monotonic(), False
    while not fleet.workers:
        fleet.wait(LOOK)
        waited = time.monotonic() - start
        if (not fleet.coming or waited > GIVE_UP) and not fleet.workers:
            why = "; ".join(dict.fromkeys(fleet.dismissed)) or f"no worker came within {GIVE_UP:.0f} s"
            raise UserError(f"no worker of the Ray cluster can be used: {why}", hint=_ALIKE)
        if waited > SAY and not told:
            watch.notice(f"waiting for the Ray cluster: {fleet.wants()}; see `ray status`")
            told = True
    assert fleet.environment is not None, "set by the first worker"
    return fleet.environment


_ALIKE = "install the same versions on all nodes; workers need room for what `-x cpus=` and `-x gpus=` ask"


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A connection to a cluster: the one there is, the one at the address, or one started on this machine.

    Raises:
        UserError: nobody answers at the address.
    """
    # Ray says on stdout when a worker is gone; there is nothing but results.
    with redirect_stdout(sys.stderr):
        if ray.is_initialized():
            yield
            return
        _connect(address)
        try:
            yield
        finally:
            ray.shutdown()


def _connect(address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster at {address or 'RAY_ADDRESS'}: {str(error).splitlines()[0]}",
            hint="start one (ray start --head), or leave the address out",
        ) from error


def shape(nodes: list[dict[str, Any]], settings: RaySettings) -> tuple[int, float, int]:
    """Cores and GPUs of a worker, and how many workers there is room for.

    Without settings: a worker for each GPU with its share of the node's cores; without GPUs one for each node
    with all cores of the smallest, since torch uses them all.
    """
    rooms = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpus = [room for room in rooms if room.get("GPU", 0) >= 1]
    gpus = settings.gpus if settings.gpus is not None else float(bool(with_gpus))
    hosts = [room for room in (with_gpus if gpus else rooms) if room.get("CPU", 0) >= 1]
    shares = [room["CPU"] / (room["GPU"] / gpus if gpus else 1) for room in hosts]
    cpus = settings.cpus or max(int(min(shares, default=1)), 1)
    fits = [min(room["CPU"] // cpus, room["GPU"] // gpus if gpus else room["CPU"]) for room in hosts]
    return cpus, gpus, settings.workers or max(int(sum(fits)), 1)
