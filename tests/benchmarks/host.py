"""What a pass costs beside the networks: the images a second that a device could be fed with.

``python tests/benchmarks/host.py [--images N] [--workers N] [--smoke] [--json FILE]`` evaluates a network
that answers at once, as an endlessly fast device would, on photographs of ImageNet. Its passes are cut where
it is first and last asked:

- ``before``: seconds until the first batch is there (files looked up, model opened, first images read);
- ``stream``: from there to the last batch, in images a second;
- ``after``: seconds until the result is written (predictions joined, metrics, files).

``cache`` takes the images from the warm cache, ``decoded`` reads, decodes and resizes them. ``bare`` reads
and checks the pixels of the cache and does nothing else, with the same threads: ``of bare`` is the time of
``stream`` to its. ``feeds`` is the speed of the fastest device, in images a second, that would work for 0.9
of the time of this pass: one that the stream keeps up with, and for which what comes before and after is a
tenth.

``shared``: how well the threads of a large machine share the work, told on any: 3,000 images that take 10 ms
each without the processor, by 15 threads. ``efficiency`` is the time that would take if none ever waited, to
the time it took; ``first ms`` is when the first batch was there.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from tests.benchmarks.common import Limit, finish, parser
from tests.benchmarks.photographs import SHIFT, validation_set

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec

REPEATS = 5
BUSY = 0.9
OF_BARE = 1.5
THREADS, EACH = 15, 0.01  # those of a machine of 16 cores; seconds an image
EFFICIENCY = 0.9
SIDE = 224


class Instant:
    """A classifier whose answers are there already.

    Attributes:
        asked: when, by ``time.perf_counter``.
    """

    device_name = "cuda (none)"  # images are read as they are beside a GPU
    notes = ()

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.asked: list[float] = []
        self._answers = np.random.default_rng(0).standard_normal((256, 1000)).astype(np.float32)

    def logits(self, images: Any) -> NDArray[np.float32]:
        self.asked.append(time.perf_counter())
        return self._answers[: len(images)]

    def features(self, images: Any) -> NDArray[np.float32]:
        raise NotImplementedError


OPENED: list[Instant] = []


def load(spec: ModelSpec, **_: Any) -> Instant:
    """The loader of the declaration below."""
    OPENED.append(Instant(spec))
    return OPENED[-1]


def declared() -> ModelSpec:
    """A model like a published one but for its loader."""
    import dataclasses

    from models_zoo.spec import MODELS

    published = MODELS.get("torchvision:resnet50")
    return dataclasses.replace(
        published, name="instant", loader="tests.benchmarks.host:load", weights=None, head=None, arguments={}
    )


def measured(folder: Path, turn: int, *, cached: bool, workers: int) -> dict[str, float]:
    """One pass: seconds before, streaming and after."""
    from benchmark.planning import contestant, plan
    from benchmark.runner import Options, run_pass
    from benchmark.store import Store
    from shifts.spec import SHIFTS

    store = Store(folder / f"results-{turn}")
    work = plan(
        [contestant(declared(), weights=None)], [SHIFTS.get(SHIFT)], store=store, data_dir=folder / "data"
    )
    options = Options(data_dir=folder / "data", image_cache=cached, workers=workers)
    (part,) = work.passes
    start = time.perf_counter()
    (result,) = run_pass(part, options=options)
    end = time.perf_counter()
    assert result.status == "ok", result.error
    from tests.benchmarks.host import OPENED as opened  # the loader is found there, not in ``__main__``

    asked = opened[-1].asked
    return {"before": asked[0] - start, "stream": asked[-1] - asked[0], "after": end - asked[-1]}


def bare(workers: int) -> float:
    """Seconds in which as many threads read and check what the cache holds."""
    from benchmark.image_cache import images_home
    from benchmark.runner import BATCH_SIZE
    from models_zoo.devices import room

    (pixels,) = images_home().glob("*/pixels.bin")
    size = SIDE * SIDE * 3
    number = pixels.stat().st_size // size

    def read(start: int) -> None:
        images = room((min(BATCH_SIZE, number - start), size), pinned=True).numpy()
        os.preadv(file.fileno(), [images.data.cast("B")], start * size)
        for image in images:
            zlib.crc32(image)

    with pixels.open("rb", buffering=0) as file, ThreadPoolExecutor(workers) as pool:
        start = time.perf_counter()
        list(pool.map(read, range(0, number, BATCH_SIZE)))
        return time.perf_counter() - start


class Asleep:
    """Images that take their time, as decoding does, but no processor."""

    def __init__(self, number: int) -> None:
        self._number, self._image = number, np.zeros((2, 2, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, _: int) -> NDArray[np.uint8]:
        time.sleep(EACH)
        return self._image


def shared(number: int) -> dict[str, float]:
    """How well ``THREADS`` threads share the reading of ``number`` images."""
    from benchmark.chunks import NOTHING, RAW, Wanted
    from benchmark.reading import Reader
    from benchmark.runner import BATCH_SIZE
    from shifts.data import Examples

    rows = np.arange(number)
    images = Examples(
        payloads=Asleep(number), labels=np.zeros(number, dtype=np.int64), ids=list(map(str, rows))
    )
    geometries = {RAW: Wanted(now=rows, ever=rows)}
    reader = Reader(images, content="", decoded=NOTHING, geometries=geometries, cached=False, fill=False)
    start = time.perf_counter()
    there = [time.perf_counter() for _ in reader.chunks(BATCH_SIZE, workers=THREADS)]
    ideal = EACH * number / THREADS
    return {"first ms": 1000 * (there[0] - start), "efficiency": ideal / (there[-1] - start)}


def figures(folder: Path, number: int, workers: int, repeats: int) -> dict[str, dict[str, float]]:
    """Rows of the table, of each stage the best of its turns."""
    turn = count()
    ways = {"cache": True, "decoded": False}
    measured(folder, next(turn), cached=True, workers=workers)  # fills the cache
    best: dict[str, dict[str, float]] = {name: {} for name in ways}
    reading = float("inf")
    for _ in range(repeats):
        reading = min(reading, bare(workers))
        for name, cached in ways.items():
            for stage, seconds in measured(folder, next(turn), cached=cached, workers=workers).items():
                best[name][stage] = min(seconds, best[name].get(stage, float("inf")))
    return {
        "bare": {"images/s": number / reading},
        **{name: _row(seconds, number, reading) for name, seconds in best.items()},
        "shared": shared(min(number, 3000)),
    }


def _row(seconds: dict[str, float], number: int, reading: float) -> dict[str, float]:
    around = seconds["before"] + seconds["after"]
    streamed = number / seconds["stream"]
    return {
        "before ms": 1000 * seconds["before"],
        "images/s": streamed,
        "after ms": 1000 * seconds["after"],
        "of bare": seconds["stream"] / reading,
        "feeds": min(streamed, number / around * (1 - BUSY) / BUSY),
    }


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    known = parser(__doc__, smoke="300 photographs once")
    known.add_argument("--images", type=int, default=8000)
    known.add_argument("--workers", type=int, help="threads that read; those of a GPU if not given")
    chosen = known.parse_args()
    from benchmark.reading import workers_for

    workers = chosen.workers or workers_for([Instant.device_name])
    number, repeats = (300, 1) if chosen.smoke else (chosen.images, REPEATS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["ROBUSTBENCH_SHIFT_CACHE"] = f"{scratch}/cache"
        validation_set(folder, number)
        found = figures(folder, number, workers, repeats)
    limits = {
        ("cache", "of bare"): Limit(at_most=OF_BARE),
        ("shared", "efficiency"): Limit(at_least=EFFICIENCY),
    }
    return finish(found, limits, chosen)


if __name__ == "__main__":
    sys.exit(main())
