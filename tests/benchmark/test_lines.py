"""Lines through baseline models against SciPy and hand-computed answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from benchmark.diagnostics import influences, knee_test
from benchmark.lines import Method, fit_baseline
from benchmark.scales import Scale
from shifts.errors import FitError
from tests.benchmark.made_lines import (
    INVERSE,
    SCALES,
    TRANSFORM,
    fitted,
    point,
    points_of,
    scattered,
)


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
        assert without.slope == pytest.approx(influence.slope_without, rel=1e-12)
        assert without.excluded[-1].model == member.model
        x, y = special.ndtri(member.reference_accuracy), special.ndtri(member.shift_accuracy)
        left_out_residual = y - without.intercept - without.slope * x
        assert left_out_residual == pytest.approx(influence.residual / (1 - influence.leverage))
    with pytest.raises(ValueError, match="not a member"):
        fit.without("stranger")
    with pytest.raises(FitError):
        fitted(scattered(4)).without("m0")


@pytest.mark.parametrize("method", ["least-squares", "theil-sen"])
def test_slopes_without_a_member_are_those_of_the_lines_through_the_others(method: Method) -> None:
    rng = np.random.default_rng(1)
    # Ties in x, one member that holds the line nearly alone, and an even and an odd number of pairs.
    for count in (5, 6, 41):
        x = np.round(rng.normal(0, 0.3, count), 1)
        x[-1] = 3.0
        y = 0.8 * x - 0.3 + rng.normal(0, 0.1, count)
        fit = fitted(points_of(zip(special.ndtr(x), special.ndtr(y), strict=True)), method=method)
        found = [influence.slope_without for influence in influences(fit)]
        wanted = [fit.without(member.model).slope for member in fit.members]
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-13)
        if method == "theil-sen":
            assert found == wanted


def test_none_of_four_members_can_be_left_out() -> None:
    with pytest.raises(FitError, match="left out"):
        influences(fitted(scattered(4)))


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
