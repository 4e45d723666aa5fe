"""Run by several processes at once: small trainings whose weights the first of them keeps.

Usage: torchrun … tests/models_zoo/run_together.py FOLDER
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from safetensors.torch import save_file

from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.spec import Preprocess
from models_zoo.training import Options, run_recipe
from shifts.label_noise import LabelNoise

HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
NOISE = "models_zoo.sources.digits_models:pixel_noise"
CAPTION = {"caption": "a {colour} {class}"}
LABELS = Stage(
    shift="digits", share=0.3, epochs=1, learning_rate=0.05, batch_size=51, augment=NOISE, clip=1.0,
    optimiser="sgd", noise=LabelNoise(kind="symmetric", rate=0.2),
)  # fmt: skip
CAPTIONS = Stage(
    shift="digits-coloured", split="pretrain", share=0.1, epochs=1, learning_rate=0.1, batch_size=281,
    augment=NOISE, optimiser="sgd", noise=LabelNoise(kind="captions", rate=0.2),
    objective=Augmentation(function="models_zoo.contrastive:Contrastive", parameters=CAPTION),
)  # fmt: skip
# Without batch statistics, which on a CPU are of a process's own share. 51 and 281 do not divide evenly.
RUNS = {
    "labels": (
        Recipe(
            network="models_zoo.networks.small:mlp", arguments={"pixels": 768, "width": 8}, stages=(LABELS,)
        ),
        Options(save_every=math.inf, microbatch=11),
    ),
    "captions": (
        Recipe(network="tests.models_zoo.test_contrastive:Pair", stages=(CAPTIONS,)),
        Options(save_every=math.inf),
    ),
    "captions in passes": (
        Recipe(network="tests.models_zoo.test_contrastive:Pair", stages=(CAPTIONS,)),
        Options(save_every=math.inf, microbatch=50),
    ),
}


def main(folder: Path) -> None:
    for name, (recipe, options) in RUNS.items():
        state = run_recipe(recipe, HALF, options=options).state_dict()
        if os.environ.get("RANK", "0") == "0":
            save_file(state, folder / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
