"""The small PACS networks: trained on one domain's training part, measured on the others."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.planning import contestant, plan, with_references
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from models_zoo.recipe import recipe_of, trained_file
from models_zoo.sources import pacs_models
from models_zoo.spec import MODELS
from models_zoo.training import distribution, train, training_set
from shifts.catalogue import add
from shifts.data import load_shift
from shifts.errors import DataNotFoundError
from shifts.spec import SHIFTS


@pytest.fixture
def subset(real_data: Path) -> None:
    add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True)


def test_training_sees_nothing_that_is_measured(subset: None) -> None:
    spec = MODELS.get("pacs-cnn")
    (stage,) = recipe_of(spec).stages
    images, labels, num_classes = training_set(stage, spec.preprocess, seed=0)
    assert images.shape == (7 * 48, 64, 64, 3)
    assert num_classes == 7
    assert np.bincount(labels).tolist() == [48] * 7
    assert distribution(stage).selection == SHIFTS.get("pacs-photo").training
    whole = dataclasses.replace(stage, shift="pacs-sketch/photo")
    assert len(training_set(whole, spec.preprocess, seed=0)[1]) == 420


def test_photo_to_art_cartoon_and_sketch(
    subset: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained briefly on photos, it is better than chance there, and no better on drawings than on photos."""
    monkeypatch.setattr(pacs_models, "EPOCHS", 1)
    spec = MODELS.get("pacs-cnn")
    one = contestant(spec, weights=train(spec))
    shifts = with_references([SHIFTS.get(f"pacs-photo/{domain}") for domain in ("art", "cartoon", "sketch")])
    work = plan([one], shifts, store=Store(tmp_path))
    results = {
        result.shift: result
        for batch in work.passes
        for result in run_pass(batch, options=Options(device="cpu"))
    }
    assert {name: result.status for name, result in results.items()} == dict.fromkeys(results, "ok")
    accuracy = {name: result.accuracy.value for name, result in results.items() if result.accuracy}
    assert list(accuracy) == ["pacs-photo", "pacs-photo/art", "pacs-photo/cartoon", "pacs-photo/sketch"]
    assert accuracy["pacs-photo"] > 0.25  # chance is 0.14
    assert accuracy["pacs-photo/sketch"] < accuracy["pacs-photo"]
    assert all(any("partial" in warning for warning in result.warnings) for result in results.values())
    assert all(
        not any("contaminated" in warning for warning in result.warnings) for result in results.values()
    )


def test_another_copy_means_other_weights(real_data: Path, tmp_path: Path) -> None:
    spec = MODELS.get("pacs-cnn")
    before = trained_file(spec)
    add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True)
    first = trained_file(spec)
    with tarfile.open(real_data / "pacs" / "pacs_subset.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    next((tmp_path / "photo" / "dog").iterdir()).unlink()
    add("pacs", tmp_path, partial=True, replace=True)
    assert len({before, first, trained_file(spec)}) == 3


def test_without_the_images_the_way_to_get_them_is_said() -> None:
    with pytest.raises(DataNotFoundError) as caught:
        train(MODELS.get("pacs-cnn"))
    assert "data fetch pacs" in str(caught.value.hint)


def test_augmentation_keeps_shape_and_depends_on_the_generator_alone(subset: None) -> None:
    images = np.stack([load_shift("pacs-photo").item(index) for index in range(4)])
    one, two = (pacs_models.mirror_and_move(images, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == images.shape and one.dtype == np.uint8


def test_another_data_folder_serves_training_and_evaluation(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pacs_models, "EPOCHS", 1)
    disk = tmp_path / "disk"
    add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True, data_dir=disk)
    order = ["eval", "--model", "pacs-cnn", "--shift", "pacs-photo/sketch", "--limit", "20", "--json"]
    assert run([*order, "--data-dir", str(disk), "--results", str(tmp_path / "results")]) == 0
    assert [row["n"] for row in json.loads(capsys.readouterr().out)["results"]] == [20, 20]
