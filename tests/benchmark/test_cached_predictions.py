"""Predictions with the cache of decoded, resized images and without are the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmark.cli import run
from benchmark.image_cache import images_home
from benchmark.planning import contestant, plan
from benchmark.predictions import read_predictions
from benchmark.runner import Options, run_pass
from benchmark.store import PREDICTIONS, Store
from models_zoo.loading import build_model
from models_zoo.spec import MODELS, Preprocess
from shifts.catalogue import add
from shifts.data import Examples
from shifts.spec import SHIFTS
from tests.shifts import imagenet_layouts as layouts
from tests.shifts import imagenet_models

WIDE = dataclasses.replace(
    imagenet_models.PLAIN,
    name="test-linear-wide",
    preprocess=Preprocess(resize=(96, 128), crop=(96, 128), mean=(0.5, 0.4, 0.3)),
)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    assert "constant" in MODELS  # what is registered is found before one of the test's own is added
    for spec in (imagenet_models.PLAIN, WIDE):
        monkeypatch.setitem(MODELS._entries, spec.name, spec)
    yield [imagenet_models.PLAIN.name, WIDE.name]


@pytest.fixture
def photographs(real_data: Path, tmp_path: Path) -> Path:
    """120 real JPEG files of many sizes as a partial validation set."""
    path = real_data / "imagenet_sample" / "imagenet_sample_300.tar"
    rows = list(csv.DictReader(io.StringIO((path.parent / "imagenet_sample_300.csv").read_text())))[:120]
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    found = [
        layouts.Item(int(row["label"]), f"{row['key']}.JPEG", files[f"{row['key']}.jpg"]) for row in rows
    ]
    add("imagenet-val", layouts.write_folders(tmp_path / "val", found), partial=True)
    return tmp_path


def evaluate(models: list[str], shifts: list[str], folder: Path, **options: object) -> dict[str, bytes]:
    """Predictions by model and shift."""
    chosen = [contestant(MODELS.get(name), weights=None) for name in models]
    work = plan(chosen, [SHIFTS.get(name) for name in shifts], store=Store(folder))
    for one in work.passes:
        for result in run_pass(one, options=Options(device="cpu", **options)):  # type: ignore[arg-type]
            assert result.error is None
    return {
        f"{cell.contestant.spec.name} {cell.shift.name}": (cell.folder / PREDICTIONS).read_bytes()
        for cell in work.cells
    }


SEEN = ["imagenet-val", "imagenet-val/a-classes", "imagenet-val/greyscale"]


def test_predictions_are_the_same_with_the_cache_and_without(
    photographs: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = evaluate(models, SEEN, photographs / "plain", image_cache=False, batch_size=32)
    assert not images_home().exists()
    cold = evaluate(models, SEEN, photographs / "cold", batch_size=32)  # several models: it is filled
    assert cold == plain
    assert len(list(images_home().iterdir())) == 2, "one for each geometry; decoded, sizes differ"
    warm = evaluate(models, SEEN, photographs / "warm", batch_size=32, workers=3)
    assert warm == plain
    answers = {
        name: read_predictions(path).prediction.tolist()
        for name, path in _paths(photographs / "plain").items()
    }
    for size in (7, 1000):
        evaluate(models, SEEN, photographs / f"by-{size}", batch_size=size, workers=2)
        for name, path in _paths(photographs / f"by-{size}").items():
            assert read_predictions(path).prediction.tolist() == answers[name]

    def refuse(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(Examples, "opened", refuse)
    for name in models:
        again = evaluate([name], SEEN[:2], photographs / f"none-{name}", batch_size=32)
        assert again.items() <= plain.items()


def _paths(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in folder.rglob(PREDICTIONS)}


def test_one_model_keeps_nothing_unless_asked(photographs: Path, models: list[str]) -> None:
    plain = evaluate(models[:1], SEEN[:1], photographs / "plain")
    assert not images_home().exists() or not list(images_home().iterdir())
    command = ["eval", "--model", models[0], "-s", SEEN[0], "--results"]
    assert run([*command, str(photographs / "refused"), "--no-image-cache"]) == 0
    assert not images_home().exists() or not list(images_home().iterdir())
    assert run([*command, str(photographs / "asked"), "--image-cache"]) == 0
    (asked,) = (photographs / "asked").rglob(PREDICTIONS)
    assert [asked.read_bytes()] == list(plain.values())
    (entry,) = images_home().iterdir()
    damaged = bytearray((entry / "pixels.bin").read_bytes())
    damaged[100 * 224 * 224 * 3] ^= 255
    (entry / "pixels.bin").write_bytes(damaged)
    assert evaluate(models[:1], SEEN[:1], photographs / "damaged", batch_size=32) == evaluate(
        models[:1], SEEN[:1], photographs / "again", batch_size=32, image_cache=False
    )
    assert not entry.exists(), "damaged: dropped, and its images decoded anew"


def test_images_of_one_size_are_kept_decoded_for_perturbations(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("cifar10-jpeg75", real_data / "cifar10" / "cifar10_test_jpeg.npz")
    plain = SHIFTS.get("cifar10-jpeg75").limited(200)
    contrast = SHIFTS.get("cifar10-c-online/contrast/3").perturbations
    shifts = [plain, dataclasses.replace(plain, name="cifar10-jpeg75/contrast", perturbations=contrast)]
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(build_model("cifar10-resnet20", device="cpu").network.state_dict(), weights)  # type: ignore[attr-defined]
    one = contestant(MODELS.get("cifar10-resnet20"), weights=weights)
    reads: list[int] = []
    opened = Examples.opened

    def counted(self: Examples, index: int) -> object:
        reads.append(index)
        return opened(self, index)

    monkeypatch.setattr(Examples, "opened", counted)
    found = []
    for turn, kept in enumerate((False, True, None)):
        work = plan([one], shifts, store=Store(tmp_path / str(turn)))
        (part,) = work.passes
        for result in run_pass(part, options=Options(device="cpu", image_cache=kept, batch_size=64)):
            assert result.error is None
        found.append([(cell.folder / PREDICTIONS).read_bytes() for cell in work.cells])
        assert len(reads) == 200 * min(turn + 1, 2), "each once, and none from a warm cache"
    assert found[0] == found[1] == found[2]
