"""Time the corruptions on a device beside the CPU, and count the values in which they differ.

    python tests/benchmarks/corruptions_device.py [--device cuda] [--images 256] [--side 224]

A rate is images a second, the mean of the times of severities 1 to 5. On the device it counts all from
decoded images in the host's memory to corrupted ones in the device's: draws, upload, work. ``one core`` is
the function on the CPU in a process of one thread; ``all cores`` is as many such processes as cores, at once.
Sides up to 64 take the strengths of CIFAR, larger ones those of ImageNet.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from shifts.perturbations.on_device import has_twin, perturb_on
from shifts.perturbations.severities import COMMON, EXTRA, SEVERITIES, corruption
from shifts.registry import resolve
from tests.benchmarks.common import Limit, finish, parser
from tests.shifts.corruption_images import photographs, rows_of

NAMES = (*COMMON, *EXTRA)
LIMITS = {
    ("all", "times all cores"): Limit(at_least=1),
    ("all", "differing"): Limit(at_most=1e-3),
}
"""On CUDA."""

_start: Barrier


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is measured: images a batch and their side, images of each process on the CPU, repeats."""

    images: int
    side: int
    share: int
    repeats: int

    @property
    def profile(self) -> str:
        return "cifar" if self.side <= 64 else "imagenet"


def main() -> int:
    chosen = _arguments()
    size = Size(images=chosen.images, side=chosen.side, share=8, repeats=3)
    if chosen.smoke:
        size = Size(images=2, side=32, share=1, repeats=1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    alone, together = on_cpu(size, 1), on_cpu(size, cores)
    found = {}
    for k, name in enumerate(NAMES):
        seconds, peak, differing, largest = on_device(name, chosen.device, size)
        found[name] = {
            "device": 1 / seconds,
            "one core": 1 / alone[k],
            "all cores": 1 / together[k],
            "times one core": alone[k] / seconds,
            "times all cores": together[k] / seconds,
            "differing": differing,
            "largest": largest,
            "bytes a pixel": peak,
            "twin": float(has_twin(corruption(name, 1, size.profile))),
        }
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found[name].items()), flush=True)
    device = mean(1 / row["device"] for row in found.values())
    found["all"] = {
        "device": 1 / device,
        "one core": 1 / mean(alone),
        "all cores": 1 / mean(together),
        "times one core": mean(alone) / device,
        "times all cores": mean(together) / device,
        "differing": max(row["differing"] for row in found.values()),
        "largest": max(row["largest"] for row in found.values()),
        "bytes a pixel": max(row["bytes a pixel"] for row in found.values()),
        "twin": sum(row["twin"] for row in found.values()),
    }
    print(f"device {_described(chosen.device)}, {size.images} images of side {size.side}")
    return finish(found, LIMITS if chosen.device.startswith("cuda") else {}, chosen)


def _arguments() -> argparse.Namespace:
    found = parser(__doc__, smoke="two small images once")
    found.add_argument("--device", default="cpu", help="cuda, cuda:1, cpu")
    found.add_argument("--images", type=int, default=256, help="of a batch")
    found.add_argument("--side", type=int, default=224, help="of an image, in pixels")
    return found.parse_args()


def _described(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def on_device(name: str, device: str, size: Size) -> tuple[float, float, float, float]:
    """Seconds an image, peak bytes a pixel (CUDA alone), share of differing values, largest difference.

    The times are the best of the repeats, and the means over severities; the last two are the largest.
    """
    import torch

    cuda = device.startswith("cuda")
    images = list(photographs(size.images, size.side))
    rows = rows_of([str(k) for k in range(len(images))])
    seconds, peaks, shares, largest = [], [0.0], [], []
    for severity in SEVERITIES:
        perturbations = [corruption(name, severity, size.profile)]

        def run(
            count: int,
            perturbations: list = perturbations,  # type: ignore[type-arg]
        ) -> torch.Tensor:
            found = perturb_on(device, perturbations, images[:count], rows.some(range(count)))
            assert isinstance(found, torch.Tensor)
            if cuda:
                torch.cuda.synchronize(device)
            return found

        some = min(size.images, 32)
        if cuda:
            run(1)
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        result = run(some).cpu().numpy().astype(np.int64)
        if cuda:
            peak = torch.cuda.max_memory_allocated(device) - before
            peaks.append(peak / (some * size.side**2))
        expected = resolve(perturbations[0].function)(
            np.stack(images[:some]), rows.some(range(some)), **perturbations[0].parameters
        )
        difference = np.abs(result - expected)
        shares.append(float((difference > 0).mean()))
        largest.append(float(difference.max()))
        run(size.images)  # buffers are made once
        times = []
        for _ in range(size.repeats):
            start = time.perf_counter()
            run(size.images)
            times.append(time.perf_counter() - start)
        seconds.append(min(times) / size.images)
    return mean(seconds), max(peaks), max(shares), max(largest)


def on_cpu(size: Size, processes: int) -> list[float]:
    """Seconds an image for each corruption, by processes of one thread that begin each at the same time."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    try:
        # Not forked: a process that holds a GPU must not be.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, _begin, (context.Barrier(processes),)) as pool:
            said = list(pool.map(_times, [size] * processes))
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    # The slowest process decides when a batch is done.
    return [max(column) / processes for column in zip(*said, strict=True)]


def _begin(start: Barrier) -> None:
    import cv2

    global _start
    _start = start
    cv2.setNumThreads(1)


def _times(size: Size) -> list[float]:
    """In a process: seconds an image for each corruption, the means over severities."""
    images = photographs(size.share, size.side)
    rows = rows_of([str(k) for k in range(len(images))])
    found = []
    for name in NAMES:
        seconds = []
        for severity in SEVERITIES:
            perturbation = corruption(name, severity, size.profile)
            function = resolve(perturbation.function)
            function(images[:1], rows.some([0]), **perturbation.parameters)  # tables are made once
            _start.wait()
            start = time.perf_counter()
            function(images, rows, **perturbation.parameters)
            seconds.append((time.perf_counter() - start) / len(images))
        found.append(mean(seconds))
    return found


if __name__ == "__main__":
    sys.exit(main())
