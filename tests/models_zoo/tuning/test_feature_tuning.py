"""Heads fitted to features: held to scikit-learn, to loops written out by hand, the same bits twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from models_zoo.tuning.heads import FeatureSet, HeadFit, head_fit_of
from models_zoo.tuning.methods import METHODS
from models_zoo.tuning.mlp_tuning import MLPTuning, TransformedHead
from models_zoo.tuning.nmtune import NMTune
from models_zoo.tuning.nmtune_losses import consistency, covariance, dominance
from models_zoo.tuning.probe_on_features import ProbeLBFGS, ProbeSGD
from shifts.data import generator
from shifts.errors import UserError


def data(n: int = 150, dim: int = 6, classes: int = 3, *, apart: float = 1.5) -> FeatureSet:
    """Three overlapping clouds, far from the origin."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, n)
    centres = apart * draw.normal(size=(classes, dim))
    features = 3.0 + centres[labels] + draw.normal(size=(n, dim))
    return FeatureSet(features=features.astype(np.float32), labels=labels.astype(np.int64), classes=classes)


def fitted(way: HeadFit, given: FeatureSet, *, seed: int = 0) -> nn.Module:
    head = way.build(given.features.shape[1], given.classes)
    way.fit(head, given, seed=seed)
    return head


def logits(head: nn.Module, given: FeatureSet) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = head(torch.from_numpy(given.features)).numpy()
    return found


def accuracy(head: nn.Module, given: FeatureSet) -> float:
    return float((logits(head, given).argmax(axis=1) == given.labels).mean())


@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
def test_the_optimum_is_scikit_learns(ridge: float) -> None:
    given = data()
    theirs = LogisticRegression(C=1 / ridge, max_iter=10000, tol=1e-10).fit(given.features, given.labels)
    head = fitted(ProbeLBFGS(ridge=ridge), given)
    ours = torch.softmax(torch.from_numpy(logits(head, given)), dim=1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(given.features), atol=1e-3)


def test_the_optimum_is_found_for_features_of_any_size() -> None:
    given = data()
    large = dataclasses.replace(given, features=1e3 * given.features + 1e4)
    head = fitted(ProbeLBFGS(), large)
    assert accuracy(head, large) >= accuracy(fitted(ProbeLBFGS(ridge=1e-3), given), given) - 0.02


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_and_repeats_itself(name: str) -> None:
    given = data(n=1500)
    way = head_fit_of(METHODS[name].fit)
    first = fitted(way, given, seed=3)
    torch.manual_seed(17)  # of no matter
    second = fitted(way, given, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert accuracy(first, given) > 0.8
    assert not first.training
    linear = [module for module in first.modules() if isinstance(module, nn.Linear)]
    assert (linear[-1].in_features, linear[-1].out_features) == (6, 3)


def test_another_seed_gives_another_head_but_for_the_optimum() -> None:
    given = data()
    for way, moves in ((ProbeSGD(), True), (NMTune(), True), (ProbeLBFGS(), False)):
        one, two = (logits(fitted(way, given, seed=seed), given) for seed in (0, 1))
        assert np.array_equal(one, two) != moves


def test_the_loop_equals_one_written_out() -> None:
    """150 examples in batches of 64: three of 50 in an epoch, in an order that seed and epoch give."""
    given, seed = data(), 5
    way = NMTune(epochs=2, consistency=0.3, covariance=0.2, dominance=0.1, leading=2, scale=0.5)
    torch.manual_seed(seed)
    head = TransformedHead(6, 3, scale=0.5)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-4)
    features, labels = torch.from_numpy(given.features), torch.from_numpy(given.labels)
    step = 0
    for epoch in range(2):
        order = generator(seed, "features", epoch).permutation(150)
        for part in range(3):
            rows = order[50 * part : 50 * part + 50]
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * step / 6))
            f = features[rows]
            z = head.scale * head.mlp(f) + f
            loss = nn.functional.cross_entropy(head.classifier(z), labels[rows])
            loss = loss + 0.3 * consistency(f, z) + 0.2 * covariance(z) - 0.1 * dominance(z, leading=2)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
    expected = logits(head.eval(), given)
    np.testing.assert_allclose(logits(fitted(way, given, seed=seed), given), expected, atol=1e-3)


def test_without_its_terms_nmtune_is_mlp_tuning() -> None:
    given = data()
    bare = NMTune(consistency=0.0, covariance=0.0, dominance=0.0)
    np.testing.assert_array_equal(
        logits(fitted(bare, given), given), logits(fitted(MLPTuning(), given), given)
    )


def test_second_views_enter_the_loss() -> None:
    """Cross-entropy is the mean over both views; the consistency that of the second's Z."""
    torch.manual_seed(0)
    head = TransformedHead(6, 3).eval()
    f, g, labels = torch.randn(8, 6), torch.randn(8, 6), torch.arange(8) % 3
    ce = nn.functional.cross_entropy
    expected = (ce(head(f), labels) + ce(head(g), labels)) / 2
    assert MLPTuning().loss(head, f, g, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    only = NMTune(consistency=1.0, covariance=0.0, dominance=0.0, mean_over_features=True)
    expected = expected + consistency(f, head.tuned(g)) / 6
    assert only.loss(head, f, g, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    given = data()
    other = dataclasses.replace(given, views=given.features[::-1].copy())
    assert not np.array_equal(logits(fitted(NMTune(), given), given), logits(fitted(NMTune(), other), given))


def test_the_terms_move_the_statistics_of_what_is_tuned() -> None:
    """Covariance down, dominance up, consistency down: each against the same network without terms."""
    given = data(n=300, dim=16, apart=0.5)
    features = torch.from_numpy(given.features)

    def tuned(**weights: float) -> torch.Tensor:
        way = NMTune(**{"consistency": 0.0, "covariance": 0.0, "dominance": 0.0, **weights})
        head = fitted(way, given)
        assert isinstance(head, TransformedHead)
        with torch.no_grad():
            return head.tuned(features)

    plain = tuned()
    assert covariance(tuned(covariance=1.0)) < 0.5 * covariance(plain)
    assert dominance(tuned(dominance=1.0)) > dominance(plain) + 0.05
    assert consistency(features, tuned(consistency=1.0)) < 0.5 * consistency(features, plain)


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}):
        with pytest.raises(UserError, match="fitting to features needs"):
            ProbeSGD(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="0 or more"):
        NMTune(covariance=-0.1)
    with pytest.raises(UserError, match="ridge above 0"):
        ProbeLBFGS(ridge=0.0)
    with pytest.raises(UserError, match="not ended"):
        fitted(ProbeLBFGS(iterations=1), data())
    with pytest.raises(UserError, match="too few"):
        fitted(NMTune(), data(n=1))
    endless = dataclasses.replace(data(), features=np.full((150, 6), np.inf, np.float32))
    with pytest.raises(UserError, match="diverged"):
        fitted(ProbeSGD(epochs=1), endless)
