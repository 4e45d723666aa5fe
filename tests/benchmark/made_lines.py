"""Baseline points and lines for the tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy import special

from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit, BaselinePoint, Method, fit_baseline
from benchmark.scales import Scale

TRANSFORM = {"probit": special.ndtri, "logit": special.logit, "linear": lambda accuracy: accuracy}
INVERSE = {"probit": special.ndtr, "logit": special.expit, "linear": lambda x: x}
SCALES: tuple[Scale, ...] = ("probit", "logit", "linear")


def point(
    model: str, reference: float, shift: float, *, n: int | None = None, shift_n: int | None = None
) -> BaselinePoint:
    return BaselinePoint(
        model=model,
        reference_accuracy=reference,
        reference_n=n,
        shift_accuracy=shift,
        shift_n=shift_n,
        family="standard",
    )


def points_of(pairs: Iterable[tuple[float, float]], *, n: int | None = None) -> list[BaselinePoint]:
    return [point(f"m{row}", a, b, n=n, shift_n=n) for row, (a, b) in enumerate(pairs)]


def fitted(
    points: list[BaselinePoint], *, scale: Scale = "probit", method: Method = "least-squares"
) -> BaselineFit:
    return fit_baseline(points, reference="reference", shift="shift", scale=scale, method=method)


def scattered(count: int = 15, *, seed: int = 0, noise: float = 0.1) -> list[BaselinePoint]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 1.5, count)
    return points_of(
        zip(special.ndtr(x), special.ndtr(0.9 * x - 0.4 + rng.normal(0, noise, count)), strict=True)
    )


def certain(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, method="known", n=10**9)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


# Lines
