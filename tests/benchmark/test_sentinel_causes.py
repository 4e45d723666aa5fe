"""The sentinel's search for a cause without images: judging, the ways to read logits, variants."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.sentinel.diagnosis import Diagnosis
from benchmark.sentinel.judging import Target, find, in_reach, matched, rank
from benchmark.sentinel.readings import Reading, Sample, orders, read, readings, runner_reading
from benchmark.sentinel.variants import Variant, variants
from models_zoo.spec import MODELS, ModelSpec
from shifts.spec import SHIFTS, ShiftSpec


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
