"""The sentinel without images: published figures, and verdicts on runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.estimate import Estimate
from benchmark.result import Result
from benchmark.sentinel.check import Check, checked, related
from benchmark.sentinel.diagnosis import PREFIX
from benchmark.sentinel.published import Published, known_shifts, published
from benchmark.sentinel.verdict import NOT_COMPARABLE, compare
from models_zoo.spec import MODELS
from shifts.errors import ResultsError
from tests.benchmark.sentinel_models import with_preprocess

# What the publishers' tables say, read off them by hand: (model, shift) → top-1.
BY_HAND = {
    ("clip-vit-b16", "imagenet-val"): 0.6834,
    ("clip-vit-b16", "imagenet-v2"): 0.6188,
    ("clip-vit-b16", "imagenet-sketch"): 0.4824,
    ("clip-vit-b16", "imagenet-a"): 0.4995,
    ("clip-vit-b16", "imagenet-r"): 0.7770,
    ("clip-vit-b16", "objectnet"): 0.5531,
    ("clip-vit-b32", "imagenet-val"): 0.6332,
    ("open_clip:vit-b-32:openai", "imagenet-val"): 0.6332,
    ("torchvision:resnet50:imagenet1k_v1", "imagenet-val"): 0.7616,
    ("torchvision:resnet50:imagenet1k_v1", "imagenet-v2"): 0.6319,
    ("torchvision:resnet50:imagenet1k_v1", "imagenet-sketch"): 0.2406,
    ("torchvision:resnet50:imagenet1k_v1", "imagenet-r"): 0.3616,
    ("timm:resnet50.tv_in1k", "imagenet-val"): 0.7616,
    ("timm:resnet50.tv2_in1k@224-0.965", "imagenet-val"): 0.8085,
    ("timm:resnet50.tv2_in1k@176-0.875", "imagenet-val"): 0.7943,
    ("timm:deit_base_patch16_224.fb_in1k", "imagenet-v2"): 0.7097,
    ("cifar10-resnet20", "cifar10"): 0.9173,
    ("cifar10-resnet56", "cifar10-jpeg75"): 0.8320,
}


@pytest.mark.parametrize(("model", "shift"), BY_HAND)
def test_figures_are_those_of_the_tables(model: str, shift: str) -> None:
    first = published(MODELS.get(model), shift)[0]
    assert first.accuracy == pytest.approx(BY_HAND[model, shift], abs=0.00005)
    assert first.note == ""


def test_the_key_of_timm_is_name_size_and_crop() -> None:
    spec = MODELS.get("timm:resnet50.tv2_in1k@224-0.965")
    (wrong,) = published(with_preprocess(spec, resize=256), "imagenet-val")
    assert wrong.accuracy == pytest.approx(0.80846)
    assert wrong.note == "published with crop 0.965 at 224 pixels"
    other_size = with_preprocess(spec, resize=288, crop=(288, 288))
    assert published(other_size, "imagenet-val") == ()


def test_the_figure_follows_the_name_not_the_fault() -> None:
    spec = MODELS.get("clip-vit-b16")
    lost = dataclasses.replace(spec, arguments={"architecture": "ViT-B-16"})
    assert published(lost, "imagenet-val") == published(spec, "imagenet-val")


def test_tolerances_are_those_of_two_harnesses() -> None:
    clip, deit = MODELS.get("clip-vit-b16"), MODELS.get("timm:deit_base_patch16_224.fb_in1k")
    zero_shot = {"imagenet-val": 0.05, "imagenet-v2": 0.15, "imagenet-sketch": 0.10, "imagenet-a": 0.18}
    zero_shot |= {"imagenet-r": 0.07, "objectnet": 0.29}
    supervised = {"imagenet-val": 0.05, "imagenet-v2": 0.5, "imagenet-sketch": 0.05, "imagenet-a": 0.2}
    for spec, known in ((clip, zero_shot), (deit, supervised | {"imagenet-r": 0.2})):
        for shift, points in known.items():
            assert published(spec, shift)[0].tolerance == pytest.approx(points / 100)
    low = published(clip, "imagenet-val", precision="bfloat16")[0]
    assert low.tolerance > published(clip, "imagenet-val")[0].tolerance


def test_models_trained_here_and_models_unknown_have_no_figure() -> None:
    assert published(MODELS.get("digits-cnn"), "digits") == ()
    assert published(MODELS.get("constant"), "digits") == ()
    assert published(MODELS.get("clip-vit-b16"), "digits") == ()
    assert known_shifts(MODELS.get("constant")) == ()


FIGURE = Published(shift="imagenet-val", accuracy=0.7, n=10_000, tolerance=0.0005, source="table")


def result(
    accuracy: float, n: int = 10_000, *, limit: int | None = None, warnings: tuple[str, ...] = ()
) -> Result:
    estimate = Estimate(value=accuracy, low=accuracy, high=accuracy, level=0.95, method="wilson", n=n)
    return Result(
        status="ok",
        model="m",
        model_digest="d",
        shift="imagenet-val",
        shift_digest="s",
        kind="reference",
        support="in",
        reference=None,
        family="standard",
        training_data=(),
        n=n,
        metrics={"accuracy": estimate},
        warnings=warnings,
        provenance={"limit": limit},
    )


@pytest.mark.parametrize(
    ("accuracy", "status"),
    [(0.7, "agrees"), (0.7005, "agrees"), (0.6995, "agrees"), (0.7006, "differs"), (0.6, "differs")],
)
def test_a_complete_run_is_compared_by_the_tolerance(accuracy: float, status: str) -> None:
    verdict = compare(result(accuracy), [FIGURE])
    assert verdict is not None
    assert (verdict.status, verdict.complete) == (status, True)
    assert f"{100 * accuracy:.2f} %" in verdict.sentence()
    assert "70.00" in verdict.sentence()


def test_one_publisher_that_agrees_is_enough() -> None:
    other = dataclasses.replace(FIGURE, accuracy=0.69, source="other")
    verdict = compare(result(0.69), [FIGURE, other])
    assert verdict is not None
    assert (verdict.status, verdict.published.source) == ("agrees", "other")
    neither = compare(result(0.68), [FIGURE, other])
    assert neither is not None
    assert neither.published.source == "table"


def test_limited_runs_that_are_right_are_rarely_called_off() -> None:
    """Choices without replacement from 10,000 answers of which exactly 7,000 are right."""
    rng = np.random.default_rng(5)
    for n in (50, 300, 1000, 5000):
        right = rng.hypergeometric(7000, 3000, n, size=2000)
        verdict = compare(result(0.7, n, limit=n), [FIGURE])
        assert verdict is not None
        assert not verdict.complete
        # The slack is that of the comparison, for fractions of n.
        off = (right / n < verdict.low - 1e-9) | (right / n > verdict.high + 1e-9)
        assert 0.0005 < off.mean() < 0.018 if n < 5000 else off.mean() < 0.018


def test_limited_runs_that_are_wrong_are_found() -> None:
    verdict = compare(result(0.6, 300, limit=300), [FIGURE])
    assert verdict is not None
    assert verdict.status == "differs"
    assert verdict.low == pytest.approx(0.63, abs=0.01)


def test_a_limit_above_the_set_is_none() -> None:
    verdict = compare(result(0.7, limit=20_000), [FIGURE])
    assert verdict is not None
    assert verdict.complete


def test_partial_copies_are_not_judged() -> None:
    partial = ("partial: the local copy of the images has fewer examples than published, or other ones",)
    off = compare(result(0.5, 300, warnings=partial), [FIGURE])
    near = compare(result(0.71, 300, warnings=partial), [FIGURE])
    fewer = compare(result(0.5, 300), [FIGURE])
    assert [one and one.status for one in (off, near, fewer)] == ["undecided", "agrees", "undecided"]
    assert off is not None
    assert checked(result(0.5, 300), Check(verdict=off)).warnings == ()


def test_a_failed_run_and_a_model_without_figure() -> None:
    assert compare(result(0.5), []) is None
    failed = dataclasses.replace(result(0.5), status="error", metrics={})
    with pytest.raises(ResultsError):
        compare(failed, [FIGURE])


def test_a_lossy_copy_is_recognised_by_remark_and_figure() -> None:
    spec = MODELS.get("cifar10-resnet20")
    assert related(spec, "cifar10") == ["cifar10-jpeg75"]
    said = f"10 of 10 images are lossy files: {NOT_COMPARABLE} ones"
    verdict = compare(
        dataclasses.replace(result(0.8103, warnings=(said,)), shift="cifar10"),
        published(spec, "cifar10"),
        elsewhere=published(spec, "cifar10-jpeg75"),
    )
    assert verdict is not None
    kept = checked(result(0.8103, warnings=(said,)), Check(verdict=verdict))
    assert kept.warnings[0] == said
    assert kept.warnings[1].startswith(f"{PREFIX}off the published 91.73")
    assert "likely cause: the copy of the images" in kept.warnings[1]
    assert "81.03 % is this model's figure on cifar10-jpeg75" in kept.warnings[1]
    assert checked(kept, None) == result(0.8103, warnings=(said,))
