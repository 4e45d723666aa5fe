"""What the cache of prepared images saves: the second model over the same photographs.

``python tests/benchmarks/image_cache.py [--smoke] [--json FILE]`` evaluates a network on photographs of
ImageNet with a warm cache, and compares in one run, with the same threads, memory layout and precision:

1. end to end from the warm cache (read, check, predict, score, write) against the forward passes alone over
   batches that are prepared already: what the second model costs beyond what nobody can save;
2. end to end without a cache (read, decode, resize, crop as well) against the same.

Building the network is taken off: it does not grow with the images. Then, in time on the processor:

3. the forward pass of an image against its decoding, resizing and cropping: how many cores a thread that
   decodes can feed.

Photographs are the sample of ``ROBUSTBENCH_SHIFT_TEST_DATA`` where it is, otherwise JPEGs of noise of their
usual size; weights are random: neither changes the work.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.photographs import SHIFT, random_weights, validation_set

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from shifts.data import Shift

MODEL = "torchvision:mobilenet_v3_large"
LIMIT = 1.05


def measure(folder: Path, number: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds (of the last, milliseconds) and ratios of the three comparisons."""
    from benchmark.planning import contestant, plan
    from benchmark.runner import BATCH_SIZE, Options, run_pass
    from benchmark.store import Store
    from models_zoo.loading import load_model
    from models_zoo.preprocessing import prepare as prepared
    from models_zoo.spec import MODELS
    from shifts.data import load_shift
    from shifts.spec import SHIFTS

    data_dir, weights = validation_set(folder, number), random_weights(MODEL, folder)
    shift = load_shift(SHIFT, data_dir=data_dir)
    model = load_model(MODEL, weights, device="cpu")
    one = contestant(MODELS.get(MODEL), weights=weights)
    batches = [prepared(batch.images, model.spec.preprocess) for batch in shift.batches(BATCH_SIZE)]
    turn = iter(range(10_000))

    def whole(cached: bool) -> float:
        store = Store(folder / f"results-{next(turn)}")
        work = plan([one], [SHIFTS.get(SHIFT)], store=store, data_dir=data_dir)
        options = Options(device="cpu", data_dir=data_dir, image_cache=cached)
        (part,) = work.passes
        (result,) = run_pass(part, options=options)
        assert (result.status, result.n) == ("ok", number)
        return float(result.provenance["pass_seconds"])

    def forward() -> float:
        start = time.perf_counter()
        for batch in batches:
            model.logits(batch)
        return time.perf_counter() - start

    def built() -> float:
        start = time.perf_counter()
        load_model(MODEL, weights, device="cpu")
        return time.perf_counter() - start

    jobs: dict[str, Callable[[], float]] = {
        "forward": forward,
        "built": built,
        "warm": lambda: whole(True),
        "without": lambda: whole(False),
    }
    forward(), whole(True)  # warm up, and fill the cache
    # Turn by turn and the best of each: whatever else the machine does slows all of them alike.
    seconds = {name: float("inf") for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            seconds[name] = min(seconds[name], job())
    ratios = {
        name: {
            "seconds": seconds[name] - seconds["built"],
            "built": seconds["built"],
            "forward": seconds["forward"],
            "ratio": (seconds[name] - seconds["built"]) / seconds["forward"],
        }
        for name in ("warm", "without")
    }
    spent = processor_time(shift, model)
    return {**ratios, "cores": {**spent, "ratio": spent["forward"] / spent["decode"]}}


def processor_time(shift: Shift, model: Classifier) -> dict[str, float]:
    """Milliseconds of a core for an image, in the models' pass and before it."""
    from models_zoo.preprocessing import prepare as prepared

    number = min(len(shift), 64)
    best = {"decode": float("inf"), "forward": float("inf")}
    for _ in range(3):
        start = time.process_time()
        batch = prepared([shift.item(index) for index in range(number)], model.spec.preprocess)
        middle = time.process_time()
        model.logits(batch)
        best["decode"] = min(best["decode"], 1000 * (middle - start) / number)
        best["forward"] = min(best["forward"], 1000 * (time.process_time() - middle) / number)
    return best


def main() -> int:
    """Measure, print, and say by the exit code whether the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="6 photographs once: does it still run?")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    number, repeats = (6, 1) if chosen.smoke else (500, 2)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBUSTBENCH_SHIFT_CACHE"] = f"{scratch}/cache"
        found = measure(Path(scratch), number, repeats)
    for name, figures in found.items():
        listed = ", ".join(f"{key} {figure:.2f}" for key, figure in figures.items())
        print(f"{name:8s} {listed}" + (f" (limit {LIMIT})" if name == "warm" else ""))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))
    return 0 if found["warm"]["ratio"] <= LIMIT or chosen.smoke else 1


if __name__ == "__main__":
    raise SystemExit(main())
