"""Recipes that take a second to train."""

from __future__ import annotations

import dataclasses
import math

import torch

from models_zoo.recipe import Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from models_zoo.training import Options, run_recipe

HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
NOISE = "models_zoo.sources.digits_models:pixel_noise"
CNN = "models_zoo.networks.small:cnn"
QUICK = Options(save_every=math.inf)


def stage(**changes: object) -> Stage:
    fields = {"shift": "digits", "epochs": 1, "learning_rate": 3e-3, "share": 0.2, "batch_size": 50}
    return Stage(**{**fields, **changes})  # type: ignore[arg-type]


def recipe(*stages: Stage, **changes: object) -> Recipe:
    fields = {"network": CNN, "arguments": {"width": 4}, "stages": stages or (stage(augment=NOISE),)}
    return Recipe(**{**fields, **changes})  # type: ignore[arg-type]


def model(made: Recipe, name: str = "tiny") -> ModelSpec:
    return dataclasses.replace(MODELS.get("digits-cnn"), name=name, recipe=made)


def weights(made: Recipe, **options: object) -> dict[str, torch.Tensor]:
    settings = Options(**{"save_every": math.inf, **options})  # type: ignore[arg-type]
    return run_recipe(made, HALF, options=settings).state_dict()
