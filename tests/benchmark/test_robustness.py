"""Lines against SciPy and published fits; the effective robustness interval against planted truths."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from benchmark.diagnostics import influences, knee_test
from benchmark.estimate import Estimate
from benchmark.intervals import wilson
from benchmark.lines import BaselineFit, BaselinePoint, Method, fit_baseline
from benchmark.robustness import EffectiveRobustness, effective_robustness, relative_robustness
from benchmark.scales import Scale
from shifts.errors import FitError, ResultsError

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


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=4, max_size=30),
    st.sampled_from(SCALES),
)
def test_the_line_agrees_with_scipy(pairs: list[tuple[float, float]], scale: Scale) -> None:
    x, y = (TRANSFORM[scale](np.array(column)) for column in zip(*pairs, strict=True))
    if np.ptp(x) < 0.01 or np.ptp(y) < 0.01:
        return
    fit = fitted(points_of(pairs), scale=scale)
    line = stats.linregress(x, y)
    assert (fit.slope, fit.intercept) == pytest.approx((line.slope, line.intercept), rel=1e-7, abs=1e-7)
    assert fit.r2 == pytest.approx(line.rvalue**2, abs=1e-9)
    residuals = y - line.intercept - line.slope * x
    assert fit.residual_sd == pytest.approx(np.sqrt((residuals**2).sum() / (len(x) - 2)), abs=1e-9)
    off = np.array([b for _, b in pairs]) - fit.expected(np.array([a for a, _ in pairs]))
    assert fit.residual_sd_accuracy == pytest.approx(np.sqrt((off**2).sum() / (len(x) - 2)), abs=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_a_known_line_is_recovered(scale: Scale) -> None:
    a = np.array([0.4, 0.55, 0.6, 0.75, 0.8])
    b = INVERSE[scale](0.9 * TRANSFORM[scale](a) - 0.1)
    for method in ("least-squares", "theil-sen"):
        fit = fitted(points_of(zip(a, b, strict=True)), scale=scale, method=method)  # type: ignore[arg-type]
        assert (fit.slope, fit.intercept, fit.r2) == pytest.approx((0.9, -0.1, 1.0))
        assert fit.expected(a) == pytest.approx(b)
        assert isinstance(fit.expected(0.5), float)


def test_theil_sen_agrees_with_scipy_and_shrugs_off_an_odd_model() -> None:
    points = scattered()
    x, y = (
        special.ndtri([getattr(p, name) for p in points]) for name in ("reference_accuracy", "shift_accuracy")
    )
    line = stats.theilslopes(y, x, method="joint")
    fit = fitted(points, method="theil-sen")
    assert (fit.slope, fit.intercept) == pytest.approx((line.slope, line.intercept))
    odd = [*points, point("odd", 0.95, 0.05)]
    assert abs(fitted(odd, method="theil-sen").slope - 0.9) < 0.15
    assert abs(fitted(odd).slope - 0.9) > 0.2


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_the_bands_agree_with_scipy(at: float) -> None:
    # The line's standard error at a point is that of the intercept after moving the origin there.
    points = scattered()
    a = np.array([p.reference_accuracy for p in points])
    b = np.array([p.shift_accuracy for p in points])
    fit = fitted(points, scale="linear")
    line = stats.linregress(a - at, b)
    half = stats.t.ppf(0.95, len(points) - 2) * line.intercept_stderr
    band = fit.band(at, level=0.9)
    assert float(band.expected) == pytest.approx(line.intercept)
    assert (float(band.low), float(band.high)) == pytest.approx(
        (line.intercept - half, line.intercept + half)
    )
    wider = fit.prediction_interval(at, level=0.9)
    half = stats.t.ppf(0.95, len(points) - 2) * np.hypot(line.intercept_stderr, fit.residual_sd)
    assert (float(wider.low), float(wider.high)) == pytest.approx(
        (line.intercept - half, line.intercept + half)
    )
    assert (band.kind, wider.kind) == ("confidence", "prediction")


def test_accuracies_of_0_and_1_are_moved_inside_by_half_an_example() -> None:
    points = [
        point("none", 0.5, 0.0, n=100, shift_n=100),
        point("all", 1.0, 1.0, n=1000, shift_n=None),
        point("a", 0.7, 0.6),
        point("b", 0.8, 0.7),
    ]
    x = special.ndtri([0.5, 0.9995, 0.7, 0.8])
    y = special.ndtri([0.005, 0.9999, 0.6, 0.7])
    fit = fitted(points)
    assert fit.slope == pytest.approx(stats.linregress(x, y).slope)
    assert fit.boundary_rule.endswith("3 moved")
    assert fitted(points, scale="linear").boundary_rule == "none needed on the linear scale"
    assert fit.expected(1.0, n=1000) == fit.expected(0.9995)
    assert 0 < fit.expected(0.0) < fit.expected(1.0) < 1


def test_a_line_that_cannot_be_is_refused() -> None:
    with pytest.raises(FitError, match="not 3") as few:
        fitted(scattered(3))
    assert few.value.hint
    with pytest.raises(FitError, match="one and the same accuracy"):
        fitted(points_of([(0.5, 0.1), (0.5, 0.2), (0.5, 0.3), (0.5, 0.4)]))
    with pytest.raises(FitError, match="1 excluded"):
        fit_baseline(scattered(4), reference="a", shift="b", exclude={"m0": "broken"})
    with pytest.raises(ValueError, match="twice"):
        fitted([*scattered(5), *scattered(1)])
    with pytest.raises(ValueError, match="no scale"):
        fitted(scattered(), scale="cubic")  # type: ignore[arg-type]
    for wrong in (76.1, -0.1, float("nan")):
        with pytest.raises(ValueError):
            point("percent", wrong, 0.5)
        with pytest.raises(ValueError):
            fitted(scattered()).expected(wrong)
    with pytest.raises(ValueError):
        point("empty", 0.5, 0.5, n=0)


def test_models_that_stay_out_are_listed_with_their_reason() -> None:
    points = [*scattered(), point("weak", 0.2, 0.1), point("broken", 0.7, 0.1)]
    fit = fit_baseline(
        points,
        reference="a",
        shift="b",
        min_reference_accuracy=0.25,
        exclude={"broken": "retracted", "absent": "x"},
    )
    assert {e.model: e.reason for e in fit.excluded} == {
        "weak": "reference accuracy 0.2000 below 0.25",
        "broken": "retracted",
    }
    assert fit.n_models == 15
    assert fit.slope == fitted(scattered()).slope


def test_flags_of_the_line() -> None:
    assert fitted(scattered()).flags == ()
    assert fitted(scattered(noise=2.0)).flags == ("weak fit",)
    falling = points_of([(0.5, 0.5), (0.6, 0.4), (0.7, 0.3), (0.8, 0.2)])
    assert fitted(falling).flags == ("negative slope",)
    flat = fitted(points_of([(0.5, 0.3), (0.6, 0.3), (0.7, 0.3), (0.8, 0.3)]))
    assert flat.r2 == 0 and flat.flags == ("weak fit",)


def test_the_fit_as_json() -> None:
    fit = fit_baseline(
        scattered(), reference="digits", shift="digits/tint", exclude={"m3": "broken"}, baseline="x-v1"
    )
    document = json.loads(json.dumps(fit.to_json(), allow_nan=False))
    assert set(document) >= {
        "reference",
        "shift",
        "scale",
        "slope",
        "intercept",
        "r2",
        "residual_sd",
        "n_models",
        "baseline",
        "band",
        "members",
        "excluded",
        "flags",
    }
    assert document["excluded"] == [{"model": "m3", "reason": "broken"}]
    assert document["n_models"] == len(document["members"]) == 14
    band = document["band"]
    assert (band["accuracy"][0], band["accuracy"][-1]) == pytest.approx(fit.reference_range)
    assert band["expected"] == pytest.approx(fit.expected(np.array(band["accuracy"])).tolist())
    order = [band[name] for name in ("prediction_low", "low", "expected", "high", "prediction_high")]
    assert (np.diff(order, axis=0) > 0).all()


# One member at a time


def test_leaving_one_out_agrees_with_the_leverage_formula() -> None:
    fit = fitted(scattered())
    found = influences(fit)
    assert sum(influence.leverage for influence in found) == pytest.approx(2)
    for influence, member in zip(found, fit.members, strict=True):
        without = fit.without(member.model)
        assert without.n_models == fit.n_models - 1
        assert without.slope == influence.slope_without
        assert without.excluded[-1].model == member.model
        x, y = special.ndtri(member.reference_accuracy), special.ndtri(member.shift_accuracy)
        left_out_residual = y - without.intercept - without.slope * x
        assert left_out_residual == pytest.approx(influence.residual / (1 - influence.leverage))
    with pytest.raises(ValueError, match="not a member"):
        fit.without("stranger")
    with pytest.raises(FitError):
        fitted(scattered(4)).without("m0")


def test_a_knee_is_found_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 1.5, 40)
    noise = rng.normal(0, 0.05, 40)
    straight = fitted(points_of(zip(special.ndtr(x), special.ndtr(0.9 * x - 0.4 + noise), strict=True)))
    # Planted: slope 0.3 up to probit 0.7 (accuracy 0.758), 2.3 from there on.
    bent = 0.3 * x + 2.0 * np.maximum(x - 0.7, 0) - 1 + noise
    knee = knee_test(fitted(points_of(zip(special.ndtr(x), special.ndtr(bent), strict=True))))
    assert knee.knee == pytest.approx(special.ndtr(0.7), abs=0.02)
    assert (knee.slope_below, knee.slope_above) == pytest.approx((0.3, 2.3), abs=0.15)
    assert knee.p_value < 1e-10 and knee.bic_gain > 10
    none = knee_test(straight)
    assert none.p_value > 0.01 and none.bic_gain < 10
    with pytest.raises(FitError, match="knee"):
        knee_test(fitted(scattered(5)))


# Effective robustness


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


@pytest.fixture(scope="module")
def standard_models(real_data: Path) -> list[dict[str, str]]:
    folder = real_data / "published_results" / "imagenet_testbed"
    types = {row["model"]: row["type"] for row in table(folder / "model_types.csv")}
    return [
        row
        for row in table(folder / "robustness_top1s.csv")
        if types.get(row["model"]) == "STANDARD"
        and not any(part in row["model"] for part in ("subsample", "aws", "batch64"))
    ]


def line_of(rows: list[dict[str, str]], shift: str, *, scale: Scale = "probit") -> BaselineFit:
    points = [
        point(row["model"], float(row["val"]) / 100, float(row[shift]) / 100, n=50_000, shift_n=10_000)
        for row in rows
        if row["val"] and row[shift]
    ]
    return fit_baseline(points, reference="val", shift=shift, scale=scale, min_reference_accuracy=0.55)


@pytest.mark.parametrize(
    ("scale", "slope", "intercept", "r2"),
    [("probit", 0.9617, -0.3247, 0.9956), ("logit", 0.9232, -0.4977, 0.9960)],
)
def test_the_line_of_the_imagenet_testbed(
    standard_models: list[dict[str, str]], scale: Scale, slope: float, intercept: float, r2: float
) -> None:
    fit = line_of(standard_models, "imagenetv2-matched-frequency-format-val", scale=scale)
    assert fit.n_models == 85
    assert (round(fit.slope, 4), round(fit.intercept, 4), round(fit.r2, 4)) == (slope, intercept, r2)
    assert fit.flags == ()
    if scale == "probit":
        # Published as 0.44 points, without the two degrees of freedom.
        assert round(fit.residual_sd_accuracy * np.sqrt(83 / 85) * 100, 2) == 0.44


def test_imagenet_a_has_its_knee_at_resnet_50(standard_models: list[dict[str, str]]) -> None:
    knee = knee_test(line_of(standard_models, "imagenet-a"))
    resnet50 = next(float(row["val"]) / 100 for row in standard_models if row["model"] == "resnet50")
    assert knee.knee == pytest.approx(resnet50, abs=0.01)
    assert knee.bic_gain > 10
    assert line_of(standard_models, "imagenet-a").flags == ("weak fit",)
    assert knee_test(line_of(standard_models, "imagenet-sketch")).bic_gain < 0


@pytest.mark.parametrize(("version", "slope", "r2"), [("v4", 0.9515, 0.9831), ("v6", 0.9496, 0.9840)])
def test_the_line_of_cifar_10_1(real_data: Path, version: str, slope: float, r2: float) -> None:
    rows = table(real_data / "published_results" / "cifar10_1" / "model_accuracies.csv")
    points = []
    for row in rows:
        n, shift_n = int(row["n_orig"]), int(row[f"n_{version}"])
        a, b = int(row["n_correct_orig"]) / n, int(row[f"n_correct_{version}"]) / shift_n
        points.append(point(row["model"], a, b, n=n, shift_n=shift_n))
    fit = fitted(points)
    assert (fit.n_models, round(fit.slope, 4), round(fit.r2, 4)) == (30, slope, r2)
    for scale in SCALES:
        x, y = (
            TRANSFORM[scale](np.array([getattr(p, name) for p in points]))
            for name in ("reference_accuracy", "shift_accuracy")
        )
        line = stats.linregress(x, y)
        found = fitted(points, scale=scale)
        assert (found.slope, found.intercept, found.r2) == pytest.approx(
            (line.slope, line.intercept, line.rvalue**2), abs=1e-9
        )


@pytest.mark.parametrize(("shift", "n"), [("imagenetv2-matched-frequency", 10_000), ("sketch", 50_889)])
def test_the_first_papers_headline(real_data: Path, shift: str, n: int) -> None:
    # Cohen-Wang et al. 2024: 78 models from scratch make the line, 55 pre-trained ones are measured by it.
    folder = real_data / "published_results"

    def accuracies(name: str) -> dict[str, float]:
        # A model listed at several image sizes counts at the smallest, its default; larger ones are extras.
        rows = sorted(table(folder / "timm" / f"results-{name}.csv"), key=lambda row: -int(row["img_size"]))
        return {row["model"]: float(row["top1"]) / 100 for row in rows}

    reference, shifted = accuracies("imagenet"), accuracies(shift)
    groups = {row["timm_model"]: row["group"] for row in table(folder / "cohen_wang_2024" / "models.csv")}
    scratch = [
        point(name, reference[name], shifted[name], n=50_000, shift_n=n)
        for name, group in groups.items()
        if group == "from-scratch"
    ]
    fit = fitted(scratch)
    found = {
        name: effective_robustness(
            fit, wilson(round(reference[name] * 50_000), 50_000), wilson(round(shifted[name] * n), n)
        )
        for name, group in groups.items()
        if group != "from-scratch"
    }
    values = [100 * effect.value for effect in found.values()]
    assert (fit.n_models, len(values)) == (78, 55)
    if shift == "sketch":
        assert np.mean(values) == pytest.approx(12.25, abs=0.5)
        assert sum(effect.low > 0 for effect in found.values()) >= 45
    else:
        assert max(values) == pytest.approx(1.80, abs=0.1)
        assert sum("within noise" in effect.flags for effect in found.values()) >= 35
