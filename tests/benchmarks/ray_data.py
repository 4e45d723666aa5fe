"""Pieces of work on a Ray cluster against Ray Data, both on the same two cores.

``python tests/benchmarks/ray_data.py [--work photographs|cifar10] [--networks 1|2] [--turns N] [--smoke]
[--json FILE]`` evaluates one network, then two in one go, on photographs of ImageNet (MobileNetV3-L,
MobileNetV2) or on the JPEG images of CIFAR-10 (ResNet-20, ResNet-32). Turn by turn, each beginning with a Ray
of its own that is up:

- ``one process``: a pass of this program, without Ray;
- ``pieces``: ``--executor ray`` with two workers of one core;
- ``Ray Data, in actors | in tasks | from files``: the pipelines of ``ray_pipeline.py`` with two actors.

All do the same work, from files to a file of predictions for each network; only this program computes metrics
with intervals as well. The best of the turns counts. ``ms an image`` is what each further image costs: the
difference between all images and a few (two blocks), so nobody's start is in it. ``start`` is the rest:
actors, imports, networks. ``core ms`` is processor time of all processes likewise, which neighbours disturb
less. ``agreement`` is the part of the predicted classes that are those of one process, ``files that differ``
counts files of predictions that are not those of the pieces byte for byte; where torch has another number of
threads, as in one process, the last bits of a logit may be others.

Images and weights are those of ``ROBUSTBENCH_SHIFT_TEST_DATA`` where they are, else made up.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import ray_pipeline
from tests.benchmarks.common import ROOT, Limit, compiled, finish, parser
from tests.benchmarks.evaluation import jpegs
from tests.benchmarks.grid import weights_in
from tests.benchmarks.photographs import SHIFT, random_weights, validation_set
from tests.benchmarks.ray_pipeline import Job

CORES = 2
ONE, PIECES = "one process", "pieces"
PIPELINES = {
    "Ray Data, in actors": ray_pipeline.in_actors,
    "Ray Data, in tasks": ray_pipeline.in_tasks,
    "Ray Data, from files": ray_pipeline.from_files,
}
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TMPDIR": "/tmp",  # a socket's path may have no more than 107 characters
    "RAY_worker_niceness": "0",  # workers would give way to whatever else runs, which one process does not
}
LOOK = 0.2  # seconds between two looks at what processes have spent
AGREEMENT = 0.999  # one core and two sum in different orders


class Spent:
    """Seconds of the clock and of processors, of this process and all below it, that a block takes."""

    def __init__(self) -> None:
        self.seconds = self.cores = 0.0
        self._below: dict[int, float] = {}  # by process
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look_again)

    def __enter__(self) -> Spent:
        self._before, self._start = self._so_far(), time.perf_counter()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self._over.set()
        self._watch.join()
        self.cores = self._so_far() - self._before

    def _look_again(self) -> None:
        while not self._over.wait(LOOK):
            self._so_far()

    def _so_far(self) -> float:
        """Of a worker that has been ended nobody knows any more: what it was seen to have spent counts."""
        import psutil  # Ray brings it

        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                times = process.cpu_times()
                self._below[process.pid] = times.user + times.system
        return time.process_time() + sum(self._below.values())


class Quiet:
    """Shows nothing of a run but what is wrong."""

    def show(self, bar: int, description: str, done: int, total: int | None) -> None:
        pass

    def notice(self, sentence: str) -> None:
        print(sentence, file=sys.stderr)


@contextmanager
def ray_of_its_own() -> Iterator[None]:
    """A Ray on this machine with two cores, whose idle processes are there and have imported nothing."""
    import ray
    import ray.data

    ray.init(
        num_cpus=CORES,
        object_store_memory=400 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    here = ray.remote(lambda: os.getpid())
    ray.get([here.remote() for _ in range(2 * CORES)])
    try:
        yield
    finally:
        ray.shutdown()


class Contest:
    """The ways to do a job, and the files that each left last."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.files: dict[str, list[Path]] = {}
        self._turn = 0

    def figures(self, few: int, repeats: int) -> dict[str, dict[str, float]]:
        """Rows of the table.

        Args:
            few: images that are enough for a start; 0 charges all to the images.
        """
        ways, sizes = self._ways(), [size for size in (few, self.job.number) if size]
        spent: dict[tuple[str, int], list[Spent]] = {(name, 0): [Spent()] for name in ways}
        for name in list(ways)[:3] if few else ():  # warm up: bytecode
            self._measured(name, ways[name], few)
        for _ in range(repeats):
            for name, do in ways.items():
                for size in sizes:
                    spent.setdefault((name, size), []).append(self._measured(name, do, size))
        return {name: self._row(name, few, spent[name, few], spent[name, self.job.number]) for name in ways}

    def _row(self, name: str, few: int, start: list[Spent], whole: list[Spent]) -> dict[str, float]:
        from benchmark.predictions import read_predictions

        further = self.job.number - few
        seconds, begun = min(one.seconds for one in whole), min(one.seconds for one in start)
        cores = min(one.cores for one in whole) - min(one.cores for one in start)
        each = (seconds - begun) / further
        here, pieces = (list(zip(self.files[of], self.files[name], strict=True)) for of in (ONE, PIECES))
        classes = [[read_predictions(path).prediction for path in pair] for pair in here]
        return {
            "seconds": seconds,
            "start": max(begun - few * each, 0.0),
            "ms an image": 1000 * each,
            "core ms": 1000 * cores / further,
            "agreement": float(np.mean([one == other for one, other in classes])),
            "files that differ": sum(one.read_bytes() != other.read_bytes() for one, other in pieces),
        }

    def _ways(self) -> dict[str, Callable[[Job], list[Path]]]:
        """By name, what does a job and gives its files of predictions."""
        from benchmark.executors import Here
        from benchmark.ray_executor import RaySettings

        workers = RaySettings(workers=self.job.actors, cpus=1)
        return {
            ONE: partial(self._executed, "local", Here()),
            PIECES: partial(self._executed, "ray", workers),
            **{name: partial(self._piped, make) for name, make in PIPELINES.items()},
        }

    def _measured(self, name: str, do: Callable[[Job], list[Path]], size: int) -> Spent:
        job = replace(self.job, number=size, files=self.job.files / str(size))
        with nullcontext() if name == ONE else ray_of_its_own(), Spent() as spent:
            self.files[name] = do(job)
        print(f"{name}, {size}: {spent.seconds:.1f} s, {spent.cores:.1f} core s", file=sys.stderr)
        return spent

    def _executed(self, executor: str, settings: object, job: Job) -> list[Path]:
        from benchmark.executors import EXECUTORS
        from benchmark.planning import contestant, plan
        from benchmark.runner import Options
        from benchmark.store import PREDICTIONS, Store
        from models_zoo.spec import MODELS
        from shifts.registry import resolve
        from shifts.spec import SHIFTS

        self._turn += 1
        store = Store(self.folder / f"results-{self._turn}")
        entered = [contestant(MODELS.get(name), weights=weights) for name, weights in job.models]
        spec = SHIFTS.get(job.shift).limited(job.number)
        work = plan(entered, [spec], store=store, data_dir=job.data_dir)
        options = Options(device="cpu", batch_size=job.block, data_dir=job.data_dir, image_cache=False)
        run = resolve(EXECUTORS.get(executor).run)
        for result in run(work, store=store, options=options, settings=settings, watch=Quiet()):
            assert (result.status, result.n) == ("ok", job.number), result.error
        return [cell.folder / PREDICTIONS for cell in work.cells]

    def _piped(self, make: Callable[[Job], Any], job: Job) -> list[Path]:
        from benchmark.predictions import read_header, to_table, write_parquet

        self._turn += 1
        whole = ray_pipeline.collected(make(job))
        assert len(whole["row"]) == job.number, "nothing is lost"
        files = []
        for place, like in enumerate(self.files[PIECES]):
            mark = f"{place} "
            columns = {
                name.removeprefix(mark): values for name, values in whole.items() if name.startswith(mark)
            }
            files.append(self.folder / f"piped-{self._turn}-{place}.parquet")
            write_parquet(files[-1], [to_table(columns, read_header(like))])
        return files


def photographs(folder: Path, number: int) -> Job:
    """Networks whose images are resized and cropped alike."""
    data_dir = validation_set(folder, number)
    names = ("torchvision:mobilenet_v3_large", "torchvision:mobilenet_v2")
    models = tuple((name, random_weights(name, folder)) for name in names)
    return Job(
        shift=SHIFT, data_dir=data_dir, models=models, number=number, block=64, files=folder / "photographs"
    )


def cifar10(folder: Path, number: int) -> Job:
    """Small images: what is done beside the networks weighs more."""
    from shifts.catalogue import add

    shift, data_dir, weights = "cifar10-jpeg75", folder / "data", weights_in(folder)
    add(shift, jpegs(folder, 10_000), partial=False, data_dir=data_dir)
    models = tuple((f"cifar10-resnet{layers}", weights[layers]) for layers in (20, 32))
    return Job(
        shift=shift, data_dir=data_dir, models=models, number=number, block=256, files=folder / "cifar10"
    )


WORKS = {"photographs": (photographs, 1024), "cifar10": (cifar10, 6144)}


def with_files(job: Job, few: int) -> None:
    """Put the images into files of their own, for Ray Data to read."""
    for number in {few, job.number} - {0}:
        shift = ray_pipeline.chosen(replace(job, number=number))
        (job.files / str(number)).mkdir(parents=True)
        for row, position in enumerate(shift.position.tolist()):
            target = job.files / str(number) / f"{row:05d}.jpg"
            target.write_bytes(bytes(shift.base.payloads[position]))


def measure(name: str, folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Rows of a work, with one network and with two."""
    make, number = WORKS[name]
    job = make(folder, 8 if chosen.smoke else number)
    job, few = (replace(job, block=4, actors=1), 0) if chosen.smoke else (job, 2 * job.block)
    with_files(job, few)
    found: dict[str, dict[str, float]] = {}
    for models in (2,) if chosen.smoke else chosen.networks:
        some = replace(job, models=job.models[:models])
        rows = Contest(some, folder / f"{name}-{models}").figures(few, 1 if chosen.smoke else chosen.turns)
        for way, figures in rows.items():
            beside = {"of pieces": figures["ms an image"] / rows[PIECES]["ms an image"]}
            found[f"{name}, {models}: {way}"] = {**figures, **beside}
    return found


def main() -> int:
    """Measure, print, and say by the exit code whether all predict the same."""
    known = parser(__doc__, smoke="two networks on 8 photographs, once")
    known.add_argument("--work", nargs="+", choices=tuple(WORKS), default=list(WORKS))
    known.add_argument("--networks", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    known.add_argument("--turns", type=int, default=3)
    chosen = known.parse_args()
    if find_spec("ray") is None:
        print("Ray is not installed (pip install 'robustbench-shift[ray]'): nothing is measured")
        return finish({}, {}, chosen)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(ENVIRONMENT, ROBUSTBENCH_SHIFT_CACHE=f"{scratch}/cache")
        if not chosen.smoke:
            os.environ.update(compiled(Path(scratch)))
        for name in chosen.work[:1] if chosen.smoke else chosen.work:
            found |= measure(name, Path(scratch), chosen)
    limits = {(row, "agreement"): Limit(at_least=AGREEMENT) for row in found}
    return finish(found, limits, chosen)


if __name__ == "__main__":
    sys.exit(main())
