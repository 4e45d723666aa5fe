"""Logistic regression by gradient descent, as in the theorem on what an initialisation decides.

Cohen-Wang et al. 2024, arXiv 2403.00194, Section 4 and Theorem 4.1: for data in a subspace, gradient descent
from ``w_init`` reaches the minimiser inside the subspace plus the part of ``w_init`` outside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Descent:
    """Where gradient descent ended.

    Attributes:
        weights: float64 (d, S), one column for each start.
        steps: taken.
        gradient_norm: of the last gradient, the largest of the columns.
        path: float64 (K, d, S), the weights at some steps, the start first.
    """

    weights: Floats
    steps: int
    gradient_norm: float
    path: Floats


def loss(weights: Floats, inputs: Floats, signs: Floats) -> Floats:
    """Sum over examples of log(1 + exp(−y wᵀx)), float64 (S,).

    Args:
        weights, inputs, signs: float64 (d, S), (N, d) and ±1 (N,).

    >>> round(float(loss(np.zeros((2, 1)), np.ones((3, 2)), np.ones(3))[0] / np.log(2)), 9)
    3.0
    """
    total: Floats = np.logaddexp(0.0, -signs[:, None] * (inputs @ weights)).sum(axis=0)
    return total


def gradient(weights: Floats, inputs: Floats, signs: Floats) -> Floats:
    """Of ``loss``: float64 (d, S)."""
    from scipy.special import expit

    slopes: Floats = -(inputs.T @ (signs[:, None] * expit(-signs[:, None] * (inputs @ weights))))
    return slopes


def descend(
    starts: Floats,
    inputs: Floats,
    signs: Floats,
    *,
    tolerance: float = 1e-10,
    max_steps: int = 200_000,
    ridge: float = 0.0,
    toward: Floats | None = None,
    keep: int = 50,
) -> Descent:
    """Gradient descent with the step 4 / ‖X‖² of the theorem, from several starts at once.

    Args:
        starts: float64 (d, S).
        inputs, signs: float64 (N, d) and ±1 (N,).
        tolerance: ends when the gradient is smaller.
        ridge: weight of ‖w − toward‖² / 2; the step then shrinks to 1 / (K + ridge).
        toward: float64 (d, S); zero where None.
        keep: how many points of the path, at steps that grow geometrically.

    Raises:
        ValueError: the descent has not ended after ``max_steps``, as for separable data, which have no
            minimiser.
    """
    pull = np.zeros_like(starts) if toward is None else toward
    step = 1.0 / (float(np.linalg.norm(inputs, 2)) ** 2 / 4.0 + ridge)
    kept = {int(at) for at in np.geomspace(1, max_steps, keep)}
    weights, path = starts.astype(np.float64), [starts.astype(np.float64)]
    for count in range(1, max_steps + 1):
        slope = gradient(weights, inputs, signs) + ridge * (weights - pull)
        size = float(np.abs(slope).max())
        if size < tolerance:
            path.append(weights)
            return Descent(weights=weights, steps=count - 1, gradient_norm=size, path=np.stack(path))
        weights = weights - step * slope
        if count in kept:
            path.append(weights)
    raise ValueError(
        f"gradient descent has not ended after {max_steps} steps (gradient {size:.1e}): separable data?"
    )


def minimiser_within(basis: Floats, inputs: Floats, signs: Floats) -> Floats:
    """The minimiser of ``loss`` inside a subspace, by Newton's method: float64 (d,).

    Args:
        basis: float64 (d, k), orthonormal columns.

    Raises:
        ValueError: there is none.
    """
    from scipy.special import expit

    reduced, inside = inputs @ basis, np.zeros(basis.shape[1])
    for _ in range(100):
        slope = gradient(inside[:, None], reduced, signs)[:, 0]
        if np.abs(slope).max() < 1e-11 * len(signs):
            return np.asarray(basis @ inside, dtype=np.float64)
        chance = expit(reduced @ inside)
        curvature = reduced.T @ (reduced * (chance * (1 - chance))[:, None])
        newton = np.linalg.solve(curvature, slope)
        scale, here = 1.0, loss(inside[:, None], reduced, signs)[0]
        while loss((inside - scale * newton)[:, None], reduced, signs)[0] > here and scale > 1e-6:
            scale /= 2
        inside = inside - scale * newton
    raise ValueError("the loss has no minimiser in the subspace: the data are separable")


def outside(basis: Floats, vectors: Floats) -> Floats:
    """The part of vectors (d, S) that is orthogonal to the columns of ``basis`` (d, k)."""
    rest: Floats = vectors - basis @ (basis.T @ vectors)
    return rest
