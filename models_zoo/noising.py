"""The noise of a stage: drawn for the examples that it trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.label_noise import NONE, apply

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.recipe import Stage
    from shifts.data import Shift
    from shifts.label_noise import LabelNoise, Noisy

    Integers = NDArray[np.int64]


def noise_in(
    stage: Stage, shift: Shift, rows: Integers, *, captions: Sequence[str] | None, others: Shift | None
) -> Noisy | None:
    """What the stage's noise makes of the examples ``rows`` of its distribution; None without noise.

    Raises:
        UserError: the noise asks for what these examples do not have.
    """
    if stage.noise is None:
        return None
    return apply(
        stage.noise,
        ids=[shift.example_ids[row] for row in rows.tolist()],
        labels=shift.labels[rows],
        num_classes=shift.num_classes,
        captions=captions,
        others=None if others is None else len(others),
    )


def realised(noise: LabelNoise, noisy: Noisy) -> dict[str, Any]:
    """What the weights' file says of the noise they were trained with."""
    return {
        "kind": noise.kind,
        "rate": noise.rate,
        "seed": noise.seed,
        "realised": noisy.rate,
        "realised_by_class": list(noisy.class_rates),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Images of another set in the places of some: row of the base → position in the other set."""

    places: Mapping[int, int] = field(default_factory=dict)
    others: Shift | None = None

    @classmethod
    def of(cls, position: Integers, foreign: Integers, others: Shift) -> Replaced:
        """The rows ``position`` (N,) of the base whose entry in ``foreign`` (N,) is not ``NONE``."""
        taken = np.flatnonzero(foreign != NONE)
        pairs = zip(position[taken].tolist(), foreign[taken].tolist(), strict=True)
        return cls(places=dict(pairs), others=others)

    def image(self, row: int) -> NDArray[np.uint8] | None:
        """The image uint8 (H, W, 3) in the place of a row of the base; None where its own stays."""
        place = self.places.get(row)
        return None if place is None or self.others is None else self.others.item(place)
