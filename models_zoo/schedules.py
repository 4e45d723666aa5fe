"""The learning rate of every step of a stage, as numbers: a run goes on anywhere without a scheduler."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models_zoo.recipe import Stage


def learning_rates(stage: Stage, *, steps: int, per_epoch: int, only: int | None = None) -> list[float]:
    """One learning rate for each of ``steps`` steps.

    During the warm-up of w steps the t-th (from 0) has the rate ``peak · (t + 1) / w``; after it:

    - ``cosine``: half a cosine from the peak down to 0, by the recursion of PyTorch's CosineAnnealingLR, so
      that the last bits are those of models trained with it;
    - ``triangular``: a straight line from the peak down to 0;
    - ``step``: the peak times ``factor`` for every milestone (in epochs) that is past;
    - ``constant``: the peak.

    Args:
        per_epoch: steps in an epoch.
        only: so many of the first steps, for a run that ends early.
    """
    end = steps if only is None else min(only, steps)
    warm = min(round(stage.warmup_epochs * per_epoch), steps)
    rising = [stage.learning_rate * (step + 1) / warm for step in range(min(warm, end))]
    return rising + _SHAPES[stage.schedule](stage, range(warm, end), steps, per_epoch)


def _cosine(stage: Stage, wanted: range, steps: int, per_epoch: int) -> list[float]:
    rates, rate, length = [], stage.learning_rate, steps - wanted.start
    for step in range(len(wanted)):
        if step:
            before = 1 + math.cos(math.pi * (step - 1) / length)
            rate = (1 + math.cos(math.pi * step / length)) / before * rate
        rates.append(rate)
    return rates


def _triangular(stage: Stage, wanted: range, steps: int, per_epoch: int) -> list[float]:
    return [stage.learning_rate * (steps - step) / (steps - wanted.start) for step in wanted]


def _step(stage: Stage, wanted: range, steps: int, per_epoch: int) -> list[float]:
    def past(step: int) -> int:
        return sum(step >= round(epoch * per_epoch) for epoch in stage.milestones)

    return [stage.learning_rate * stage.factor ** past(step) for step in wanted]


def _constant(stage: Stage, wanted: range, steps: int, per_epoch: int) -> list[float]:
    return [stage.learning_rate] * len(wanted)


_SHAPES = {"cosine": _cosine, "triangular": _triangular, "step": _step, "constant": _constant}
