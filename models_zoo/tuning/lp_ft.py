"""Linear probing, then full fine-tuning: the fresh head does not distort the features it starts on."""

from __future__ import annotations

from typing import Any

from models_zoo.recipe import Stage
from models_zoo.tuning.fine_tune import fine_tune
from models_zoo.tuning.linear_probe import linear_probe


def lp_ft(
    shift: str, *, probe: dict[str, Any] | None = None, tune: dict[str, Any] | None = None, **both: Any
) -> tuple[Stage, Stage]:
    """The two stages of LP-FT (Kumar et al., arXiv 2202.10054).

    Args:
        probe, tune: arguments of ``linear_probe`` and of ``fine_tune`` alone.
        both: arguments of both.
    """
    return linear_probe(shift, **both, **(probe or {})), fine_tune(shift, **both, **(tune or {}))
