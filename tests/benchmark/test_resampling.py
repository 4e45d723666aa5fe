"""The paired bootstrap against brute force, on planted answers and on real ones."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from benchmark.resampling import paired_effective_robustness


def planted(models: int, n: int, *, seed: int = 0, above: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Answers (models + 1, n) on two sets whose images differ in hardness; the first model is special."""
    rng = np.random.default_rng(seed)
    ability = np.concatenate([[0.6], np.linspace(-0.3, 1.5, models)])
    sets = []
    for harder, gain in ((0.0, 0.0), (0.4, above)):
        lift = np.zeros(models + 1)
        lift[0] = gain
        score = (
            (ability + lift - harder)[:, None] + rng.normal(0, 0.7, n) + rng.normal(0, 0.7, (models + 1, n))
        )
        sets.append(score > 0)
    return sets[0], sets[1]


def brute_force(reference: np.ndarray, shift: np.ndarray, *, resamples: int, over_models: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(resamples):
        x = reference[:, rng.integers(0, reference.shape[1], reference.shape[1])].mean(axis=1)
        y = shift[:, rng.integers(0, shift.shape[1], shift.shape[1])].mean(axis=1)
        pick = np.arange(1, len(x))
        if over_models:
            pick = rng.integers(1, len(x), len(x) - 1)
        line = stats.linregress(special.ndtri(x[pick]), special.ndtri(y[pick]))
        found.append(y[0] - special.ndtr(line.intercept + line.slope * special.ndtri(x[0])))
    return np.array(found)


@pytest.mark.parametrize("over_models", [True, False])
def test_intervals_agree_with_brute_force(over_models: bool) -> None:
    reference, shift = planted(20, 2000)
    fast = paired_effective_robustness(
        reference[0],
        shift[0],
        members_reference=reference[1:],
        members_shift=shift[1:],
        over_models=over_models,
    )
    slow = brute_force(reference, shift, resamples=800, over_models=over_models)
    assert fast.high - fast.low == pytest.approx(np.ptp(np.quantile(slow, [0.025, 0.975])), rel=0.15)
    assert (fast.high + fast.low) / 2 == pytest.approx(slow.mean(), abs=0.15 * slow.std())


@pytest.mark.parametrize("version", ["v4", "v6"])
def test_intervals_agree_with_brute_force_on_cifar_10_1(version: str, real_data: Path) -> None:
    stored = np.load(real_data / "published_results" / "cifar10_1" / "model_predictions.npz")
    reference = stored["pred_orig"] == stored["labels_orig"]
    shift = stored[f"pred_{version}"] == stored[f"labels_{version}"]
    fast = paired_effective_robustness(
        reference[0], shift[0], members_reference=reference[1:], members_shift=shift[1:]
    )
    slow = brute_force(reference, shift, resamples=400, over_models=True)
    assert fast.high - fast.low == pytest.approx(np.ptp(np.quantile(slow, [0.025, 0.975])), rel=0.2)


def test_intervals_agree_with_brute_force_on_imagenet_v2(real_data: Path) -> None:
    stored = np.load(real_data / "published_results" / "imagenetv2" / "model_predictions.npz")
    bits = [name for name in stored.files if name.startswith("correct_top1_bits_")]
    val = next(name for name in bits if name.endswith("val"))
    matched = next(name for name in bits if "matched" in name)
    reference = np.unpackbits(stored[val], axis=1)[:, :50_000:5].astype(bool)
    shift = np.unpackbits(stored[matched], axis=1)[:, :10_000:2].astype(bool)
    chosen = [30, 2, 8, 14, 20, 26, 40, 45, 50, 56, 60]
    reference, shift = reference[chosen], shift[chosen]
    fast = paired_effective_robustness(
        reference[0], shift[0], members_reference=reference[1:], members_shift=shift[1:], over_models=False
    )
    slow = brute_force(reference, shift, resamples=300, over_models=False)
    assert fast.high - fast.low == pytest.approx(np.ptp(np.quantile(slow, [0.025, 0.975])), rel=0.25)


def test_shared_images_make_the_interval_narrower() -> None:
    """Against the same answers with every model on images of its own."""
    reference, shift = planted(20, 2000)
    paired = paired_effective_robustness(
        reference[0], shift[0], members_reference=reference[1:], members_shift=shift[1:], over_models=False
    )
    rng = np.random.default_rng(2)
    apart = [np.array([rng.permutation(row) for row in one]) for one in (reference, shift)]
    unpaired = paired_effective_robustness(
        apart[0][0],
        apart[1][0],
        members_reference=apart[0][1:],
        members_shift=apart[1][1:],
        over_models=False,
    )
    assert paired.high - paired.low < 0.9 * (unpaired.high - unpaired.low)


def test_planted_truths_are_covered() -> None:
    above, hits = 0.3, 0
    # The truth of the construction, by a run on very many images.
    many = planted(20, 400_000, seed=99, above=above)
    truth = paired_effective_robustness(
        many[0][0], many[1][0], members_reference=many[0][1:], members_shift=many[1][1:], resamples=10
    ).value
    for seed in range(60):
        reference, shift = planted(20, 600, seed=seed, above=above)
        found = paired_effective_robustness(
            reference[0],
            shift[0],
            members_reference=reference[1:],
            members_shift=shift[1:],
            resamples=1000,
            over_models=False,
            seed=seed,
        )
        hits += found.low <= truth <= found.high
    assert 52 <= hits <= 60


def test_equal_seeds_give_equal_intervals() -> None:
    reference, shift = planted(8, 300)
    found = [
        paired_effective_robustness(
            reference[0], shift[0], members_reference=reference[1:], members_shift=shift[1:], seed=seed
        )
        for seed in (3, 3, 4)
    ]
    assert found[0] == found[1] != found[2]


def test_two_hundred_models_take_about_a_second() -> None:
    reference, shift = planted(200, 10_000)
    took = []
    for _ in range(3):
        start = time.process_time()
        paired_effective_robustness(
            reference[0], shift[0], members_reference=reference[1:], members_shift=shift[1:], resamples=10_000
        )
        took.append(time.process_time() - start)
    # Below a second on a free machine; CPU time of two threads on a busy one is more.
    assert min(took) < 3


def test_answers_that_do_not_fit_are_refused() -> None:
    reference, shift = planted(5, 100)
    with pytest.raises(ValueError, match="do not fit"):
        paired_effective_robustness(
            reference[0, :50], shift[0], members_reference=reference[1:], members_shift=shift[1:]
        )
    with pytest.raises(ValueError, match="four or more"):
        paired_effective_robustness(
            reference[0], shift[0], members_reference=reference[1:4], members_shift=shift[1:4]
        )
    same = np.ones((6, 100), bool)
    with pytest.raises(ValueError, match="no line"):
        paired_effective_robustness(same[0], same[0], members_reference=same[1:], members_shift=same[1:])
