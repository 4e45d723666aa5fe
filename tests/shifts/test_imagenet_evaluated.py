"""A 1000-way head on shifts with fewer, pooled or several labels, from image to stored prediction."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from benchmark.planning import contestant, plan
from benchmark.predictions import read_predictions
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.shape_bias import of_predictions
from benchmark.store import Store
from benchmark.units import multi_label_accuracy, unit_accuracy
from models_zoo.loading import load_model
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.data import load_shift
from shifts.errors import LabelSpaceError
from shifts.readers.imagenet_tables import real_labels
from shifts.sources import cue_conflict, objectnet
from shifts.spec import SHIFTS
from tests.shifts import imagenet_layouts as layouts
from tests.shifts import imagenet_models
from tests.shifts.test_vid_robust import write_vid


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    assert "constant" in MODELS  # what is registered is found before one of the test's own is added
    monkeypatch.setitem(MODELS._entries, imagenet_models.PLAIN.name, imagenet_models.PLAIN)
    yield imagenet_models.PLAIN.name


@pytest.fixture
def sample(real_data: Path, tmp_path: Path) -> Path:
    """300 real ImageNet images as a partial validation set in class folders."""
    path = real_data / "imagenet_sample" / "imagenet_sample_300.tar"
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    rows = csv.DictReader(io.StringIO((path.parent / "imagenet_sample_300.csv").read_text()))
    found = [
        layouts.Item(int(row["label"]), f"{row['key']}.JPEG", files[f"{row['key']}.jpg"]) for row in rows
    ]
    add("imagenet-val", layouts.write_folders(tmp_path / "val", found), partial=True)
    return tmp_path


def run(model: str, shifts: list[str], folder: Path) -> dict[str, tuple[Result, Path]]:
    spec = MODELS.get(model)
    work = plan([contestant(spec, weights=None)], [SHIFTS.get(name) for name in shifts], store=Store(folder))
    results = [result for one in work.passes for result in run_pass(one, options=Options(device="cpu"))]
    cells = {cell.shift.name: cell.folder for cell in work.cells}
    return {result.shift: (result, cells[result.shift] / "predictions.parquet") for result in results}


def answers(model: str, shift: str) -> np.ndarray:
    """The head's own logits over all 1000 classes, image by image."""
    opened = load_shift(shift)
    classifier = load_model(model)
    return np.concatenate([classifier.logits([opened.item(row)]) for row in range(len(opened))])


def test_one_pass_for_all_that_is_asked_of_the_validation_images(sample: Path, model: str) -> None:
    names = [
        "imagenet-val",
        "imagenet-val/a-classes",
        "imagenet-val/objectnet-classes",
        "imagenet-val/16-classes",
        "imagenet-val/vid-robust-classes",
        "imagenet-val/greyscale",
    ]
    done = run(model, names, sample / "results")
    assert {name: done[name][0].error for name in names} == dict.fromkeys(names)
    for name in names:
        spec, opened = SHIFTS.get(name), load_shift(name)
        logits = answers(model, name)
        if name == "imagenet-val/16-classes":
            probs = softmax(logits.astype(np.float64), axis=1)
            logits = np.stack([probs[:, list(m)].mean(axis=1) for m in cue_conflict.CLASSES.values()], axis=1)
        elif spec.pooling is not None:
            logits = np.stack([logits[:, list(m)].max(axis=1) for m in spec.pooling.members], axis=1)
        elif spec.class_indices is not None:
            logits = logits[:, list(spec.class_indices)]
        predictions = read_predictions(done[name][1])
        assert predictions.prediction.tolist() == logits.argmax(axis=1).tolist(), name
        assert predictions.labels.tolist() == opened.labels.tolist()
        accuracy = done[name][0].metrics["accuracy"]
        assert accuracy is not None
        assert accuracy.n == len(opened)
        assert accuracy.value == float((logits.argmax(axis=1) == opened.labels).mean())
    assert len(load_shift("imagenet-val/objectnet-classes")) < 300
    assert (
        len(objectnet.CLASSES)
        == read_predictions(done["imagenet-val/objectnet-classes"][1]).header.num_classes
    )


def test_generated_corruptions_are_seen_as_cropped(sample: Path, model: str) -> None:
    name = "imagenet-c-online/contrast/1"
    opened = load_shift(name)
    done = run(model, [name, "imagenet-val"], sample / "results")
    images = [opened.item(row) for row in range(20)]
    classifier = load_model(model)
    import torch

    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    expected = classifier.logits(batch).argmax(axis=1)
    assert read_predictions(done[name][1]).prediction[:20].tolist() == expected.tolist()


def test_real_cue_conflict_images_give_accuracy_and_shape_bias(
    real_data: Path, tmp_path: Path, model: str
) -> None:
    for archive in ("cue_conflict_240", "edges_silhouettes"):
        with tarfile.open(real_data / "shape_texture" / f"{archive}.tar") as opened:
            opened.extractall(tmp_path / archive, filter="data")
    add("cue-conflict", tmp_path / "cue_conflict_240", partial=True)
    add("edges", tmp_path / "edges_silhouettes")
    done = run(model, ["cue-conflict", "edges"], tmp_path / "results")
    result, path = done["cue-conflict"]
    assert result.status == "ok"
    assert any("partial" in warning for warning in result.warnings)
    predictions = read_predictions(path)
    assert predictions.header.num_classes == 16
    bias = of_predictions(predictions)
    shapes, textures = predictions.groups.T
    assert bias.decisions == (
        int((predictions.prediction == shapes).sum()),
        int((predictions.prediction == textures).sum()),
    )
    assert done["edges"][0].metrics["accuracy"].n == 160  # type: ignore[union-attr]


def test_a_zero_shot_model_answers_in_the_shifts_own_names(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "shape_texture" / "edges_silhouettes.tar") as opened:
        opened.extractall(tmp_path, filter="data")
    add("silhouettes", tmp_path)
    result, path = run("constant", ["silhouettes"], tmp_path / "results")["silhouettes"]
    assert set(read_predictions(path).prediction.tolist()) == {0}
    assert result.metrics["accuracy"].value == 10 / 160  # type: ignore[union-attr]


def test_a_head_of_other_classes_is_refused_before_an_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(LabelSpaceError, match="asks for those of 'imagenet-16'"):
        run("digits-cnn", ["cue-conflict"], tmp_path)


def test_several_labels_and_sets_of_frames_end_to_end(tmp_path: Path, model: str) -> None:
    numbers = list(range(1, 41))
    add("imagenet-val", layouts.write_flat(tmp_path / "val", layouts.val_items(numbers)), partial=True)
    add("imagenet-vid-robust", write_vid(tmp_path / "vid"), partial=True)
    names = ["imagenet-real", "imagenet-val", "imagenet-vid-robust/pm-0", "imagenet-vid-robust/pm-10"]
    done = run(model, names, tmp_path / "results")
    assert {name: done[name][0].error for name in names} == dict.fromkeys(names)
    real = read_predictions(done["imagenet-real"][1])
    by_id = dict(zip(real.example_ids, real.prediction.tolist(), strict=True))
    kept = {number: known for number in numbers if (known := real_labels()[number - 1])}
    expected = multi_label_accuracy([by_id[f"ILSVRC2012_val_{n:08d}"] for n in kept], list(kept.values()))
    assert done["imagenet-real"][0].metrics["accuracy"] == expected
    pm10 = done["imagenet-vid-robust/pm-10"][0]
    stored = read_predictions(done["imagenet-vid-robust/pm-10"][1])
    assert pm10.metrics["accuracy"] == unit_accuracy(stored.prediction == stored.labels, stored.groups[:, 0])
    assert pm10.metrics["accuracy"].n == 3  # type: ignore[union-attr]
    assert any("accuracy counts every anchor once" in warning for warning in pm10.warnings)
    assert done["imagenet-vid-robust/pm-0"][0].metrics["accuracy"].n == 3  # type: ignore[union-attr]
