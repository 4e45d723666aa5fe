"""Evaluation end to end against what nobody can save, and beside the loops that others evaluate with.

``python tests/benchmarks/end_to_end.py [--models NAME ...] [--images N] [--device cpu|cuda]
[--precision P] [--compile] [--alone] [--smoke] [--json FILE]`` evaluates networks on photographs of ImageNet.
In one run, turn by turn, with the same threads and precision, for each of them:

- ``forward``: the forward passes alone over prepared batches that lie on the device, in the best layout;
- ``limit``: with decoding and resizing beside it. On a CPU that is spread over the cores and added; beside a
  GPU the longer of the two counts;
- ``eval`` and ``eval, warm``: a pass of this program (read, decode, resize, predict, score, write) without a
  cache of images and from a warm one. Building the network (with ``--compile``, and compiling it) is taken
  off: the loops are not charged for it, and are not compiled;
- ``DataLoader``, ``timm``: the loops of ``loops.py``, each with the number of workers that is best for it
  (left out with ``--alone``);
- for CLIP's ViT-B/32, ``CLIP_benchmark``: its own evaluation, where it is installed.

Times are milliseconds an image. ``of limit`` is to be at most 1.1 on a CPU, and no loop is to be faster than
``eval``. ``agreement`` is the part of the photographs for which a loop predicts the class that is predicted
here, ``classes`` how many different ones that are.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import loops
from tests.benchmarks.common import Limit, best_of, finish, parser, timed
from tests.benchmarks.photographs import SHIFT, random_weights, validation_set

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from shifts.data import Shift

MODELS = ("torchvision:mobilenet_v3_large", "torchvision:resnet50", "torchvision:vit_b_32")
CLIP = "open_clip:vit-b-32"
WORKERS = {"cpu": (0, 1, 2), "cuda": (4, 8, 16)}
REPEATS = 3
SOME = 32  # parts of 16 photographs
OF_LIMIT = 1.1
AGREEMENT = 0.99

Loops = dict[str, Callable[[int], loops.Predicted]]


class Contest:
    """One network on the photographs, by this program and by loops of others."""

    def __init__(self, name: str, weights: Path, folder: Path, chosen: argparse.Namespace) -> None:
        from benchmark.planning import contestant
        from benchmark.runner import BATCH_SIZE
        from models_zoo.loading import load_model
        from models_zoo.spec import MODELS as REGISTERED
        from shifts.data import load_shift

        self.folder, self.chosen = folder, chosen
        self.load = partial(
            load_model,
            name,
            weights,
            label_space="imagenet-1k",
            device=chosen.device,
            precision=chosen.precision,
        )
        self.model: Classifier = self.load()
        self.shift: Shift = load_shift(SHIFT, data_dir=folder / "data")
        self.one = contestant(
            REGISTERED.get(name), weights=weights, precision=chosen.precision, compiled=chosen.compile
        )
        with ThreadPoolExecutor() as pool:
            ready = pool.map(self.prepared, self.rows(BATCH_SIZE))
            self.batches = [batch.to(chosen.device) for batch in ready]
        self._compile(self.model)
        self.predicted: loops.Predicted = {}
        self._turn = 0

    def _compile(self, model: Classifier) -> None:
        from models_zoo.classifier import TorchClassifier
        from models_zoo.compiling import SPECIAL

        if self.chosen.compile:
            assert isinstance(model, TorchClassifier), "a network"
            model.compile(self.batches[0][:SPECIAL])

    def built(self) -> None:
        self._compile(self.load())

    def rows(self, size: int) -> list[range]:
        number = len(self.shift)
        return [range(start, min(start + size, number)) for start in range(0, number, size)]

    def prepared(self, rows: range) -> Any:
        from models_zoo.preprocessing import shaped, stacked

        opened = (self.shift.base.opened(row) for row in self.shift.position[list(rows)].tolist())
        return stacked([shaped(image, self.model.spec.preprocess) for image in opened])

    def forward(self) -> None:
        for batch in self.batches:
            self.model.logits(batch)

    def decode(self) -> float:
        """Seconds of a core for decoding and resizing all, told from the first of them."""
        some = self.rows(16)[:SOME]
        start = time.process_time()
        for rows in some:
            self.prepared(rows)
        return (time.process_time() - start) * len(self.shift) / sum(map(len, some))

    def whole(self, *, cached: bool) -> float:
        """Seconds of a pass, as its result tells them; keeps what it predicted."""
        from benchmark.planning import plan
        from benchmark.predictions import read_predictions
        from benchmark.runner import Options, run_pass
        from benchmark.store import PREDICTIONS, Store
        from shifts.spec import SHIFTS

        self._turn += 1
        store = Store(self.folder / f"results-{self.model.spec.name.rpartition(':')[2]}-{self._turn}")
        work = plan([self.one], [SHIFTS.get(SHIFT)], store=store, data_dir=self.folder / "data")
        options = Options(device=self.chosen.device, data_dir=self.folder / "data", image_cache=cached)
        (part,) = work.passes
        start = time.perf_counter()
        (result,) = run_pass(part, options=options)
        seconds = time.perf_counter() - start
        assert (result.status, result.n) == ("ok", len(self.shift)), result.error
        found = read_predictions(work.cells[0].folder / PREDICTIONS)
        names = [Path(name).stem for name in found.example_ids]
        self.predicted = dict(zip(names, found.prediction.tolist(), strict=True))
        return seconds

    def figures(self, others: Loops, repeats: int) -> dict[str, dict[str, float]]:
        """Rows of the table."""
        workers = (0,) if self.chosen.smoke else WORKERS[self.chosen.device]
        answers: dict[str, loops.Predicted] = {}

        def answer(key: str, run: Callable[[int], loops.Predicted], number: int) -> None:
            answers[key] = run(number)

        jobs: dict[str, Callable[[], float]] = {
            "forward": timed(self.forward),
            "built": timed(self.built),
            "decode": self.decode,
            "eval": partial(self.whole, cached=False),
            "eval, warm": partial(self.whole, cached=True),
        }
        for name, run in others.items():
            for number in workers:
                jobs[f"{name} {number}"] = timed(partial(answer, name, run, number))
        self.forward(), self.whole(cached=True)  # warm up, and fill the cache
        best = best_of(jobs, repeats)
        decoding = best["decode"] / len(os.sched_getaffinity(0))
        on_cpu = self.chosen.device == "cpu"
        limit = best["forward"] + decoding if on_cpu else max(best["forward"], decoding)
        seconds = {
            "forward": best["forward"],
            "limit": limit,
            "eval": best["eval"] - best["built"],
            "eval, warm": best["eval, warm"] - best["built"],
        }
        fastest = {name: min(workers, key=lambda number: best[f"{name} {number}"]) for name in others}
        seconds |= {name: best[f"{name} {number}"] for name, number in fastest.items()}
        short = self.model.spec.name.rpartition(":")[2]
        found = {f"{short} {row}": self._row(spent, seconds) for row, spent in seconds.items()}
        for name, number in fastest.items():
            same = [answers[name][key] == value for key, value in self.predicted.items()]
            found[f"{short} {name}"] |= {
                "times eval": seconds[name] / seconds["eval"],
                "workers": number,
                "agreement": sum(same) / len(same),
                "classes": len(set(answers[name].values())),
            }
        return found

    def _row(self, spent: float, seconds: dict[str, float]) -> dict[str, float]:
        number = len(self.shift)
        return {
            "images/s": number / spent,
            "ms": 1000 * spent / number,
            "of forward": spent / seconds["forward"],
            "of limit": spent / seconds["limit"],
        }


def with_torchvision(name: str, folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """A network of torchvision beside a plain ``DataLoader`` and timm's loader."""
    import torch
    from torchvision.models import get_model

    weights = random_weights(name, folder)
    contest = Contest(name, weights, folder, chosen)
    preprocess = contest.model.spec.preprocess
    network = get_model(name.rpartition(":")[2], weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval().to(chosen.device)
    others: Loops = (
        {}
        if chosen.alone
        else {
            "DataLoader": partial(loops.dataloader, network, preprocess, _ground(folder, chosen)),
            "timm": partial(loops.timm, network, preprocess, _ground(folder, chosen)),
        }
    )
    return contest.figures(others, 1 if chosen.smoke else REPEATS)


def with_clip(folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """CLIP's ViT-B/32 beside CLIP_benchmark, both with random weights and the same random head."""
    try:
        import clip_benchmark.metrics.zeroshot_classification  # noqa: F401 - is it here?
    except ImportError:
        print("CLIP_benchmark is not installed (pip install clip-benchmark): its row is left out")
        return {}
    import open_clip
    import torch

    torch.manual_seed(0)
    network, _, transform = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
    weights = folder / "clip.pth"
    torch.save(network.state_dict(), weights)
    classes = _keep_head(weights).T.contiguous().to(chosen.device)
    network.eval().to(chosen.device)
    contest = Contest(CLIP, weights, folder, chosen)
    run = partial(loops.clip_benchmark, network, transform, classes, _ground(folder, chosen))
    return contest.figures({"CLIP_benchmark": run}, 1 if chosen.smoke else REPEATS)


def _ground(folder: Path, chosen: argparse.Namespace) -> loops.Ground:
    import torch

    return loops.Ground(images=folder / "val", device=torch.device(chosen.device), precision=chosen.precision)


def _keep_head(weights: Path) -> Any:
    """A random head (C, D) put where a real one would be kept: nobody embeds 80,000 prompts for it."""
    import torch

    from models_zoo.open_clip_index import version
    from models_zoo.prompts import prompts_for
    from models_zoo.spec import MODELS as REGISTERED
    from models_zoo.weights import weights_digest
    from models_zoo.zero_shot import class_embeddings

    spec = REGISTERED.get(CLIP)
    draw = torch.Generator().manual_seed(0)
    identity = {
        "weights": weights_digest(weights),
        "reading": spec.reading,
        "architecture": spec.arguments["architecture"],
        "library": version(),
    }
    return class_embeddings(
        prompts_for(spec, "imagenet-1k"),
        lambda: lambda texts: torch.randn(len(texts), 512, generator=draw),
        identity=identity,
        label="a random head",
    )


def limits_of(found: dict[str, dict[str, float]], *, device: str) -> dict[tuple[str, str], Limit]:
    """What the rows that are there have to keep."""
    limits: dict[tuple[str, str], Limit] = {}
    for row, figures in found.items():
        if row.endswith(" eval") and device == "cpu":
            limits[row, "of limit"] = Limit(at_most=OF_LIMIT)
        if "agreement" in figures:
            limits[row, "times eval"] = Limit(at_least=1)
            limits[row, "agreement"] = Limit(at_least=AGREEMENT)
    return limits


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    known = parser(__doc__, smoke="MobileNetV3-L on 8 photographs, once")
    known.add_argument("--models", nargs="+", default=[*MODELS, CLIP], metavar="NAME")
    known.add_argument("--images", type=int, default=500)
    known.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    known.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    known.add_argument("--compile", action="store_true", help="with compiled networks")
    known.add_argument("--alone", action="store_true", help="without the loops of others")
    chosen = known.parse_args()
    if chosen.smoke:
        chosen.images, chosen.models = 8, [MODELS[0]]
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBUSTBENCH_SHIFT_CACHE"] = f"{scratch}/cache"
        folder = Path(scratch)
        validation_set(folder, chosen.images)
        for name in chosen.models:
            found |= with_clip(folder, chosen) if name == CLIP else with_torchvision(name, folder, chosen)
            gc.collect()
    return finish(found, limits_of(found, device=chosen.device), chosen)


if __name__ == "__main__":
    sys.exit(main())
