"""Train a scratch model by its recipe; deterministic on a CPU."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from models_zoo.preprocessing import normalise, prepare
from models_zoo.recipe import Recipe, Stage, recipe_of, trained_file
from shifts.data import Shift, generator, load_examples
from shifts.digest import digest
from shifts.local import recorded_content
from shifts.perturbations.selections import fraction
from shifts.registry import resolve
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec, Preprocess
    from shifts.spec import ShiftSpec

Progress = Callable[[int, int], None]


def train(spec: ModelSpec, *, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Train a model and keep its weights.

    Args:
        data_dir: where local copies of data sets lie, if not in the cache.
        progress: called with (steps done, steps in all).

    Returns:
        The safetensors file; its metadata names recipe, seed and library versions. A file that is there
        already is returned as it is.
    """
    target = trained_file(spec, data_dir=data_dir)
    if target.is_file():
        return target
    recipe = recipe_of(spec)
    with _threads(recipe.threads):
        network = run_recipe(recipe, spec.preprocess, data_dir=data_dir, progress=progress)
    return _save(network, target, spec=spec, recipe=recipe)


def run_recipe(
    recipe: Recipe,
    preprocess: Preprocess,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Build the network and run every stage; the result is in evaluation mode."""
    sets = [training_set(stage, preprocess, seed=recipe.seed, data_dir=data_dir) for stage in recipe.stages]
    steps = [_steps(stage) for stage in recipe.stages]
    total, done = sum(steps), 0
    network: nn.Module | None = None
    for number, (stage, (images, labels, num_classes)) in enumerate(zip(recipe.stages, sets, strict=True)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(recipe.seed, "initialisation", number))
            if network is None:
                network = resolve(recipe.network)(num_classes, **recipe.arguments)
            elif stage.fresh_head:
                _last_layer(network).reset_parameters()
        for _ in _fit(
            network, stage, images, labels, preprocess, key=(recipe.seed, number), steps=steps[number]
        ):
            done += 1
            if progress is not None:
                progress(done, total)
    assert network is not None, "a recipe has at least one stage"
    return network.eval()


def training_set(
    stage: Stage, preprocess: Preprocess, *, seed: int, data_dir: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """The images (N, H, W, 3) in the network's input size, labels (N,) and number of classes of a stage."""
    spec = dataclasses.replace(distribution(stage), split=stage.split)
    source = SOURCES.get(spec.source)
    examples = load_examples(spec.source, spec.split, data_dir=data_dir)
    shift = Shift(spec, examples, content=recorded_content(source, spec.split, data_dir=data_dir))
    kept = fraction(shift.rows(shift.position), share=stage.share, seed=seed)
    # Resized batch by batch: a set of photographs does not fit into memory at its full size.
    prepared = [prepare(batch.images, preprocess).permute(0, 2, 3, 1).numpy() for batch in shift.batches(64)]
    return np.concatenate(prepared)[kept], shift.labels[kept], shift.num_classes


def distribution(stage: Stage) -> ShiftSpec:
    """The shift whose distribution a stage trains on: of a split that is measured on, only the rest."""
    spec = SHIFTS.get(stage.shift)
    if spec.training is not None and stage.split == spec.split:
        return dataclasses.replace(spec, selection=spec.training)
    return spec


def _steps(stage: Stage) -> int:
    spec = dataclasses.replace(SHIFTS.get(stage.shift), split=stage.split)
    return stage.epochs * math.ceil(SOURCES.get(spec.source).size(spec.split) / stage.batch_size)


def _fit(
    network: nn.Module,
    stage: Stage,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocess: Preprocess,
    *,
    key: tuple[int, int],
    steps: int,
) -> Iterator[None]:
    head = _last_layer(network)
    trained = list(head.parameters() if stage.trainable == "head" else network.parameters())
    network.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=stage.learning_rate, weight_decay=stage.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    augment = resolve(stage.augment) if stage.augment else None
    # A frozen body keeps its batch statistics: a linear probe must not move the features it probes.
    network.train(stage.trainable == "all")
    for index in _batches(len(labels), stage.batch_size, steps=steps, key=key):
        batch = images[index]
        if augment is not None:
            batch = augment(batch, generator(*key, "augment", int(schedule.last_epoch)))
        inputs = normalise(torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2), preprocess)
        loss = nn.functional.cross_entropy(network(inputs), torch.from_numpy(labels[index]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        yield
    network.requires_grad_(False)


def _batches(n: int, size: int, *, steps: int, key: tuple[int, int]) -> Iterator[NDArray[np.int64]]:
    """``steps`` batches of reshuffled epochs; the order depends on the key alone."""
    size = min(size, n)
    epoch, order = 0, np.empty(0, dtype=np.int64)
    for _ in range(steps):
        if len(order) < size:
            order = np.concatenate([order, generator(*key, "order", epoch).permutation(n)])
            epoch += 1
        yield order[:size]
        order = order[size:]


def _last_layer(network: nn.Module) -> nn.Linear:
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


def _seed(*key: object) -> int:
    return int(generator(*key).integers(2**31))


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save(network: nn.Module, target: Path, *, spec: ModelSpec, recipe: Recipe) -> Path:
    from safetensors.torch import save

    from shifts.local import write_atomic

    record = {
        "model": spec.name,
        "recipe": digest(recipe),
        "seed": recipe.seed,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    # One entry only: safetensors writes several in an order that changes from call to call.
    metadata = {"robustbench_shift": json.dumps(record, sort_keys=True)}
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_atomic(target, save(tensors, metadata=metadata))
    return target
