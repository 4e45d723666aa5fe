"""Planted faults on real images: each is found, and its cause is named first; a right run raises no alarm."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cli import run
from benchmark.planning import Contestant, contestant
from benchmark.sentinel import trial
from benchmark.sentinel.diagnosis import NO_TIME, Diagnosis
from benchmark.sentinel.judging import Target
from benchmark.sentinel.trial import Trial
from models_zoo.loading import load_spec
from models_zoo.spec import MODELS, ModelSpec
from shifts.catalogue import add
from shifts.data import load_shift
from shifts.spec import SHIFTS
from tests.benchmark.sentinel_models import DIGITS_ZERO_SHOT, HERE, with_preprocess

IMAGES = 240
PUBLISHED = 0.8103
COUNT = 10_000


@pytest.fixture
def jpeg(real_data: Path) -> Path:
    """The JPEG test images at hand; gives the weights of ResNet-20."""
    add("cifar10-jpeg75", real_data / "cifar10" / "cifar10_test_jpeg.npz")
    return real_data / "cifar10" / "resnet20.safetensors"


def with_loader(name: str) -> Callable[[ModelSpec], ModelSpec]:
    return lambda spec: dataclasses.replace(spec, loader=f"{HERE}:{name}")


FAULTS: dict[str, tuple[Callable[[ModelSpec], ModelSpec], str]] = {
    "constants": (lambda spec: with_preprocess(spec, mean=(0.0,) * 3, std=(1.0,) * 3), "normalisation"),
    "resized": (lambda spec: with_preprocess(spec, resize=(64, 64)), "size"),
    "channels": (with_loader("load_bgr"), "channels"),
    "permuted": (with_loader("load_permuted"), "label order"),
    "one too far": (with_loader("load_behind"), "off by one"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_first(jpeg: Path, fault: str) -> None:
    make, cause = FAULTS[fault]
    spec = make(MODELS.get("cifar10-resnet20"))
    model = load_spec(spec, jpeg, device="cpu")
    shift = load_shift("cifar10-jpeg75", limit=IMAGES)
    logits = model.logits([shift.item(row) for row in range(IMAGES)])
    accuracy = float((logits.argmax(1) == shift.labels).mean())
    assert accuracy < PUBLISHED - 0.05
    found = diagnosed(
        contestant(spec, weights=jpeg),
        "cifar10-jpeg75",
        Target(
            accuracy=accuracy,
            n=IMAGES,
            published=PUBLISHED,
            tolerance=0.001,
            population=COUNT,
            complete=False,
        ),
    )
    assert found.cause == cause
    best = found.ranking.causes[0]
    assert best.accuracy == pytest.approx(PUBLISHED, abs=0.06)
    assert "likely cause: " + cause in found.sentence()
    assert f"{100 * best.accuracy:.1f} % on {best.n:,} images" in found.sentence()


def diagnosed(one: Contestant, shift: str, target: Target, images: int = IMAGES) -> Diagnosis:
    return Trial(one, SHIFTS.get(shift), target=target, images=images, seconds=500, device="cpu").run()


def zero_shot_accuracy(**arguments: object) -> float:
    spec = dataclasses.replace(DIGITS_ZERO_SHOT, arguments={**DIGITS_ZERO_SHOT.arguments, **arguments})
    shift = load_shift("digits")
    logits = load_spec(spec, None, label_space="digits", device="cpu").logits(
        [shift.item(row) for row in range(len(shift))]
    )
    return float((logits.argmax(1) == shift.labels).mean())


@pytest.mark.parametrize(
    ("fault", "cause", "says"),
    [
        ({"architecture": "ViT-B-32"}, "quickgelu", "QuickGELU instead of GELU"),
        ({"templates": ("a picture of {}.",)}, "prompts", "published template"),
    ],
)
def test_lost_quickgelu_and_other_prompts(fault: dict[str, object], cause: str, says: str) -> None:
    """The zero-shot double is worse by other noise for either; everything else is tried beside it."""
    shown, accuracy = zero_shot_accuracy(), zero_shot_accuracy(**fault)
    assert shown - accuracy > 0.1
    spec = dataclasses.replace(DIGITS_ZERO_SHOT, arguments={**DIGITS_ZERO_SHOT.arguments, **fault})
    target = Target(accuracy=accuracy, n=597, published=shown, tolerance=0.005, population=597, complete=True)
    found = diagnosed(contestant(spec, weights=None), "digits", target, images=597)
    assert found.cause == cause
    assert says in found.ranking.causes[0].says


def test_the_sample_does_not_depend_on_the_order_or_on_chunks(
    jpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = contestant(with_preprocess(MODELS.get("cifar10-resnet20"), std=(1.0,) * 3), weights=jpeg)
    target = Target(
        accuracy=0.5, n=COUNT, published=PUBLISHED, tolerance=0.001, population=COUNT, complete=True
    )
    monkeypatch.setattr(trial, "CHUNK", 50)
    first = diagnosed(one, "cifar10-jpeg75", target, images=50)
    monkeypatch.setattr(trial, "CHUNK", 25)
    second = diagnosed(one, "cifar10-jpeg75", target, images=50)
    assert first.as_run == second.as_run
    found = {one.says: one for one in second.ranking.causes}
    assert all(found[one.says].accuracy == one.accuracy for one in first.ranking.causes if one.says in found)


def test_time_is_kept(jpeg: Path) -> None:
    one = contestant(with_preprocess(MODELS.get("cifar10-resnet20"), std=(1.0,) * 3), weights=jpeg)
    target = Target(
        accuracy=0.3, n=COUNT, published=PUBLISHED, tolerance=0.001, population=COUNT, complete=True
    )
    found = Trial(
        one, SHIFTS.get("cifar10-jpeg75"), target=target, images=5000, seconds=0.0, device="cpu"
    ).run()
    assert found.images == trial.CHUNK
    # Readings of the logits that are there cost nothing; everything else is left out, and said to be.
    assert {one.key for one in found.ranking.others} == {"off by one"}
    assert set(found.skipped.values()) == {NO_TIME}
    assert f"{len(found.skipped)} left out for lack of time" in found.sentence()


def test_on_the_command_line(
    jpeg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = MODELS.get("cifar10-resnet20")
    pickled = jpeg.with_name("resnet20-12fca82f.th")  # the file with the published hash
    common = ["-m", spec.name, "-s", "cifar10-jpeg75", "--weights", str(pickled), "--results", str(tmp_path)]
    common += ["--limit", "300", "--device", "cpu"]
    assert run(["check", *common]) == 2
    assert "not evaluated yet" in capsys.readouterr().err
    assert run(["eval", *common]) == 0
    assert "agrees with published: cifar10-jpeg75 81.03" in capsys.readouterr().out.replace("\n", " ")
    assert run(["check", *common]) == 0

    wrong = with_preprocess(spec, mean=(0.0,) * 3, std=(1.0,) * 3)
    monkeypatch.setitem(MODELS._entries, spec.name, wrong)
    monkeypatch.setattr(trial, "IMAGES", 300)
    assert run(["eval", *common, "--no-check"]) == 0
    assert "sentinel" not in capsys.readouterr().out
    assert run(["eval", *common, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["sentinel"]["status"] == "differs"
    assert row["sentinel"]["diagnosis"]["cause"] == "normalisation"
    assert any("likely cause: normalisation" in warning for warning in row["warnings"])

    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(Trial, "run", never)
    assert run(["eval", *common]) == 0  # what was found stays with the result
    assert "likely cause: normalisation" in capsys.readouterr().out.replace("\n", " ")
    assert run(["check", *common, "--published", "0.28", "--tolerance", "0.1"]) == 0
    assert "as given" in capsys.readouterr().out
    assert run(["check", *common, "--published", "28"]) == 2


def test_weights_of_ones_own_are_compared_when_asked(
    jpeg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["-m", "cifar10-resnet20", "-s", "cifar10-jpeg75", "--weights", str(jpeg), "--limit", "100"]
    common += ["--results", str(tmp_path), "--device", "cpu"]
    assert run(["eval", *common]) == 0
    assert "agrees with published" not in capsys.readouterr().out
    assert run(["eval", *common, "--check"]) == 0
    assert "agrees with published" in capsys.readouterr().out
