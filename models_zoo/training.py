"""Train a scratch model by its recipe; deterministic on a CPU, and as if it had never been interrupted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from models_zoo.adapters import folded_state
from models_zoo.devices import exact, pick_device, precision_type
from models_zoo.feeding import Feed, distribution, epoch_steps, num_classes
from models_zoo.noising import realised
from models_zoo.optimising import network_of, prepare_head, width_of
from models_zoo.processes import own_device, together
from models_zoo.recipe import (
    CHECKPOINT,
    STATE,
    Recipe,
    Stage,
    identity,
    recipe_of,
    trained_file,
    training_folder,
)
from models_zoo.stage_run import StageRun, seed_of
from models_zoo.train_state import State, read_state
from models_zoo.tuning.heads import feature_set, head_fit_of, put_head
from shifts.errors import UserError
from shifts.local import drop_unfinished

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.spec import ModelSpec, Preprocess

__all__ = ["Options", "distribution", "run_recipe", "train", "training_set"]

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to train; on one kind of device and in one precision none of it moves a weight.

    Attributes:
        device: None takes the CPU, or for recipes made for a GPU the best device there is.
        precision: ``"float32"``, or mixed precision with ``"bfloat16"`` / ``"float16"``.
        microbatch: images in one forward and backward pass, where a whole batch does not fit into memory
            (batch statistics are then those of the parts).
        workers: threads that decode and augment; None takes as many as help.
        compile: run the network through ``torch.compile``.
        save_every: seconds between two saves of the state.
        steps: stop each stage after so many steps, keeping nothing; to try a recipe out.
        watch: called after every step with (number of the stage, its step, the loss).
    """

    device: str | None = None
    precision: str = "float32"
    microbatch: int | None = None
    workers: int | None = None
    compile: bool = False
    save_every: float = 60.0
    steps: int | None = None
    watch: Callable[[int, int, torch.Tensor], None] | None = None


def train(
    spec: ModelSpec,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Path:
    """Train a model and keep its weights; an interrupted training goes on where it was last saved.

    Args:
        data_dir: where local copies of data sets lie, if not in the cache.
        progress: called with (steps done, steps in all).

    Returns:
        The safetensors file; its metadata names recipe, seed and library versions. A file that is there
        already is returned as it is.

    Raises:
        UserError: no such data, a device that is not here, or a loss that is not a number.
    """
    target = trained_file(spec, data_dir=data_dir)
    if target.is_file():
        return target
    recipe, folder = recipe_of(spec), training_folder(spec, data_dir=data_dir)
    run = Run(recipe, spec.preprocess, data_dir=data_dir, options=options or Options(), progress=progress)
    run.keep_in(folder, name=spec.name.removesuffix(f"{CHECKPOINT}{recipe.checkpoint}"))
    network = run.all_stages()
    if recipe.checkpoint is not None and not target.is_file():
        raise UserError(
            f"the training in {folder} is past epoch {recipe.checkpoint}, which was not kept",
            hint=f"robustbench-shift train {spec.name} --again",
        )
    if recipe.checkpoint is None and run.processes.first:
        run.save(network, target)
        (folder / STATE).unlink(missing_ok=True)
        drop_unfinished(folder / STATE)
    run.processes.wait()
    return target


def run_recipe(
    recipe: Recipe,
    preprocess: Preprocess,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
) -> nn.Module:
    """Build the network and run every stage, keeping nothing on disk; the result is in evaluation mode."""
    run = Run(recipe, preprocess, data_dir=data_dir, options=options or Options(), progress=progress)
    return run.all_stages()


def training_set(
    stage: Stage, preprocess: Preprocess, *, seed: int, data_dir: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """The images (N, H, W, 3) in the network's input size, labels (N,) and number of classes of a stage."""
    feed = Feed(stage, preprocess, key=(seed, 0), data_dir=data_dir)
    return feed.images, feed.labels, feed.shift.num_classes


class Run:
    """A training: what the stages share."""

    def __init__(
        self,
        recipe: Recipe,
        preprocess: Preprocess,
        *,
        data_dir: Path | None,
        options: Options,
        progress: Progress | None,
    ) -> None:
        self.recipe, self.preprocess, self.data_dir, self.options = recipe, preprocess, data_dir, options
        wanted = options.device or ("auto" if recipe.accelerator else "cpu")
        self.device = own_device(torch.device(pick_device(wanted)))
        self.processes = together(self.device)
        precision_type(options.precision)
        self.how = {
            "device": self.device.type,
            "precision": options.precision,
            "microbatch": options.microbatch,
            **({"processes": self.processes.count} if self.processes.count > 1 else {}),
        }
        # Asked of every stage before the first begins: data that is missing is better known now.
        self.per_epoch = [epoch_steps(stage, data_dir=data_dir) for stage in recipe.stages]
        self.steps = [
            1 if stage.head_fit else min(stage.epochs * steps, options.steps or stage.epochs * steps)
            for stage, steps in zip(recipe.stages, self.per_epoch, strict=True)
        ]
        self.folder: Path | None = None
        self.name = ""
        self._progress = progress

    def keep_in(self, folder: Path, *, name: str) -> None:
        """Keep state and checkpoints of the model ``name`` in a folder."""
        self.folder, self.name = folder, name

    def all_stages(self) -> nn.Module:
        """Every stage, or those that are left; up to the checkpoint where one is asked for."""
        with ExitStack() as stack:
            stack.enter_context(_threads(self.recipe.threads))
            cuda = [torch.cuda.current_device()] if self.device.type == "cuda" else []
            stack.enter_context(torch.random.fork_rng(devices=cuda))
            if self.options.precision == "float32":
                stack.enter_context(exact())
            network = self._stages(None if self.folder is None else read_state(self.folder, how=self.how))
            self.processes.wait()
            return network

    def _stages(self, state: State | None) -> nn.Module:
        network: nn.Module | None = None
        for number, stage in enumerate(self.recipe.stages):
            torch.manual_seed(seed_of(self.recipe.seed, "initialisation", number))
            if network is None:
                network, head = network_of(self.recipe, num_classes(stage), data_dir=self.data_dir)
                network = network.to(self.device)
                if self.device.type == "cuda":
                    network = network.to(memory_format=torch.channels_last)
                    network = self.processes.with_batch_statistics(network)
            if stage.head_fit is not None:
                head = self._fit_head(network, head, number)
                continue
            if stage.fresh_head or (number == 0 and stage.objective is None):
                prepare_head(network, head, classes=num_classes(stage), fresh=stage.fresh_head)
                network = network.to(self.device)
            if state is None or state.stage <= number:
                resumed = state if state is not None and state.stage == number else None
                StageRun(self, network, network.get_submodule(head), number=number).go(resumed)
        assert network is not None, "a recipe has at least one stage"
        return network.requires_grad_(False).eval()

    def _fit_head(self, network: nn.Module, head: str, number: int) -> str:
        """Fit a last layer to the features of a stage; gives the name of its classifier."""
        stage = self.recipe.stages[number]
        assert stage.head_fit is not None
        key = (self.recipe.seed, number)
        feed = Feed(stage, self.preprocess, key=key, data_dir=self.data_dir, whole=False)
        data = feature_set(
            network, head, feed, self.preprocess, device=self.device, precision=self.options.precision
        )
        fit = head_fit_of(stage.head_fit)
        layer = fit.build(width_of(network, head), data.classes)
        fit.fit(layer, data, seed=seed_of(self.recipe.seed, "head", number))
        self.told(number, 1)
        return put_head(network, head, layer.to(self.device))

    def _noise(self) -> list[dict[str, object]]:
        """What the noise of each stage that has some came to."""
        found: list[dict[str, object]] = []
        for number, stage in enumerate(self.recipe.stages):
            if stage.noise is not None:
                key = (self.recipe.seed, number)
                feed = Feed(stage, self.preprocess, key=key, data_dir=self.data_dir, whole=False)
                assert feed.noisy is not None, "the stage has noise"
                found.append({"stage": number, **realised(stage.noise, feed.noisy)})
        return found

    def told(self, number: int, step: int) -> None:
        """Tell how far it is."""
        if self._progress is not None and self.processes.first:
            self._progress(sum(self.steps[:number]) + step, sum(self.steps))

    def save(self, network: nn.Module, target: Path, *, epoch: int | None = None) -> None:
        """Write weights with what they come from."""
        from safetensors.torch import save

        from shifts.local import write_atomic

        record: dict[str, object] = {
            "model": self.name,
            "recipe": identity(self.recipe),
            "seed": self.recipe.seed,
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }
        noise = self._noise()
        if noise:
            record["noise"] = noise
        if epoch is not None:
            record["epoch"] = epoch
        if self.processes.count > 1:
            record["processes"] = self.processes.count
        if (self.device.type, self.options.precision) != ("cpu", "float32"):
            record |= {"device": self.device.type, "precision": self.options.precision}
        # One entry only: safetensors writes several in an order that changes from call to call.
        metadata = {"robustbench_shift": json.dumps(record, sort_keys=True)}
        tensors = {name: tensor.to("cpu").contiguous() for name, tensor in folded_state(network).items()}
        write_atomic(target, save(tensors, metadata=metadata))


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if number is None else number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
