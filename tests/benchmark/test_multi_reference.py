"""Planes over several references, and what a line is examined for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from benchmark.baselines import Baseline, BaselineRow, MemberRule, load_baseline
from benchmark.multi_reference import fit_plane
from benchmark.scales import to_scale
from benchmark.standing import examine, standing
from shifts.errors import FitError


def planted(*, collinear: bool = False, models: int = 40, noise: float = 0.0) -> Baseline:
    rng = np.random.default_rng(1)
    a = rng.uniform(-0.5, 1.0, models)
    b = a.copy() if collinear else rng.uniform(-0.5, 1.0, models)
    y = 0.6 * a + 0.3 * b - 0.2 + rng.normal(0, noise, models)
    rows = [
        BaselineRow(
            model=f"m{i}",
            shift=name,
            accuracy=float(special.ndtr(x[i])),
            family="x",
            kind_of_number="measured",
        )
        for name, x in (("a", a), ("b", b), ("y", y))
        for i in range(models)
    ]
    return Baseline(
        name="planted", version=1, title="", source="", revision="", licence="", citation="",
        regenerate="", references=("a", "b"), rows=tuple(rows),
    )  # fmt: skip


def test_a_planted_plane_comes_back() -> None:
    plane = fit_plane(planted(), references=["a", "b"], shift="y")
    assert plane.slopes == pytest.approx((0.6, 0.3))
    assert plane.intercept == pytest.approx(-0.2)
    assert plane.r2 == pytest.approx(1)
    assert plane.n_models == 40
    found = plane.expected({"a": 0.6, "b": 0.7})
    y = 0.6 * special.ndtri(0.6) + 0.3 * special.ndtri(0.7) - 0.2
    assert found.value == pytest.approx(special.ndtr(y))


def test_the_plane_agrees_with_least_squares() -> None:
    baseline = load_baseline("open-clip")
    plane = fit_plane(baseline, references=["imagenet-val", "cifar10"], shift="imagenet-v2")
    rows = {(row.model, row.shift): row.accuracy for row in baseline.rows}
    columns = [
        to_scale(np.array([rows[model, name] for model in plane.members]), "probit")
        for name in ("imagenet-val", "cifar10", "imagenet-v2")
    ]
    design = np.stack([np.ones(121), *columns[:2]], axis=1)
    solution, *_ = np.linalg.lstsq(design, columns[2], rcond=None)
    assert [plane.intercept, *plane.slopes] == pytest.approx(solution, abs=1e-6)


def test_the_band_covers_the_plane() -> None:
    hits = 0
    for noise in np.linspace(0.02, 0.06, 20):
        found = fit_plane(planted(noise=float(noise)), references=["a", "b"], shift="y").expected(
            {"a": 0.6, "b": 0.7}
        )
        truth = special.ndtr(0.6 * special.ndtri(0.6) + 0.3 * special.ndtri(0.7) - 0.2)
        hits += found.low <= truth <= found.high
    assert hits >= 15


def test_references_that_are_one_are_refused() -> None:
    with pytest.raises(FitError, match="told apart"):
        fit_plane(planted(collinear=True), references=["a", "b"], shift="y")
    with pytest.raises(FitError, match="needs"):
        fit_plane(planted(models=4), references=["a", "b"], shift="y")
    plane = fit_plane(planted(), references=["a", "b"], shift="y")
    with pytest.raises(FitError, match="accuracy on b"):
        plane.expected({"a": 0.5})


def test_a_line_is_examined() -> None:
    testbed = load_baseline("imagenet-testbed")
    strong = examine(testbed.fit("imagenet-val", "imagenet-v2"))
    assert strong.knee is not None and not any("knee" in sentence for sentence in strong.advice)
    assert any("sampling noise" in sentence for sentence in strong.advice)
    weak = examine(testbed.fit("imagenet-val", "imagenet-a"))
    assert any("weak fit" in sentence and "relative robustness" in sentence for sentence in weak.advice)
    assert any("two lines" in sentence for sentence in weak.advice)


def test_members_stand_against_the_others() -> None:
    models = load_baseline("cohen-wang-2024")
    fit = models.fit("imagenet-val", "imagenet-v2")
    points = models.points("imagenet-val", "imagenet-v2")
    everyone = standing(fit, points)
    assert len(everyone.models) == 133
    assert everyone.highest[1].value == max(one.value for _, one in everyone.models)
    name = fit.members[0].model
    own = dict(everyone.models)[name]
    assert own.n_models == 77
    with pytest.raises(FitError):
        standing(fit, [])
    assert MemberRule().reasons(points) == {}
