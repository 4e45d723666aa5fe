"""Gradient descent for logistic regression, against scikit-learn, finite differences and the theorem."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmark.logistic import descend, gradient, loss, minimiser_within, outside


def data(n: int = 200, d: int = 5, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs in a k-dimensional subspace, noisy labels, and the subspace."""
    draw = np.random.default_rng(3)
    basis = np.linalg.qr(draw.normal(size=(d, d)))[0][:, :k]
    inputs = draw.normal(size=(n, k)) @ basis.T
    chance = 1 / (1 + np.exp(-(inputs @ draw.normal(size=d))))
    return inputs, np.where(draw.random(n) < chance, 1.0, -1.0), basis


def test_gradient_is_that_of_the_loss() -> None:
    inputs, signs, _ = data()
    weights = np.random.default_rng(0).normal(size=(5, 2))
    found = gradient(weights, inputs, signs)
    step = 1e-6
    for row in range(5):
        moved = np.zeros((5, 2))
        moved[row] = step
        numeric = (loss(weights + moved, inputs, signs) - loss(weights - moved, inputs, signs)) / (2 * step)
        np.testing.assert_allclose(found[row], numeric, rtol=1e-6)


def test_descent_reaches_what_scikit_learn_finds() -> None:
    inputs, signs, basis = data()
    reached = descend(np.zeros((5, 1)), inputs, signs).weights[:, 0]
    reference = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=10_000)
    reference.fit(inputs @ basis, signs)
    np.testing.assert_allclose(reached, basis @ reference.coef_[0], atol=1e-5)
    np.testing.assert_allclose(minimiser_within(basis, inputs, signs), reached, atol=1e-9)


def test_the_limit_is_the_minimiser_plus_what_the_start_has_outside() -> None:
    inputs, signs, basis = data()
    starts = np.random.default_rng(1).normal(size=(5, 4)) * 3
    end = descend(starts, inputs, signs)
    expected = minimiser_within(basis, inputs, signs)[:, None] + outside(basis, starts)
    np.testing.assert_allclose(end.weights, expected, atol=1e-8)
    assert not np.allclose(end.weights[:, 0], end.weights[:, 1], atol=0.1), "the starts differ outside"
    for point in end.path:
        np.testing.assert_allclose(outside(basis, point), outside(basis, starts), atol=1e-12)


def test_the_bound_on_the_rate_holds() -> None:
    """Theorem 4.1: ‖w(t) − ŵ‖² ≤ 2K ‖P(w_init) − w*‖² / (m (t − 1)), m the curvature along the way."""
    inputs, signs, basis = data()
    start = basis @ np.ones((3, 1))
    ends = [descend(start, inputs, signs, tolerance=t) for t in (1e0, 1e-2, 1e-4)]
    limit = minimiser_within(basis, inputs, signs)
    distances = [float(np.linalg.norm(end.weights[:, 0] - limit)) for end in ends]
    smoothness = np.linalg.norm(inputs, 2) ** 2 / 4
    reduced = inputs @ basis
    chance = 1 / (1 + np.exp(-(reduced @ (basis.T @ limit))))
    curvature = np.linalg.eigvalsh(reduced.T @ (reduced * (chance * (1 - chance))[:, None]))[0] / 2
    before = float(np.linalg.norm(start[:, 0] - limit)) ** 2
    for end, distance in zip(ends, distances, strict=True):
        assert distance**2 <= 2 * smoothness * before / (curvature * max(end.steps - 1, 1))
    assert distances == sorted(distances, reverse=True)


def test_a_ridge_toward_zero_forgets_and_one_toward_the_start_keeps() -> None:
    inputs, signs, basis = data()
    starts = np.random.default_rng(1).normal(size=(5, 1))
    forgets = descend(starts, inputs, signs, ridge=1.0).weights
    keeps = descend(starts, inputs, signs, ridge=1.0, toward=starts).weights
    np.testing.assert_allclose(outside(basis, forgets), 0, atol=1e-9)
    np.testing.assert_allclose(outside(basis, keeps), outside(basis, starts), atol=1e-9)
    by_sklearn = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(inputs, signs)
    np.testing.assert_allclose(forgets[:, 0], by_sklearn.coef_[0], atol=1e-5)


def test_separable_data_have_no_minimiser() -> None:
    inputs = np.array([[1.0], [2.0], [-1.0]])
    signs = np.array([1.0, 1.0, -1.0])
    with pytest.raises(ValueError, match="separable"):
        descend(np.zeros((1, 1)), inputs, signs, max_steps=2000)
