"""Passes as an array of Slurm jobs, by submitit: each job measures a share of the pieces on its node.

Jobs put the rows they measure into the results store as shards, so a job that ends early has lost one piece
at most; the driver waits, finishes the cells, and gives lost pieces out again. If the driver is gone, the
same command finds the shards and measures what is missing.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.executors import Previewed, setting
from benchmark.provenance import provenance
from benchmark.queueing import Queue
from shifts.errors import UserError

if TYPE_CHECKING:
    from benchmark.executors import Watch
    from benchmark.pieces import Piece
    from benchmark.planning import Plan
    from benchmark.result import Result
    from benchmark.runner import Options
    from benchmark.store import Store
    from benchmark.worker import Part

LOOK = 5.0  # seconds between two looks at the jobs
PIECES = 64  # of a job in one submission, about an hour's work; longer plans are submitted in rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """What ``--executor slurm`` takes."""

    partition: str | None = setting(None, "of the cluster; default its own")
    account: str | None = setting(None, "that is charged; default your own")
    time: int = setting(240, "minutes of a job")
    gpus: int = setting(0, "GPUs of a job")
    cpus: int = setting(4, "cores of a job")
    mem: int = setting(16, "GB of memory of a job")
    jobs: int = setting(16, "jobs of the array, which all may run at once")
    folder: str = setting("slurm-jobs", "for scripts and logs, on a path that all nodes share")
    cluster: str = setting("slurm", "slurm; local or debug run the jobs on this machine")
    dry_run: bool = setting(False, "print the script and the pieces of each job, submit nothing")


def run_on_slurm(
    plan: Plan, *, store: Store, options: Options, settings: SlurmSettings, watch: Watch
) -> Iterator[Result]:
    """Measure the passes of a plan by jobs of Slurm.

    Raises:
        UserError: Slurm is not on this machine.
        Previewed: a dry run; the message is the script and who would measure what.
    """
    here = provenance(device="", precision="")
    queue = Queue(
        plan, store=store, options=options, environment=here, workers=settings.jobs, executor="slurm"
    )
    missing = sum(len(work.cells) for work in plan.passes)
    try:
        while not queue.over:
            shares = _shares(queue, settings)
            if settings.dry_run:
                raise Previewed(preview(shares, settings))
            jobs = _submit(shares, store, options, here, settings) if shares else []
            if not shares:
                time.sleep(LOOK)  # the rest is being measured by another process
            for share, job in _as_done(jobs):
                _take(queue, share, job, store)
                while queue.results:
                    yield queue.results.popleft()
                left = sum(not job.done() for _, job in jobs)
                watch.show(0, f"{missing} evaluations in {left} jobs", *queue.evaluations)
            while queue.results:
                yield queue.results.popleft()
    finally:
        queue.close()


def measure_share(
    pieces: Sequence[Piece], *, store: Store, options: Options, environment: Mapping[str, Any]
) -> list[list[Part]]:
    """What a job does: measure its pieces, put the rows into the store; gives the parts without the rows.

    Args:
        environment: of the driver, but for the device.

    Raises:
        UserError: this node has other versions.
    """
    from benchmark.worker import Worker

    worker = Worker(options, node=platform.node())
    if provenance(device="", precision="") != environment:
        raise UserError(
            f"the node {worker.node!r} has other versions than the machine that submitted the jobs",
            hint="run both in the same environment, on a path that all nodes share",
        )
    given = []
    for piece in pieces:
        parts = worker.measure(piece)
        for part in parts:
            for start, _, data in part.shards:
                store.put_shard(part.folder, start, data)
        given.append([dataclasses.replace(part, shards=()) for part in parts])
    return given


def _shares(queue: Queue, settings: SlurmSettings) -> list[list[Piece]]:
    """Pieces for each job, neighbours together, so that a job opens few models."""
    pieces: list[Piece] = []
    while len(pieces) < PIECES * settings.jobs and (piece := queue.next()) is not None:
        pieces.append(piece)
    jobs = min(settings.jobs, len(pieces))
    edges = [len(pieces) * number // jobs for number in range(jobs + 1)] if jobs else [0]
    return [pieces[start:stop] for start, stop in pairwise(edges)]


def _submit(
    shares: Sequence[Sequence[Piece]],
    store: Store,
    options: Options,
    environment: Mapping[str, Any],
    settings: SlurmSettings,
) -> list[tuple[Sequence[Piece], Any]]:
    import submitit

    try:
        executor = submitit.AutoExecutor(settings.folder, cluster=settings.cluster)
    except RuntimeError as error:
        raise UserError(
            f"no jobs can be submitted from here: {error}",
            hint="run it on a login node of the cluster; -x dry-run prints what would be submitted",
        ) from error
    executor.update_parameters(
        name="robustbench-shift",
        timeout_min=settings.time,
        cpus_per_task=settings.cpus,
        gpus_per_node=settings.gpus,
        mem_gb=settings.mem,
        slurm_array_parallelism=settings.jobs,
        **{f"slurm_{name}": value for name, value in _named(settings).items()},
    )
    with executor.batch():
        jobs = [
            executor.submit(measure_share, list(share), store=store, options=options, environment=environment)
            for share in shares
        ]
    return list(zip(shares, jobs, strict=True))


def _as_done(jobs: Sequence[tuple[Sequence[Piece], Any]]) -> Iterator[tuple[Sequence[Piece], Any]]:
    left = list(jobs)
    while left:
        done = [pair for pair in left if pair[1].done()]
        left = [pair for pair in left if pair not in done]
        yield from done
        if left and not done:
            time.sleep(LOOK)


def _take(queue: Queue, share: Sequence[Piece], job: Any, store: Store) -> None:
    """Keep what a job gave; of one that is gone, what it had put into the store."""
    for folder in {cell.folder for piece in share for cell in piece.cells}:
        store.collect(folder)
    try:
        given = job.result()
    except Exception as error:  # noqa: BLE001 - whatever ended the job, its pieces are given out again
        said = str(error).strip().splitlines()
        for piece in share:
            queue.lost(piece, said[-1] if said else type(error).__name__)
        return
    for piece, parts in zip(share, given, strict=True):
        queue.take(piece, parts)


def preview(shares: Sequence[Sequence[Piece]], settings: SlurmSettings) -> str:
    """The script that would be submitted, and what each of its jobs would measure."""
    from submitit.slurm.slurm import _make_sbatch_string

    script = _make_sbatch_string(
        command=f"{sys.executable} -u -m submitit.core._submit {Path(settings.folder).absolute()}",
        folder=Path(settings.folder).absolute(),
        job_name="robustbench-shift",
        time=settings.time,
        cpus_per_task=settings.cpus,
        gpus_per_node=settings.gpus or None,
        mem=f"{settings.mem}GB",
        array_parallelism=settings.jobs,
        map_count=len(shares),
        **_named(settings),
    )
    lines = [
        f"job {number}: {piece.source}/{piece.split}, rows {piece.rows[0]} to {piece.rows[-1]}, "
        f"{len(piece.cells)} evaluations of {', '.join(dict.fromkeys(_models(piece)))}"
        for number, share in enumerate(shares)
        for piece in share
    ]
    return "\n".join([script, *lines])


def _models(piece: Piece) -> Iterator[str]:
    return (cell.contestant.spec.name for cell in piece.cells)


def _named(settings: SlurmSettings) -> dict[str, Any]:
    given = {"partition": settings.partition, "account": settings.account}
    return {name: value for name, value in given.items() if value is not None}
