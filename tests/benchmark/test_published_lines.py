"""Lines through published accuracies against published fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.diagnostics import knee_test
from benchmark.intervals import wilson
from benchmark.lines import BaselineFit, fit_baseline
from benchmark.robustness import effective_robustness
from benchmark.scales import Scale
from tests.benchmark.made_lines import (
    SCALES,
    TRANSFORM,
    fitted,
    point,
    table,
)


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
