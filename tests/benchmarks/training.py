"""Speed of the training engine against a plain loop over the same network, images and optimiser.

``python tests/benchmarks/training.py [--smoke] [--json FILE] [--steps N] [--threads N]`` prints
images per second of both and their ratio. The two take turns, so that what else the machine does meets both;
the ratio is that of the medians.
The plain loop has its images decoded and normalised beforehand and no augmentation: a bound, not a rival.
"""

from __future__ import annotations

import dataclasses
import statistics
import time

import numpy as np
import torch
from common import finish, parser, turns
from torch import nn

import models_zoo.training as engine
from models_zoo.feeding import Feed
from models_zoo.recipe import Recipe, Stage
from models_zoo.sources.cifar_scratch import CROP, RESNET, resnet
from models_zoo.spec import Preprocess

PREPROCESS = Preprocess(resize=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
BATCH = 128
ROUNDS = 5


def plain(images: np.ndarray, labels: np.ndarray, *, steps: int) -> float:
    """Seconds of the steps after the first."""
    inputs = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    wanted = torch.from_numpy(labels)
    network = resnet(10, blocks=3).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    marks = []
    for step in range(steps + 1):
        index = torch.arange(step * BATCH, (step + 1) * BATCH) % len(wanted)
        loss = nn.functional.cross_entropy(network(inputs[index]), wanted[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        marks.append(time.perf_counter())
    return marks[-1] - marks[0]


def ours(recipe: Recipe, *, steps: int) -> float:
    """Seconds of the engine's steps after the first, decoding to memory left out in both."""
    marks: list[float] = []
    options = engine.Options(watch=lambda *_: marks.append(time.perf_counter()))
    short = dataclasses.replace(recipe, stages=(dataclasses.replace(recipe.stages[0], epochs=steps + 1),))
    engine.run_recipe(short, PREPROCESS, options=options)
    return marks[steps] - marks[0]


def main() -> int:
    """Take turns, print medians and the ratio."""
    options = parser(__doc__, smoke="one step, once")
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    steps, rounds = (1, 1) if chosen.smoke else (chosen.steps, ROUNDS)
    stage = Stage(
        shift="digits", split="test", epochs=1, learning_rate=0.1, optimiser="sgd", weight_decay=1e-4,
        batch_size=597, schedule="constant", augment=CROP,
    )  # fmt: skip
    recipe = Recipe(network=RESNET, arguments={"blocks": 3}, stages=(stage,), threads=chosen.threads)
    # Digits enlarged to 32 pixels: what the images show does not matter here. One epoch is one step.
    recipe = dataclasses.replace(recipe, stages=(dataclasses.replace(stage, share=BATCH / 597),))
    feed = Feed(recipe.stages[0], PREPROCESS, key=(0, 0))
    torch.set_num_threads(chosen.threads)
    times = turns(
        {
            "plain loop": lambda: plain(feed.images[:BATCH], feed.labels[:BATCH], steps=steps),
            "engine": lambda: ours(recipe, steps=steps),
        },
        rounds,
    )
    number = min(len(feed), BATCH) * steps
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    found = {name: {"images_per_second": number / median} for name, median in medians.items()}
    # Cropping, flipping and shuffling included.
    found["engine"]["ratio"] = medians["engine"] / medians["plain loop"]
    return finish(found, {}, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
