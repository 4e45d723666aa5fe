"""The shipped baselines against the publishers' tables and against what has been published about them."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from benchmark.baselines import MemberRule, baselines_for, load_baseline
from benchmark.baselines.build import BUILDERS, main
from benchmark.estimate import Estimate
from benchmark.intervals import wilson
from benchmark.lines import fit_baseline
from benchmark.robustness import effective_robustness
from benchmark.scales import Scale
from shifts.errors import FitError

TRANSFORM = {"probit": special.ndtri, "logit": special.logit, "linear": lambda accuracy: accuracy}
SHIPPED = Path(__file__).resolve().parents[2] / "benchmark" / "baselines"


def certain(value: float, n: int) -> Estimate:
    return wilson(round(value * n), n)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_shipped_files_are_those_that_the_script_makes(
    name: str, tmp_path: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(real_data / "published_results"), "-o", str(tmp_path), "--only", name]) == 0
    assert f"{name}-v1.csv" in capsys.readouterr().out
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SHIPPED / path.name).read_bytes()


def test_a_missing_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "imagenet_testbed" in capsys.readouterr().err


def test_the_shipped_files_stay_small() -> None:
    files = [path for path in SHIPPED.iterdir() if path.suffix in (".csv", ".json")]
    assert sum(path.stat().st_size for path in files) < 2_000_000


def test_rows_say_where_they_come_from() -> None:
    for name in BUILDERS:
        baseline = load_baseline(name)
        assert baseline.revision and baseline.licence and baseline.citation
        for row in baseline.rows:
            assert row.publisher and row.revision == baseline.revision
            assert row.kind_of_number == "measured"
            assert row.training_data and row.family


def test_numbers_of_the_testbed_are_counts() -> None:
    testbed = load_baseline("imagenet-testbed")
    assert len(testbed.models) == 335
    shifts = {row.shift for row in testbed.rows}
    assert sum(shift.startswith("imagenet-c/") for shift in shifts) == 19 * 5
    assert sum(shift.startswith("imagenet-c-online/") for shift in shifts) == 18 * 5
    counted = [row for row in testbed.rows if row.n is not None]
    assert all(abs(row.accuracy * row.n - round(row.accuracy * row.n)) < 1e-6 for row in counted if row.n)


# Lines (figures of the project's check list)


def test_the_published_line_of_the_testbed() -> None:
    testbed = load_baseline("imagenet-testbed")
    probit = testbed.fit("imagenet-val", "imagenet-v2")
    assert probit.n_models == 85
    assert (round(probit.slope, 4), round(probit.intercept, 4)) == (0.9617, -0.3247)
    assert round(probit.r2, 4) == 0.9956
    assert 100 * probit.residual_sd_accuracy == pytest.approx(0.44, abs=0.01)
    logit = testbed.fit("imagenet-val", "imagenet-v2", scale="logit")
    assert (round(logit.slope, 4), round(logit.intercept, 4), round(logit.r2, 4)) == (0.9232, -0.4977, 0.9960)


@pytest.mark.parametrize("scale", ["probit", "logit", "linear"])
@pytest.mark.parametrize("name", BUILDERS)
def test_every_line_agrees_with_scipy(name: str, scale: Scale) -> None:
    baseline = load_baseline(name)
    fitted = 0
    for reference, shift in baseline.pairs():
        try:
            fit = baseline.fit(reference, shift, scale=scale)
        except FitError:
            continue  # fewer than four default members
        inner = [
            [
                np.clip(accuracy, 0.5 / n, 1 - 0.5 / n) if n else np.clip(accuracy, 1e-4, 1 - 1e-4)
                for accuracy, n in pairs
            ]
            for pairs in (
                [(member.reference_accuracy, member.reference_n) for member in fit.members],
                [(member.shift_accuracy, member.shift_n) for member in fit.members],
            )
        ]
        if scale == "linear":
            inner = [
                [member.reference_accuracy for member in fit.members],
                [member.shift_accuracy for member in fit.members],
            ]
        line = stats.linregress(TRANSFORM[scale](np.array(inner[0])), TRANSFORM[scale](np.array(inner[1])))
        assert fit.slope == pytest.approx(line.slope, rel=1e-9)
        assert fit.intercept == pytest.approx(line.intercept, rel=1e-9, abs=1e-12)
        assert fit.r2 == pytest.approx(line.rvalue**2, rel=1e-9, abs=1e-12)
        fitted += 1
    assert fitted == len(baseline.pairs())


def test_the_first_papers_headline_from_published_accuracies() -> None:
    """arXiv 2403.00194, Sec. 3: at most 1.80 points on ImageNet-V2, 12.25 points on average on Sketch."""
    models = load_baseline("cohen-wang-2024")
    values = {}
    for shift in ("imagenet-v2", "imagenet-sketch"):
        fit = models.fit("imagenet-val", shift)
        assert fit.n_models == 78
        points = [point for point in models.points("imagenet-val", shift) if point.family == "more-data"]
        assert len(points) == 55
        values[shift] = [point.shift_accuracy - fit.expected(point.reference_accuracy) for point in points]
    assert 100 * max(values["imagenet-v2"]) == pytest.approx(1.80, abs=0.1)
    assert 100 * float(np.mean(values["imagenet-sketch"])) == pytest.approx(12.25, abs=0.5)


def test_clip_on_the_testbed_line() -> None:
    fit = load_baseline("imagenet-testbed").fit("imagenet-val", "imagenet-v2")
    zero_shot = load_baseline("open-clip")
    point = next(
        point for point in zero_shot.points("imagenet-val", "imagenet-v2") if point.model == "ViT-B-16:openai"
    )
    effective = effective_robustness(
        fit, certain(point.reference_accuracy, 50_000), certain(point.shift_accuracy, 10_000)
    )
    assert 100 * effective.value == pytest.approx(6.5, abs=0.2)
    assert effective.low > 0.05 and "within noise" not in effective.flags


@pytest.mark.parametrize("shift", ["imagenet-r", "objectnet"])
def test_matched_classes_take_six_points_from_clip(shift: str) -> None:
    """The x axis is part of the protocol: over the shift's classes CLIP gains less."""
    testbed = load_baseline("imagenet-testbed")
    values = []
    for reference in ("imagenet-val", f"imagenet-val/{shift.removeprefix('imagenet-')}-classes"):
        fit = testbed.fit(reference, shift)
        points = {point.model: point for point in testbed.points(reference, shift)}
        clip = points["vit_b_32_clip_zeroshot"]
        values.append(clip.shift_accuracy - fit.expected(clip.reference_accuracy))
    assert values[0] - values[1] == pytest.approx(0.06, abs=0.015)


def test_cifar_10_1_from_predictions(real_data: Path) -> None:
    stored = np.load(real_data / "published_results" / "cifar10_1" / "model_predictions.npz")
    models = load_baseline("cifar10.1-models")
    for suffix, shift, slope, r2 in (
        ("v4", "cifar10.1/v4", 0.9515, 0.9831),
        ("v6", "cifar10.1/v6", 0.9496, 0.9840),
    ):
        points = {point.model: point for point in models.points("cifar10", shift)}
        for row, model in enumerate(stored["models"].tolist()):
            right = (stored[f"pred_{suffix}"][row] == stored[f"labels_{suffix}"]).mean()
            assert points[model].shift_accuracy == right
            assert (
                points[model].reference_accuracy == (stored["pred_orig"][row] == stored["labels_orig"]).mean()
            )
        fit = models.fit("cifar10", shift)
        assert (fit.n_models, round(fit.slope, 4), round(fit.r2, 4)) == (30, slope, r2)


def test_accuracies_of_the_67_models_from_predictions(real_data: Path) -> None:
    stored = np.load(real_data / "published_results" / "imagenetv2" / "model_predictions.npz")
    models = load_baseline("imagenetv2-models")
    rows = {(row.model, row.shift): row.accuracy for row in models.rows}
    names = [name for name in stored.files if name.startswith("correct_top1_bits_")]
    assert len(names) == 4
    sets = {
        "val": "imagenet-val",
        "threshold": "imagenet-v2/threshold-0.7",
        "matched": "imagenet-v2",
        "top_images": "imagenet-v2/top-images",
    }
    for name in names:
        shift = next(shift for part, shift in sets.items() if part in name.removeprefix("correct_top1_bits_"))
        n = 50_000 if shift == "imagenet-val" else 10_000
        right = np.unpackbits(stored[name], axis=1)[:, :n].mean(axis=1)
        for model, value in zip(stored["models"].tolist(), right.tolist(), strict=True):
            assert rows[model, shift] == pytest.approx(value, abs=1e-12)


def test_timm_and_the_testbed_agree_on_their_line() -> None:
    lines = [
        load_baseline(name).fit("imagenet-val", "imagenet-v2")
        for name in ("imagenet-testbed", "timm-in1k", "imagenetv2-models")
    ]
    for one, other in itertools.combinations(lines, 2):
        assert abs(one.expected(0.76) - other.expected(0.76)) < 0.012


def test_families_are_those_of_the_paper(real_data: Path) -> None:
    with (real_data / "published_results" / "cohen_wang_2024" / "models.csv").open() as stream:
        groups = {line["timm_model"]: line["group"] for line in csv.DictReader(stream)}
    rows = [row for row in load_baseline("timm-in1k").rows if row.library_key.removeprefix("timm:") in groups]
    assert len({row.library_key for row in rows}) == 133
    for row in rows:
        scratch = groups[row.library_key.removeprefix("timm:")] == "from-scratch"
        assert (row.family == "standard") == scratch


def test_the_default_for_imagenet_is_the_testbed() -> None:
    assert baselines_for("imagenet-val", "imagenet-v2")[0] == "imagenet-testbed-v1"
    assert baselines_for("imagenet-val/a-classes", "imagenet-a")[0] == "imagenet-testbed-v1"
    assert baselines_for("cifar10", "cifar10.1/v6") == ("cifar10.1-models-v1",)
    assert baselines_for("imagenet-val", "imagenet-c/fog/3") == ("imagenet-testbed-v1",)


def test_the_knee_on_imagenet_a() -> None:
    from benchmark.diagnostics import knee_test

    fit = load_baseline("imagenet-testbed").fit("imagenet-val", "imagenet-a")
    assert knee_test(fit).bic_gain > 10
    straight = load_baseline("imagenet-testbed").fit("imagenet-val", "imagenet-v2")
    assert knee_test(straight).bic_gain < 10


def test_zero_shot_models_are_no_members_of_the_testbed_line() -> None:
    testbed = load_baseline("imagenet-testbed")
    fit = testbed.fit("imagenet-val", "imagenet-v2")
    reasons = {excluded.model: excluded.reason for excluded in fit.excluded}
    assert "zero-shot" in reasons["vit_b_32_clip_zeroshot"]
    assert reasons["resnet50_aws_baseline"] == "name contains 'aws'"
    everyone = testbed.fit("imagenet-val", "imagenet-v2", members=MemberRule())
    assert everyone.n_models == 335
    assert fit_baseline(fit.members, reference="a", shift="b").slope == fit.slope
