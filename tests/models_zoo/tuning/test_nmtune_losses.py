"""The terms of NMTune: by hand, by torch's own means, by numeric gradients, and by what each does alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models_zoo.tuning.nmtune_losses import consistency, covariance, dominance
from shifts.errors import UserError

Term = Callable[[torch.Tensor], torch.Tensor]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    values: NDArray[np.float64] = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(values)


def shares(values: torch.Tensor) -> NDArray[np.float64]:
    """Singular values of the centred features as shares of their sum."""
    found = np.linalg.svd((values - values.mean(dim=0)).detach().numpy(), compute_uv=False)
    normalised: NDArray[np.float64] = found / found.sum()
    return normalised


def entropy(values: torch.Tensor) -> float:
    some = shares(values)
    return float(-(some * np.log(np.maximum(some, 1e-300))).sum())


def ratio(values: torch.Tensor) -> float:
    found = np.linalg.svd(values.detach().numpy(), compute_uv=False)
    return float(-math.log(found[0] / found.sum()))


def descend(term: Term, start: torch.Tensor, *, rate: float = 0.05, steps: int = 200) -> torch.Tensor:
    values = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([values], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        term(values).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return values.detach()


def test_consistency_is_the_squared_distance_of_directions() -> None:
    """Directions at 60° are one apart, equal ones nothing, opposite ones two: the mean of 1, 0 and 4."""
    f = torch.tensor([[5.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    z = torch.tensor([[0.5, math.sqrt(3) / 2], [0.0, 7.0], [-3.0, 0.0]])
    assert float(consistency(f, z)) == pytest.approx(5 / 3)
    cosine = torch.nn.functional.cosine_similarity(f, z)
    assert float(consistency(f, z)) == pytest.approx(float((2 - 2 * cosine).mean()))


def test_covariance_is_that_of_numpy() -> None:
    z = random(9, 4)
    matrix = np.cov(z.numpy(), rowvar=False)
    off = matrix - np.diag(np.diag(matrix))
    assert float(covariance(z)) == pytest.approx((off**2).sum() / 4)
    assert float(covariance(z + 100.0)) == pytest.approx((off**2).sum() / 4)


def test_dominance_is_the_share_of_the_leading_singular_values() -> None:
    z = torch.diag(torch.tensor([6.0, 3.0, 1.0]))
    assert float(dominance(z)) == pytest.approx(0.6)
    assert float(dominance(z, leading=2)) == pytest.approx(0.45)
    assert float(dominance(z, leading=3)) == pytest.approx(1 / 3)
    assert ratio(z) == pytest.approx(-math.log(float(dominance(z))))


def test_gradients_equal_numeric_ones() -> None:
    f, z = random(6, 4), random(6, 4, seed=1).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda one: consistency(f, one), (z,))
    assert torch.autograd.gradcheck(covariance, (z,))
    assert torch.autograd.gradcheck(dominance, (z,))
    assert torch.autograd.gradcheck(lambda one: dominance(one, leading=3), (z,))


def test_lowering_the_covariance_raises_the_entropy_of_singular_values() -> None:
    start = random(64, 8) @ random(8, 8, seed=1)
    assert entropy(descend(covariance, start)) > entropy(start) + 0.1


def test_raising_the_dominance_lowers_the_ratio() -> None:
    start = random(64, 8)
    assert ratio(descend(lambda z: -dominance(z), start)) < ratio(start) - 0.5


def test_consistency_alone_brings_the_features_back() -> None:
    f, start = random(64, 8), random(64, 8, seed=1)
    assert float(consistency(f, start)) > 1.0
    assert float(consistency(f, descend(lambda z: consistency(f, z), start))) < 0.01


def test_batches_that_are_too_small_are_refused() -> None:
    with pytest.raises(UserError, match="2 or more"):
        covariance(random(1, 4))
    with pytest.raises(UserError, match="3 singular values, not 5"):
        dominance(random(3, 8), leading=5)
