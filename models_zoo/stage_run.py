"""One stage of a training: its steps, what is kept on the way, and where it stands."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from models_zoo.adapters import fold
from models_zoo.devices import uploaded
from models_zoo.feeding import Feed, Ready
from models_zoo.objectives import Batch, objective_of
from models_zoo.optimising import Average, learner, trained_parameters
from models_zoo.recipe import kept_file
from models_zoo.schedules import learning_rates
from models_zoo.stopping import stoppable
from models_zoo.train_state import State, restore, write_state
from shifts.data import generator
from shifts.errors import UserError

if TYPE_CHECKING:
    from models_zoo.training import Run

LOOKED_AT = 20  # steps between two looks at the loss: each makes the program wait for a GPU


class StageRun:
    """One stage of a training."""

    def __init__(self, run: Run, network: nn.Module, head: nn.Module, *, number: int) -> None:
        self.run, self.network, self.number = run, network, number
        self.stage = stage = run.recipe.stages[number]
        self.objective = objective_of(stage)
        self.trained = trained_parameters(network, head, stage)
        self.optimiser = learner(stage, self.trained)
        self.average = Average(network, stage.ema)
        precision, kind = run.options.precision, run.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=precision == "float16" and kind != "mps")
        self.forward = torch.compile(network) if run.options.compile else network
        self.rates = learning_rates(
            stage,
            steps=stage.epochs * run.per_epoch[number],
            per_epoch=run.per_epoch[number],
            only=run.options.steps,
        )
        # The last stage alone has checkpoints; one that is asked for ends the run.
        last = number == len(run.recipe.stages) - 1 and run.folder is not None
        self.kept = {epoch * run.per_epoch[number]: epoch for epoch in run.recipe.kept} if last else {}

    def go(self, state: State | None) -> None:
        """Train from the first step, or from where the state stands."""
        first, steps, run = 0, self.run.steps[self.number], self.run
        if state is not None:
            restore(state, self.network, self.optimiser)
            self.average.load(state.part("average"))
            self.scaler.load_state_dict(dict(state.scaler))
            first = state.step
        checkpoint = run.recipe.checkpoint
        if self.kept and checkpoint is not None:
            steps = min(steps, checkpoint * run.per_epoch[self.number])
        saved = time.monotonic()
        with stoppable() as stop:
            for step, (images, targets, total) in enumerate(self._batches(first, steps), start=first):
                loss, heard = self._step(step, images, targets, int(total), stop=stop.asked)
                stop.asked = stop.asked or heard
                # Several processes stop after a step before which one of them was asked to: all at the same.
                ends = stop.asked if run.processes.count == 1 else heard
                self._look_at(loss, step, last=step + 1 == steps)
                self._keep_after(step + 1)
                run.told(self.number, step + 1)
                if run.folder is not None and (ends or time.monotonic() > saved + self._pause):
                    self._save_state(step + 1)
                    saved = time.monotonic()
                if ends:
                    stop.now()
        if run.folder is not None and checkpoint is not None and self.kept:
            self._save_state(steps)  # the training of the whole model goes on from here
        self.average.into(self.network)
        fold(self.network)

    @property
    def _pause(self) -> float:
        return self.run.options.save_every

    def _batches(self, first: int, steps: int) -> Iterator[tuple[torch.Tensor, ...]]:
        run = self.run
        key = (run.recipe.seed, self.number)
        whole = None if run.options.steps is None else False
        feed = Feed(
            self.stage,
            run.preprocess,
            key=key,
            data_dir=run.data_dir,
            whole=whole,
            tokenise=self.objective.tokeniser(self.network),
            processes=run.processes,
        )
        workers = run.options.workers
        if workers is None:
            waits = run.device.type == "cpu" and feed.in_memory
            workers = 0 if waits else min(8, torch.get_num_threads() if run.recipe.threads is None else 2)
        ready = feed.batches(first, steps, workers=workers)
        return uploaded(map(_tensors, ready), run.device)

    def _step(
        self, step: int, images: torch.Tensor, targets: torch.Tensor, total: int, *, stop: bool
    ) -> tuple[torch.Tensor, bool]:
        """One step of all processes: the loss, and whether any of them was asked to stop."""
        stage, run = self.stage, self.run
        # Dropout and the like draw from here: from the number of the step alone, so that nothing of it has
        # to be saved.
        own = () if run.processes.first else (run.processes.rank,)
        torch.manual_seed(seed_of(run.recipe.seed, self.number, "torch", step, *own))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rates[step]
        self.optimiser.zero_grad(set_to_none=True)
        batch = Batch(
            images=images,
            targets=targets,
            total=total,
            size=run.options.microbatch or max(len(targets), 1),
            network=self.network,
            forward=self.forward,
            preprocess=run.preprocess,
            precision=run.options.precision,
            scaler=self.scaler,
            processes=run.processes,
        )
        loss, stop = run.processes.add_up(self.trained, self.objective.backward(batch), stop=stop)
        if stage.clip is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.trained, stage.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.follow(self.network)
        return loss, stop

    def _look_at(self, loss: torch.Tensor, step: int, *, last: bool) -> None:
        if self.run.options.watch is not None:
            self.run.options.watch(self.number, step, loss)
        if (last or step % LOOKED_AT == 0) and not math.isfinite(float(loss)):
            raise UserError(
                f"the training diverged: the loss of step {step + 1} of stage {self.number + 1} is no number",
                hint="lower the learning rate, clip the gradient, or train in float32",
            )

    def _keep_after(self, steps: int) -> None:
        """Keep the weights where an epoch that is to be kept has ended."""
        run = self.run
        epoch = self.kept.get(steps)
        if epoch is not None and run.folder is not None and run.processes.first:
            with self.average.in_place(self.network):
                run.save(self.network, kept_file(run.folder, epoch), epoch=epoch)

    def _save_state(self, step: int) -> None:
        assert self.run.folder is not None
        if not self.run.processes.first:
            return
        write_state(
            self.run.folder,
            stage=self.number,
            step=step,
            how=self.run.how,
            network=self.network,
            optimiser=self.optimiser,
            average=self.average.tensors,
            scaler=self.scaler.state_dict(),
        )


def _tensors(one: Ready) -> tuple[torch.Tensor, ...]:
    return torch.from_numpy(one.images), torch.from_numpy(one.targets), torch.tensor(one.total)


def seed_of(*key: object) -> int:
    """A seed for torch that follows from the key."""
    return int(generator(*key).integers(2**31))
