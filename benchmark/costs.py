"""What evaluating many models on many shifts costs: accelerator hours, core hours, bytes. Pure numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Bytes of a row of stored predictions, compressed: 54 to 56 in files of this project with 10 classes, 59 with
# 1,000 classes and ids such as ILSVRC2012_val_00000001.
ROW = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What was measured on the machines at hand.

    Attributes:
        forward: images a second of one accelerator, of each kind of model.
        decode: images a second that one core decodes and resizes.
        corrupt: images a second that one core, or one accelerator, perturbs; None where nothing is perturbed.
    """

    forward: Mapping[str, float]
    decode: float
    corrupt: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a whole run.

    Attributes:
        evaluations: cells, a cell being one model on one shift.
        images: forward passes, an image for each model and shift.
        accelerator_hours: of forward passes.
        core_hours: of decoding and perturbing.
        prediction_bytes: of what is stored.
    """

    evaluations: int
    images: int
    accelerator_hours: float
    core_hours: float
    prediction_bytes: int


def evaluation_cost(
    models: Mapping[str, int],
    shifts: Iterable[tuple[int, bool]],
    *,
    rates: Rates,
    sharing: int = 1,
) -> Cost:
    """Cost of every model on every shift.

    Forward passes take ``Σ_kind models · Σ_shift images / forward``; an image is decoded, and perturbed, once
    for each ``sharing`` models that are open together.

    Args:
        models: how many of each kind in ``rates.forward``.
        shifts: images of each, and whether they are perturbed on the way.
        sharing: models in memory together (``benchmark.pieces.GROUP`` of an executor).

    Raises:
        KeyError: a kind whose rate is not known.
        ValueError: a rate or ``sharing`` that is not above 0; perturbed shifts without a rate.

    >>> rates = Rates(forward={"resnet50": 10}, decode=5)
    >>> cost = evaluation_cost({"resnet50": 2}, [(36_000, False)], rates=rates)
    >>> cost.images, cost.accelerator_hours, cost.core_hours, cost.prediction_bytes
    (72000, 2.0, 4.0, 4320000)
    """
    known = list(shifts)
    if min([*rates.forward.values(), rates.decode, rates.corrupt or 1.0, sharing]) <= 0:
        raise ValueError("rates and sharing are above 0")
    if rates.corrupt is None and any(perturbed for _, perturbed in known):
        raise ValueError("how fast images are perturbed is not known")
    number, images = sum(models.values()), sum(size for size, _ in known)
    reads = -(-number // sharing)
    perturbed = sum(size for size, is_perturbed in known if is_perturbed)
    forward = sum(count * images / rates.forward[kind] for kind, count in models.items())
    cores = reads * (images / rates.decode + (perturbed / rates.corrupt if rates.corrupt else 0.0))
    return Cost(
        evaluations=number * len(known),
        images=number * images,
        accelerator_hours=forward / 3600,
        core_hours=cores / 3600,
        prediction_bytes=number * images * ROW,
    )
