"""Effective robustness: its parts by hand, and its interval against planted truths."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import special, stats

from benchmark.intervals import wilson
from benchmark.lines import BaselineFit
from benchmark.robustness import EffectiveRobustness, effective_robustness, relative_robustness
from shifts.errors import ResultsError
from tests.benchmark.made_lines import (
    certain,
    fitted,
    point,
    points_of,
    scattered,
)


def test_the_value_is_a_difference_of_plain_accuracies() -> None:
    fit = fitted(scattered())
    found = effective_robustness(fit, wilson(700, 1000), wilson(600, 1000))
    assert found.expected == pytest.approx(special.ndtr(fit.slope * special.ndtri(0.7) + fit.intercept))
    assert found.value == pytest.approx(0.6 - found.expected)
    assert found.low < found.value < found.high
    assert (found.estimate.n, found.n_models, found.scale) == (1000, 15, "probit")


def test_the_interval_combines_line_and_accuracies() -> None:
    # Symmetric bounds of many examples: the delta method by hand.
    fit = fitted(scattered(200))
    reference, shift = wilson(700_000, 1_000_000), wilson(600_000, 1_000_000)
    found = effective_robustness(fit, reference, shift)
    x = special.ndtri(0.7)
    y = fit.intercept + fit.slope * x
    density = stats.norm.pdf
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, 198)
    of_shift = z * np.sqrt(0.6 * 0.4 / 1e6)
    of_reference = z * fit.slope * density(y) / density(x) * np.sqrt(0.7 * 0.3 / 1e6)
    of_line = t * fit.residual_sd * np.sqrt(1 / 200 + (x - fit.x_mean) ** 2 / fit.sxx) * density(y)
    half = np.sqrt(of_shift**2 + of_reference**2 + of_line**2)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=1e-4)
    band = fit.band(0.7)
    exact = effective_robustness(fit, certain(0.7), certain(0.6))
    assert (exact.low, exact.high) == pytest.approx((0.6 - float(band.high), 0.6 - float(band.low)))


def test_a_falling_line_carries_the_noise_of_the_reference_too() -> None:
    falling = fitted(points_of([(0.5, 0.52), (0.6, 0.4), (0.7, 0.31), (0.8, 0.2), (0.9, 0.11)]))
    sure = effective_robustness(falling, certain(0.7), certain(0.5))
    noisy = effective_robustness(falling, wilson(35, 50), certain(0.5))
    assert noisy.low < sure.low - 0.02 and noisy.high > sure.high + 0.02


def test_bounds_of_another_level_are_rescaled() -> None:
    fit = fitted(scattered())
    wide = effective_robustness(fit, wilson(7000, 10_000, level=0.99), wilson(6000, 10_000, level=0.99))
    same = effective_robustness(fit, wilson(7000, 10_000), wilson(6000, 10_000))
    assert (wide.low, wide.high) == pytest.approx((same.low, same.high), abs=1e-4)
    broader = effective_robustness(fit, wilson(7000, 10_000), wilson(6000, 10_000), level=0.99)
    assert broader.low < same.low and broader.estimate.level == 0.99


def test_flags_of_effective_robustness() -> None:
    fit = fitted(scattered(noise=0.02))
    inside, top = 0.7, fit.reference_range[1]
    n = 10_000

    def flags(reference: float, shift: float, fit: BaselineFit = fit) -> tuple[str, ...]:
        return effective_robustness(fit, wilson(round(reference * n), n), wilson(round(shift * n), n)).flags

    assert flags(inside, fit.expected(inside) + 0.1) == ()
    assert flags(inside, fit.expected(inside)) == ("within noise",)
    assert flags(top + 0.04, 0.99) == ("extrapolated",)
    assert "extrapolated" not in flags(top + 0.002, 0.99)  # within the noise of the reference accuracy
    assert "weak fit" in flags(inside, 0.99, fitted(scattered(noise=2.0)))
    # Above the mean line beyond doubt, yet where many a baseline model lies.
    loose = fitted(scattered(400, noise=0.2))
    found = effective_robustness(loose, certain(inside), certain(loose.expected(inside) + 0.05))
    assert found.low > 0 and found.flags == ("within noise",)


def test_a_member_is_compared_with_the_others() -> None:
    points = scattered()
    fit = fitted(points)
    member = points[4]
    own = (
        wilson(round(member.reference_accuracy * 10_000), 10_000),
        wilson(round(member.shift_accuracy * 10_000), 10_000),
    )
    alone = effective_robustness(fit, *own, model=member.model)
    assert alone == effective_robustness(fit.without(member.model), *own)
    assert alone.n_models == 14
    assert abs(alone.value) > abs(effective_robustness(fit, *own).value)
    assert effective_robustness(fit, *own, model="stranger").n_models == 15


@pytest.mark.parametrize("right", [0, 50])
def test_a_perfect_or_hopeless_model_has_a_finite_value(right: int) -> None:
    found = effective_robustness(fitted(scattered()), wilson(right, 50), wilson(right, 50))
    assert np.isfinite([found.value, found.low, found.high]).all()
    assert found.expected == pytest.approx(fitted(scattered()).expected(right / 50, n=50))


@pytest.mark.parametrize(
    ("members", "span", "n", "shift_n", "scatter", "accuracy", "planted"),
    [
        (40, (0.60, 0.85), 50_000, 10_000, 0.02, 0.80, 0.03),
        (15, (0.60, 0.95), 600, 600, 0.05, 0.90, -0.05),
    ],
    ids=["imagenet-like", "digits-like"],
)
def test_the_interval_covers_the_planted_effective_robustness(
    members: int,
    span: tuple[float, float],
    n: int,
    shift_n: int,
    scatter: float,
    accuracy: float,
    planted: float,
) -> None:
    # Planted: a probit line of slope 0.95 and intercept -0.3; members with true reference accuracies drawn
    # from the span and normal scatter around the line; a model that truly lies `planted` above the line.
    # Every accuracy is then measured with binomial noise.
    rng = np.random.default_rng(0)
    truth = special.ndtr(0.95 * special.ndtri(accuracy) - 0.3) + planted
    covered, repeats = 0, 1000
    for _ in range(repeats):
        x = special.ndtri(rng.uniform(*span, size=members))
        y = 0.95 * x - 0.3 + rng.normal(0, scatter, size=members)
        a, b = rng.binomial(n, special.ndtr(x)) / n, rng.binomial(shift_n, special.ndtr(y)) / shift_n
        fit = fitted([point(str(i), a[i], b[i], n=n, shift_n=shift_n) for i in range(members)])
        found = effective_robustness(
            fit, wilson(int(rng.binomial(n, accuracy)), n), wilson(int(rng.binomial(shift_n, truth)), shift_n)
        )
        covered += found.low <= planted <= found.high
    assert 0.93 <= covered / repeats <= 0.97


def test_json_gives_back_the_same_effective_robustness() -> None:
    found = effective_robustness(fitted(scattered()), wilson(70, 100), wilson(60, 100))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"value", "low", "high", "scale", "baseline", "r2", "flags"} <= set(document)
    assert EffectiveRobustness.from_json(document) == found
    for wrong in ({**document, "extra": 1}, {k: v for k, v in document.items() if k != "flags"}):
        with pytest.raises(ResultsError):
            EffectiveRobustness.from_json(wrong)


def test_relative_robustness_is_newcombes_difference() -> None:
    # Newcombe 1998 (Statist. Med. 17, 873), method 10: 56/70 against 48/80 gives 0.0524 to 0.3339.
    found = relative_robustness(wilson(56, 70), wilson(48, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


# The world
