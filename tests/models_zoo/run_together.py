"""Run by several processes at once: small trainings whose weights the first of them keeps, then a command.

Usage: torchrun … tests/models_zoo/run_together.py FOLDER COMMAND…
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from models_zoo.networks.two_tower import TwoTower
from models_zoo.recipe import Augmentation, Recipe, Stage
from models_zoo.sources.pretext_models import VOCABULARY
from models_zoo.spec import Preprocess
from models_zoo.training import Options, run_recipe
from shifts.label_noise import LabelNoise


class Pair(nn.Module):
    """Towers without batch statistics, so that a batch can be split; with dropout, drawn for each pass."""

    def __init__(self, num_classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        towers = TwoTower(vocabulary=VOCABULARY, width=2, dim=8)
        self.visual = nn.Sequential(
            nn.Flatten(), nn.Linear(768, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 8)
        )
        self.text, self.tokenise = nn.ModuleList([towers.embedding, towers.text]), towers.tokenise
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.visual(images), self.text[1](self.text[0](tokens))

    def inverse_temperature(self) -> torch.Tensor:
        return self.logit_scale.exp()


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
        Recipe(network="tests.models_zoo.run_together:Pair", stages=(CAPTIONS,)),
        Options(save_every=math.inf),
    ),
    "captions in passes": (
        Recipe(network="tests.models_zoo.run_together:Pair", stages=(CAPTIONS,)),
        Options(save_every=math.inf, microbatch=50),
    ),
}


def main(folder: Path) -> None:
    for name, (recipe, options) in RUNS.items():
        state = run_recipe(recipe, HALF, options=options).state_dict()
        if os.environ.get("RANK", "0") == "0":
            save_file(state, folder / f"{name}.safetensors")


if __name__ == "__main__":
    from benchmark.cli import run

    main(Path(sys.argv[1]))
    sys.exit(run(sys.argv[2:]))
