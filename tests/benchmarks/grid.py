"""Many models on many corruptions: one shared pass against one cell at a time.

``python tests/benchmarks/grid.py [--images N] [--compile] [--smoke] [--json FILE]`` evaluates four CIFAR-10
ResNets on the fifteen corruptions of CIFAR-10-C, computed from JPEG images at severity 3, and compares
processor time:

1. one cell at a time (read, decode, corrupt, predict, score and write for each model and corruption) against
   one pass over all cells, which decodes every image once and corrupts it once for each corruption;
2. the shared pass against what nobody can save: the forward passes, one decoding, each corruption once.

How much sharing can save is a matter of what networks and corruptions cost: beside the measured ratio
stands what it is where neither way has any cost of its own. Opening the networks is taken off: it does not
grow with the images. Both ways have to leave the same files of predictions, byte for byte. Images and
weights are those of ``ROBUSTBENCH_SHIFT_TEST_DATA`` where they are, otherwise JPEGs of noise and random
weights: neither changes the work. ``--compile`` takes compiled networks, takes compiling them off as well,
and leaves out the first comparison, which would compile each of them for every cell.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.common import Limit, best_of, finish, parser, timed
from tests.benchmarks.evaluation import LAYERS, jpegs

SHIFT = "cifar10-jpeg75"
SEVERITY = 3
LIMITS = {
    ("one cell at a time", "times shared"): Limit(at_least=1.3),
    ("shared", "of ideal"): Limit(at_most=1.1),
    ("shared", "files that differ"): Limit(at_most=0),
}


def weights_in(folder: Path) -> dict[int, Path]:
    """Weights by the number of layers: the trained ones, or random ones."""
    import torch

    from models_zoo.classifier import TorchClassifier
    from models_zoo.loading import build_model

    real = Path(os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    found = {layers: real / "cifar10" / f"resnet{layers}.safetensors" for layers in LAYERS}
    if all(path.is_file() for path in found.values()):
        return found
    for layers in LAYERS:
        torch.manual_seed(layers)
        model = build_model(f"cifar10-resnet{layers}", device="cpu")
        assert isinstance(model, TorchClassifier), "a network"
        found[layers] = folder / f"{layers}.pth"
        torch.save(model.network.state_dict(), found[layers])
    return found


def measure(
    folder: Path, number: int, repeats: int, *, corruptions: int, compiled: bool
) -> dict[str, dict[str, float]]:
    """Seconds of processor time and ratios of both comparisons."""
    from benchmark.planning import contestant, plan
    from benchmark.runner import BATCH_SIZE, Options, run_pass
    from benchmark.store import PREDICTIONS, Store
    from models_zoo.classifier import TorchClassifier
    from models_zoo.compiling import SPECIAL
    from models_zoo.loading import load_model
    from models_zoo.preprocessing import prepare
    from models_zoo.spec import MODELS
    from shifts.catalogue import add
    from shifts.data import Shift, load_shift
    from shifts.perturbations.severities import COMMON, corruption
    from shifts.spec import SHIFTS

    names = COMMON[:corruptions]
    data_dir = folder / "data"
    add(SHIFT, jpegs(folder, 10_000), partial=False, data_dir=data_dir)
    weights = weights_in(folder)
    entered = [
        contestant(MODELS.get(f"cifar10-resnet{n}"), weights=weights[n], compiled=compiled) for n in LAYERS
    ]
    plain = SHIFTS.get(SHIFT).limited(number)
    corrupted = [
        dataclasses.replace(
            plain,
            name=f"{SHIFT}/{name}/{SEVERITY}",
            kind="corruption",
            reference=SHIFT,
            perturbations=(corruption(name, SEVERITY, "cifar"),),
        )
        for name in names
    ]
    found = load_shift(SHIFT, data_dir=data_dir, limit=number)
    opened = [Shift(spec, found.base, content=found.content) for spec in corrupted]
    images = [found.item(index) for index in range(number)]
    first = entered[0].spec.preprocess
    batches = [prepare(images[at : at + BATCH_SIZE], first) for at in range(0, number, BATCH_SIZE)]

    def built() -> list[TorchClassifier]:
        ready = []
        for n in LAYERS:
            model = load_model(f"cifar10-resnet{n}", weights[n], device="cpu")
            assert isinstance(model, TorchClassifier), "a network"
            if compiled:
                model.compile(batches[0][:SPECIAL])
            ready.append(model)
        return ready

    models = built()
    options = Options(device="cpu", data_dir=data_dir, image_cache=False)
    turn = iter(range(10_000))
    files: dict[str, list[bytes]] = {}

    def with_few() -> None:
        few = plan(entered, [plain.limited(2)], store=Store(folder / "few"), data_dir=data_dir)
        for one in few.passes:
            list(run_pass(one, options=options))
        opened[0].item(0)

    def evaluate(way: str) -> None:
        store = Store(folder / f"results-{next(turn)}")
        together = plan(entered, corrupted, store=store, data_dir=data_dir)
        plans = [together]
        if way != "shared":
            plans = [
                plan([cell.contestant], [cell.shift], store=store, data_dir=data_dir)
                for cell in together.cells
            ]
        for part in plans:
            for one in part.passes:
                for result in run_pass(one, options=options):
                    assert (result.status, result.n) == ("ok", number), result.error
        files[way] = [(cell.folder / PREDICTIONS).read_bytes() for cell in together.cells]

    def decode() -> None:
        for index in range(number):
            found.item(index)

    def corrupt() -> None:
        for shift in opened:
            for at in range(0, number, BATCH_SIZE):
                shift.perturb(images[at : at + BATCH_SIZE], shift.position[at : at + BATCH_SIZE])

    def forward() -> None:
        for _ in names:
            for model in models:
                for batch in batches:
                    model.logits(batch)

    ways = {way: partial(evaluate, way) for way in (("shared",) if compiled else ("shared", "apart"))}
    jobs = {"forward": forward, "decode": decode, "corrupt": corrupt, "built": built, **ways}
    with_few()  # warm up
    best = best_of({name: timed(job, clock=time.process_time) for name, job in jobs.items()}, repeats)
    shared = best["shared"] - best["built"]
    ideal = best["forward"] + best["decode"] + best["corrupt"]
    at_best = best["forward"] + len(models) * (len(names) * best["decode"] + best["corrupt"])
    costs = ("forward", "decode", "corrupt", "built")
    rows = {
        "ideal": {name: best[name] for name in costs} | {"seconds": ideal},
        "shared": {"seconds": shared, "of ideal": shared / ideal},
    }
    if compiled:
        return rows
    apart = best["apart"] - len(names) * best["built"]
    differing = sum(one != other for one, other in zip(files["shared"], files["apart"], strict=True))
    rows["shared"]["files that differ"] = differing
    return rows | {
        "one cell at a time": {
            "seconds": apart,
            "times shared": apart / shared,
            "at its best times ideal": at_best / ideal,
        },
    }


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    known = parser(__doc__, smoke="8 images with two corruptions, once")
    known.add_argument("--images", type=int, default=1000)
    known.add_argument("--compile", action="store_true", help="with compiled networks")
    chosen = known.parse_args()
    number, repeats, corruptions = (8, 1, 2) if chosen.smoke else (chosen.images, 2, 15)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBUSTBENCH_SHIFT_CACHE"] = f"{scratch}/cache"
        found = measure(Path(scratch), number, repeats, corruptions=corruptions, compiled=chosen.compile)
    limits = {at: limit for at, limit in LIMITS.items() if not chosen.compile or at == ("shared", "of ideal")}
    return finish(found, limits, chosen)


if __name__ == "__main__":
    sys.exit(main())
