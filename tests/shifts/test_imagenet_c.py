"""ImageNet-C on disk and generated: layout, planted faults, geometry, and the two never mixed."""

from __future__ import annotations

import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shifts import local
from shifts.catalogue import add
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.perturbations.severities import COMMON, EXTRA
from shifts.perturbations.views import crop_border, greyscale, resize_and_crop
from shifts.sources.imagenet_c import load
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import verify
from tests.shifts import imagenet_layouts as layouts

torchvision = pytest.importorskip("torchvision.transforms")
ITEMS = layouts.val_items([1, 2, 3, 777, 50_000])
CELLS = (("fog", 3), ("fog", 5), ("gaussian_noise", 1), ("jpeg_compression", 2))


def write(root: Path, *, top: str = "") -> Path:
    for name, severity in CELLS:
        layouts.write_folders(root, ITEMS, top=f"{top}{name}/{severity}")
    return root


@pytest.mark.parametrize("top", ["", "weather/", "ImageNet-C/weather/"])
def test_the_published_layout(tmp_path: Path, top: str) -> None:
    examples = load(write(tmp_path, top=top), "fog-3")
    assert examples.ids == ["ILSVRC2012_val_00000001", *examples.ids[1:4], "ILSVRC2012_val_00050000"]
    assert examples.labels.tolist() == [item.label for item in ITEMS]
    assert [examples.payloads[row] for row in range(5)] == [item.data for item in ITEMS]
    again = pickle.loads(pickle.dumps(examples))
    assert again.payloads[4] == ITEMS[4].data
    with pytest.raises(DataNotFoundError):
        load(tmp_path, "fog-2")


def test_only_the_splits_that_are_there(tmp_path: Path) -> None:
    record = add("imagenet-c", write(tmp_path), partial=True)
    assert set(record.splits) == {"fog-3", "fog-5", "gaussian-noise-1", "jpeg-compression-2"}
    assert load_shift("imagenet-c/fog/3").num_classes == 1000
    with pytest.raises(DataNotFoundError, match="'fog-1'"):
        load_shift("imagenet-c/fog/1")
    assert verify("imagenet-c").ok


def test_an_archive_as_published(tmp_path: Path) -> None:
    write(tmp_path / "files")
    with tarfile.open(tmp_path / "weather.bin", "w") as archive:
        archive.add(tmp_path / "files" / "fog", arcname="fog")
    assert set(add("imagenet-c", tmp_path / "weather.bin", partial=True).splits) == {"fog-3", "fog-5"}


def test_a_file_that_appears_or_goes_is_noticed(tmp_path: Path) -> None:
    add("imagenet-c", write(tmp_path), partial=True)
    (tmp_path / "fog/3" / layouts.WNIDS[ITEMS[0].label] / ITEMS[0].name).unlink()
    with pytest.raises(CorruptDataError, match="gone or was changed"):
        load_shift("imagenet-c/fog/5")
    assert not verify("imagenet-c").ok


def folder(item: layouts.Item) -> str:
    return f"fog/3/{layouts.WNIDS[item.label]}"


def swap(root: Path) -> None:
    a, b = root / folder(ITEMS[0]), root / folder(ITEMS[1])
    a.rename(root / "aside")
    b.rename(a)
    (root / "aside").rename(b)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "swapped folders": (swap, "folders were swapped"),
    "truncated": (
        lambda root: (root / folder(ITEMS[0]) / ITEMS[0].name).write_bytes(ITEMS[0].data[:200]),
        ITEMS[0].name,
    ),
    "stranger": (lambda root: (root / folder(ITEMS[0]) / "x.JPEG").write_bytes(b"x"), "x.JPEG"),
    "foreign class": (lambda root: layouts.write(root / "fog/3/cats/x.JPEG", b"x"), "none of the 1000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults(tmp_path: Path, fault: str) -> None:
    plant, words = FAULTS[fault]
    plant(write(tmp_path))
    with pytest.raises(CorruptDataError, match=words) as caught:
        add("imagenet-c", tmp_path, partial=True)
    assert caught.value.hint


def test_wrong_counts(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match="5 images instead of 50000"):
        add("imagenet-c", write(tmp_path))


def test_names_and_protocol() -> None:
    for family in ("imagenet-c", "imagenet-c-online"):
        specs = [spec for spec in SHIFTS if spec.name.startswith(f"{family}/")]
        assert len(specs) == 95
        assert {spec.cropped for spec in specs} == {224}
        assert {spec.reference for spec in specs} == {"imagenet-val"}
        assert {spec.name.split("/")[1] for spec in specs} == {*COMMON, *EXTRA}
    assert SHIFTS.get("imagenet-c/fog/3").source != SHIFTS.get("imagenet-c-online/fog/3").source
    assert len(SOURCES.get("imagenet-c").counts) == 95


def test_generated_images_are_cropped_then_corrupted(tmp_path: Path) -> None:
    sizes = [(300, 400), (256, 300), (500, 333)]
    found = []
    for number, (height, width) in zip((1, 2, 3), sizes, strict=True):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / "x.png"
        Image.fromarray(pixels).save(path)
        item = layouts.val_items([number])[0]
        found.append(layouts.Item(item.label, item.name, path.read_bytes()))
    add("imagenet-val", layouts.write_flat(tmp_path / "val", found), partial=True)
    shift = load_shift("imagenet-c-online/brightness/2")
    assert {image.shape for batch in shift.batches(3) for image in batch.images} == {(224, 224, 3)}
    base = load_examples("imagenet-val", "val")
    reference = torchvision.Compose([torchvision.Resize(256), torchvision.CenterCrop(224)])
    crop = SHIFTS.get("imagenet-c-online/brightness/2").perturbations[0]
    for row in range(3):
        whole = base.image(row)
        ours = resize_and_crop(whole[None], shift.rows(np.array([row])), **crop.parameters)[0]
        assert np.array_equal(ours, np.asarray(reference(Image.fromarray(whole))))
        corrupted = shift.perturb([whole], np.array([row]))[0]
        assert np.array_equal(shift.item(row), corrupted)
        assert corrupted.mean() > ours.mean()


def test_views() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    rows = load_shift("toy").rows(np.arange(4))
    grey = greyscale(images, rows)
    for image, ours in zip(images, grey, strict=True):
        assert np.array_equal(ours, np.asarray(Image.fromarray(image).convert("L").convert("RGB")))
    inner = crop_border(images, rows, pixels=2)
    assert np.array_equal(inner, images[:, 2:-2, 2:-2])
    with pytest.raises(Exception, match="nothing inside"):
        crop_border(images, rows, pixels=10)


def test_models_take_cropped_images_as_they_are() -> None:
    from models_zoo.preprocessing import for_cropped, prepare
    from models_zoo.spec import Preprocess

    image = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    batch = prepare([image], for_cropped(Preprocess(resize=256, crop=(224, 224)), 224))
    assert torch.equal(batch[0].permute(1, 2, 0), torch.from_numpy(image))
    assert prepare([image], for_cropped(Preprocess(resize=342, crop=(299, 299)), 224)).shape == (
        1,
        3,
        299,
        299,
    )


def test_a_record_is_read_once_however_many_shifts_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("imagenet-c", write(tmp_path), partial=True)
    read: list[Path] = []
    parse = local.Record.from_json.__func__  # type: ignore[attr-defined]

    def counted(cls: type, text: str, *, where: Path) -> local.Record:
        read.append(where)
        return parse(cls, text, where=where)  # type: ignore[no-any-return]

    monkeypatch.setattr(local.Record, "from_json", classmethod(counted))
    local._record.cache_clear()
    ready = [spec for spec in SHIFTS if local.is_ready(SOURCES.get(spec.source), spec.split)]
    assert sum(spec.source == "imagenet-c" for spec in ready) == 4
    assert len(read) == 1
    shutil.rmtree(local.source_folder("imagenet-c"))
    assert local.read_record("imagenet-c") is None
