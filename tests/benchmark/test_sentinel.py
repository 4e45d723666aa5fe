"""The sentinel without images: figures, verdicts, judging, and the ways to read logits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.estimate import Estimate
from benchmark.result import Result
from benchmark.sentinel.check import Check, checked, related
from benchmark.sentinel.diagnosis import PREFIX, Diagnosis
from benchmark.sentinel.judging import Target, find, in_reach, matched, rank
from benchmark.sentinel.published import Published, known_shifts, published
from benchmark.sentinel.readings import Reading, Sample, orders, read, readings, runner_reading
from benchmark.sentinel.variants import Variant, variants
from benchmark.sentinel.verdict import NOT_COMPARABLE, compare
from models_zoo.spec import MODELS, ModelSpec
from shifts.errors import ResultsError
from shifts.spec import SHIFTS, ShiftSpec
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


def right(n: int, accuracy: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < accuracy


def target(accuracy: float, shown: float, **changes: object) -> Target:
    fields = {"n": 50_000, "tolerance": 0.0005, "population": 50_000, "complete": True, **changes}
    return Target(accuracy=accuracy, published=shown, **fields)  # type: ignore[arg-type]


def test_a_finding_is_the_measured_accuracy_plus_the_paired_difference() -> None:
    as_run = np.array([True] * 60 + [False] * 40)
    other = np.array([True] * 58 + [False] * 2 + [True] * 12 + [False] * 28)
    found = find("x", "y", other, as_run, target=target(0.61, 0.71))
    assert (found.as_run, found.accuracy, found.n) == (0.6, 0.7, 100)
    assert found.difference == pytest.approx(0.10)
    assert found.predicted == pytest.approx(0.71)
    # 12 gained, 2 lost: (15 − 100/102) / 102² and the correction for 100 of 50,000.
    assert found.error == pytest.approx(np.sqrt((15 - 100 / 102) / 102**2 * 49_900 / 49_999))
    assert found.low < 0.10 < found.high
    whole = find("x", "y", other, as_run, target=target(0.6, 0.7, n=100, population=100))
    assert whole.error == 0


def test_a_limited_run_is_judged_by_the_larger_sample() -> None:
    many = right(2000, 0.7, 0)
    found = find("x", "y", many, right(2000, 0.5, 1), target=target(0.45, 0.7, n=100, complete=False))
    assert found.predicted == pytest.approx(many.mean())
    assert found.explains


@pytest.mark.parametrize("seed", range(20))
def test_the_cause_is_ranked_first_and_what_does_nothing_is_not_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, base = 1000, rng.random(1000) < 0.6
    goal = target(0.6, 0.70)

    def moved(gain: float, lose: float) -> np.ndarray:
        return np.where(base, rng.random(n) > lose, rng.random(n) < gain)

    tried = {
        "cause": moved(0.30, 0.033),  # to 0.70
        "half": moved(0.15, 0.017),  # to 0.65
        "nothing": moved(0.01, 0.0067),
        "worse": moved(0.02, 0.3),
    }
    ranking = rank([find(key, key, value, base, target=goal) for key, value in tried.items()], target=goal)
    assert ranking.causes[0].key == "cause"
    assert {one.key for one in ranking.causes} <= {"cause", "half"}
    assert "worse" in {one.key for one in ranking.others}


def test_false_causes_are_rare() -> None:
    """Thirty alternatives that change nothing but flip 6 % of the answers at random; a gap of 3 points."""
    named = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        base = rng.random(300) < 0.6
        goal = target(0.6, 0.63)
        findings = [
            find(
                str(number),
                "",
                np.where(rng.random(300) < 0.06, rng.random(300) < 0.6, base),
                base,
                target=goal,
            )
            for number in range(30)
        ]
        named += bool(rank(findings, target=goal).causes)
    assert named <= 3


def test_too_few_images_are_called_too_few() -> None:
    base = right(300, 0.7, 3)
    goal = target(0.700, 0.705)
    ranking = rank([find("small", "s", base ^ right(300, 0.02, 4), base, target=goal)], target=goal)
    assert (ranking.causes, [one.key for one in ranking.possible]) == ((), ["small"])
    shown = Diagnosis(
        target=goal,
        images=300,
        as_run=find("", "as run", base, base, target=goal),
        ranking=ranking,
        tried=1,
    ).sentence()
    assert "no cause shown" in shown
    assert "too small for 300 images" in shown
    assert "likely cause" not in shown


def test_what_narrows_the_gap_is_said_to_narrow_it() -> None:
    base = np.arange(1000) < 500
    goal = target(0.5, 0.8)
    half = np.arange(1000) < 650
    finding = find("half", "h", half, base, target=goal)
    assert not in_reach(finding, target=goal)
    ranking = rank([finding], target=goal)
    as_run = find("", "as run", base, base, target=goal)
    said = Diagnosis(target=goal, images=1000, as_run=as_run, ranking=ranking, tried=1).sentence()
    assert "narrows the gap but does not close it" in said
    nothing = Diagnosis(
        target=goal, images=1000, as_run=as_run, ranking=rank([], target=goal), tried=4
    ).sentence()
    assert nothing == "none of the 4 alternatives tried on up to 1,000 images explains it"


def test_a_limited_run_off_by_chance_is_called_so() -> None:
    goal = target(0.5, 0.7, n=50, complete=False)
    as_run = right(2000, 0.7, 0)
    found = Diagnosis(
        target=goal,
        images=2000,
        as_run=find("", "as run", as_run, as_run, target=goal),
        ranking=rank([], target=goal),
        tried=3,
    )
    assert found.by_chance
    assert "off by chance" in found.sentence()


# Readings of logits


def sample(logits: np.ndarray, labels: list[int], accepted: list[tuple[int, ...]] | None = None) -> Sample:
    given = np.array(labels, dtype=np.int64)
    return Sample(logits=logits.astype(np.float32), labels=given, accepted=accepted, present=np.unique(given))


def v2() -> ShiftSpec:
    return SHIFTS.get("imagenet-v2")


def one_hot(answers: list[int], classes: int = 1000) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[answers]


def reading(shift: ShiftSpec, says: str) -> Reading:
    return next(one for one in readings(MODELS.get("clip-vit-b16"), shift) if says in one.says)


def test_folders_read_as_text_are_put_right() -> None:
    """ImageNet-V2's folders: sorted as text, 0, 1, 10, 100, 101 … get the labels 0, 1, 2, 3, 4 …"""
    text = sorted(str(label) for label in range(1000))
    truth = [7, 10, 100, 300, 500]
    as_read = [text.index(str(label)) for label in truth]
    seen = sample(one_hot(truth), as_read)
    assert runner_reading(seen, v2(), head="imagenet-1k").sum() == 0
    found = read(
        reading(v2(), "folders 0, 1, 10, 100 … sorted as text, put right"), seen, v2(), head="imagenet-1k"
    )
    assert found is not None
    assert found.all()


def test_wnids_are_in_order_and_names_are_not() -> None:
    assert not any("wnid" in says for says in orders(v2()))
    assert any("by name" in says for says in orders(v2()))
    assert orders(SHIFTS.get("cifar10")) == {}  # ten classes, named in the order of the alphabet


def test_an_output_too_many_is_found_either_way() -> None:
    for by, says in ((1, "one place earlier"), (-1, "one place later")):
        truth = [5, 6, 300]
        seen = sample(one_hot([label + by for label in truth]), truth)
        found = read(reading(v2(), says), seen, v2(), head="imagenet-1k")
        assert found is not None
        assert found.all()


def test_masks_on_and_off() -> None:
    a = SHIFTS.get("imagenet-a")
    assert a.class_indices is not None
    outside = next(index for index in range(1000) if index not in a.class_indices)
    logits = one_hot([outside, a.class_indices[1]])
    logits[0, a.class_indices[0]] = 0.5
    seen = sample(logits, [0, 1])
    assert runner_reading(seen, a, head="imagenet-1k").tolist() == [True, True]
    unmasked = read(reading(a, "all classes of the head"), seen, a, head="imagenet-1k")
    assert unmasked is not None
    assert unmasked.tolist() == [False, True]
    # The same images of a set that declares no mask, as if 1000 classes were asked for.
    bare = SHIFTS.get("imagenet-a/all-classes")
    seen = sample(logits, [a.class_indices[0], a.class_indices[1]])
    assert runner_reading(seen, bare, head="imagenet-1k").tolist() == [False, True]
    masked = read(reading(bare, "classes that occur"), seen, bare, head="imagenet-1k")
    assert masked is not None
    assert masked.tolist() == [True, True]


def test_several_right_labels() -> None:
    real = SHIFTS.get("imagenet-real")
    seen = sample(one_hot([3, 4]), [2, 2], accepted=[(2, 3), (2,)])
    assert runner_reading(seen, real, head="imagenet-1k").tolist() == [True, False]


def test_renaming_is_learnt_on_one_half_and_judged_on_the_other() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 1000)
    order = rng.permutation(10)
    answers = np.where(rng.random(1000) < 0.8, order[labels], rng.integers(0, 10, 1000))
    assert matched(answers, labels, classes=10).mean() == pytest.approx(0.82, abs=0.03)
    chance = matched(rng.integers(0, 10, 1000), labels, classes=10)
    assert chance.mean() == pytest.approx(0.1, abs=0.04)  # nothing is fitted to noise


# Variants


def names(spec: ModelSpec, shift: ShiftSpec, key: str, **fields: object) -> list[str]:
    base = dataclasses.replace(Variant(key="", says="", spec=spec), **fields)  # type: ignore[arg-type]
    return [one.says for one in variants(base, shift) if one.key == key]


def test_every_variant_differs_from_the_run_and_from_the_others() -> None:
    for model in ("clip-vit-b16", "timm:resnet50.tv_in1k", "cifar10-resnet20"):
        spec = MODELS.get(model)
        found = variants(Variant(key="", says="", spec=spec), v2())
        what = [repr((one.spec.preprocess, one.spec.arguments, one.change, one.reading)) for one in found]
        assert len(set(what)) == len(what)
        assert repr((spec.preprocess, spec.arguments, None, None)) not in what


def test_variants_cover_the_known_faults() -> None:
    resnet = MODELS.get("timm:resnet50.tv_in1k")
    assert names(resnet, v2(), "crop") == [
        "crop 0.9 (shorter side 248)",
        "crop 0.95 (shorter side 235)",
        "crop 1 (shorter side 224)",
        "whole image squeezed to 224 pixels",
    ]
    assert names(resnet, v2(), "interpolation") == ["resized bicubic instead of bilinear"]
    assert names(resnet, v2(), "antialias") == ["resized without antialiasing"]
    assert len(names(resnet, v2(), "normalisation")) == 5
    clip = MODELS.get("clip-vit-b16")
    assert names(clip, v2(), "quickgelu") == ["GELU instead of QuickGELU"]
    assert names(clip, v2(), "prompts") == [
        "one template ('a photo of a {}.')",
        "class names alone, without a template",
    ]
    one = dataclasses.replace(
        clip,
        arguments={
            "architecture": "ViT-B-16",
            "templates": ("a photo of a {}.",),
            "class_names": ("x",) * 1000,
        },
    )
    assert names(one, v2(), "quickgelu") == ["QuickGELU instead of GELU"]
    assert names(one, v2(), "prompts") == [
        "the 80 published templates",
        "class names alone, without a template",
        "the published class names",
    ]
    assert names(clip, v2(), "precision", precision="bfloat16") == ["float32 instead of bfloat16"]
    assert names(resnet, v2(), "quickgelu") == names(resnet, v2(), "prompts") == []
