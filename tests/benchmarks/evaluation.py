"""What an evaluation costs beyond the forward passes that nobody can save.

``python tests/benchmarks/evaluation.py [--smoke] [--json FILE]`` evaluates the CIFAR-10 ResNets on JPEG
images and compares, in one run with the same threads, memory layout and precision:

1. ResNet-20 end to end (read, decode, predict, score, write) against its forward passes over decoded batches;
2. four ResNets in one pass against the sum of their forward passes and one decoding of the images;
3. peak memory for 10,000 images against 1,000.

Images are those of ``ROBUSTBENCH_SHIFT_TEST_DATA`` where they are, otherwise JPEGs of noise; weights are
random: neither changes the work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

LAYERS = (20, 32, 44, 56)
LIMITS = {"one model": 1.25, "four models": 1.1, "memory": 300.0}


def jpegs(folder: Path, number: int) -> Path:
    """An npz of encoded images: the real ones, or noise."""
    import io

    import numpy as np
    from PIL import Image

    real = Path(os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    source = real / "cifar10" / "cifar10_test_jpeg.npz"
    if source.is_file() and number == 10_000:
        return source
    draw = np.random.default_rng(0)
    encoded = []
    for _ in range(number):
        stream = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(stream, "JPEG", quality=75)
        encoded.append(stream.getvalue())
    target = folder / "noise.npz"
    np.savez(
        target,
        jpeg=np.frombuffer(b"".join(encoded), dtype=np.uint8),
        offsets=np.cumsum([0, *map(len, encoded)]).astype(np.int64),
        labels=(np.arange(number) % 10).astype(np.uint8),
        orig_test_index=np.arange(number),
    )
    return target


def prepare(folder: Path, number: int) -> Path:
    """Random weights for each network, and the images added to a data folder."""
    import torch

    from models_zoo.loading import build_model
    from shifts.catalogue import add

    for layers in LAYERS:
        torch.manual_seed(layers)
        torch.save(
            build_model(f"cifar10-resnet{layers}", device="cpu").network.state_dict(),
            folder / f"{layers}.pth",
        )
    add("cifar10-jpeg75", jpegs(folder, number), partial=number != 10_000, data_dir=folder / "data")
    return folder / "data"


def measure(folder: Path, number: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds and ratios of both time comparisons."""
    from benchmark.planning import contestant, plan
    from benchmark.runner import BATCH_SIZE, Options, run_pass
    from benchmark.store import Store
    from models_zoo.loading import load_model
    from models_zoo.preprocessing import prepare as prepared
    from models_zoo.spec import MODELS
    from shifts.data import load_shift
    from shifts.spec import SHIFTS

    data_dir = prepare(folder, number)
    shift = load_shift("cifar10-jpeg75", data_dir=data_dir)
    images = [image for batch in shift.batches(BATCH_SIZE) for image in batch.images]
    models = {n: load_model(f"cifar10-resnet{n}", folder / f"{n}.pth", device="cpu") for n in LAYERS}
    first = models[LAYERS[0]].spec.preprocess
    batches = [prepared(images[i : i + BATCH_SIZE], first) for i in range(0, len(images), BATCH_SIZE)]
    turn = iter(range(10_000))

    def whole(layers: tuple[int, ...]) -> None:
        chosen = [contestant(MODELS.get(f"cifar10-resnet{n}"), weights=folder / f"{n}.pth") for n in layers]
        store = Store(folder / f"results-{next(turn)}")
        work = plan(chosen, [SHIFTS.get("cifar10-jpeg75")], store=store, data_dir=data_dir)
        options = Options(device="cpu", data_dir=data_dir, image_cache=False)
        results = [result for one in work.passes for result in run_pass(one, options=options)]
        assert all(result.status == "ok" and result.n == number for result in results)

    def forward(layers: int) -> None:
        for batch in batches:
            models[layers].logits(batch)

    def decode() -> None:
        for index in range(len(shift)):
            shift.base.image(index)

    jobs: dict[str, Callable[[], object]] = {f"forward {n}": partial(forward, n) for n in LAYERS}
    jobs |= {"decode": decode, "one": partial(whole, LAYERS[:1]), "four": partial(whole, LAYERS)}
    forward(LAYERS[0])  # warm up
    # Turn by turn and the best of each: whatever else the machine does slows all of them alike.
    seconds = {name: float("inf") for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    alone = seconds[f"forward {LAYERS[0]}"]
    ideal = sum(seconds[f"forward {n}"] for n in LAYERS) + seconds["decode"]
    return {
        "one model": {"seconds": seconds["one"], "forward": alone, "ratio": seconds["one"] / alone},
        "four models": {
            "seconds": seconds["four"],
            "forward_and_decode": ideal,
            "decode": seconds["decode"],
            "ratio": seconds["four"] / ideal,
        },
    }


def memory(folder: Path, number: int) -> dict[str, float]:
    """Peak resident MiB of an evaluation of all images and of a tenth of them, each in its own process."""
    peaks = []
    for part in (number // 10, number):
        arguments = [
            "--model",
            "cifar10-resnet20",
            "--weights",
            str(folder / "20.pth"),
            "-s",
            "cifar10-jpeg75",
        ]
        arguments += ["--data-dir", str(folder / "data"), "--results", str(folder / f"memory-{part}")]
        arguments += [] if part == number else ["--limit", str(part)]
        subprocess.run(
            [sys.executable, __file__, "--child", "eval", *arguments], check=True, stdout=subprocess.DEVNULL
        )
        peaks.append(float((folder / "peak").read_text()))
    return {"small_mib": peaks[0], "large_mib": peaks[1], "difference_mib": peaks[1] - peaks[0]}


def child(arguments: list[str]) -> None:
    """Run one command line and leave its peak memory beside its results."""
    from benchmark.cli import run

    assert run(arguments) == 0
    # Not getrusage: its peak is inherited from the parent that started this process.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    Path(arguments[arguments.index("--results") + 1]).parent.joinpath("peak").write_text(str(peak))


def main() -> int:
    """Measure, print, and say by the exit code whether every limit is kept."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="40 images once: does the script still run?")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    number, repeats = (40, 1) if chosen.smoke else (10_000, 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = measure(folder, number, repeats)
        found["memory"] = memory(folder, number)
    kept = True
    for name, figures in found.items():
        value = figures.get("ratio", figures.get("difference_mib", 0.0))
        kept &= value <= LIMITS[name]
        listed = ", ".join(f"{key} {figure:.2f}" for key, figure in figures.items())
        print(f"{name:12s} {listed} (limit {LIMITS[name]})")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))
    return 0 if kept or chosen.smoke else 1


if __name__ == "__main__":
    raise SystemExit(main())
