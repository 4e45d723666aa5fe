"""What enters a network is bit for bit what torchvision's, timm's and open_clip's own evaluation gives it."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.data.dataset import ImageDataset
from timm.models import get_pretrained_cfg, list_pretrained
from torchvision.datasets.folder import pil_loader

from models_zoo.preprocessing import for_cropped, normalise, prepare, resized_size, shaped
from models_zoo.sources.timm_models import preprocess_of as of_timm
from models_zoo.sources.torchvision_models import preprocess_of as of_torchvision
from models_zoo.spec import ModelSpec, Preprocess
from shifts.digest import canonical
from shifts.errors import UserError
from shifts.images import decode, opened

Transform = Callable[[Image.Image], torch.Tensor]
JPEG = b"\xff\xd8"
SAMPLE = (0, 41, 97, 150)  # landscape, portrait, small, square


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _noise(height: int, width: int, channels: int = 3) -> Image.Image:
    values = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values.squeeze())


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    return _encoded(_noise(60, 90), "JPEG", exif=exif)


ODD = {
    "grey": _encoded(_noise(70, 110, 1), "JPEG"),
    "cmyk": _encoded(_noise(80, 60).convert("CMYK"), "JPEG"),
    "palette": _encoded(_noise(64, 48).convert("P"), "PNG"),
    "transparent": _encoded(_noise(50, 70, 4), "PNG"),
    "exif-turned": _turned(),
    "one-pixel-wide": _encoded(_noise(40, 1), "PNG"),
    "tiny": _encoded(_noise(2, 3), "PNG"),
    "long": _encoded(_noise(9, 400), "PNG"),
    "exact": _encoded(_noise(224, 224), "PNG"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The odd images, each as a file with the ending it deserves."""
    folder = tmp_path_factory.mktemp("images")
    paths = {}
    for name, payload in ODD.items():
        ending = "jpg" if payload.startswith(JPEG) else "png"
        paths[name] = folder / f"{name}.{ending}"
        paths[name].write_bytes(payload)
    return paths


@pytest.fixture(scope="module")
def photos(real_data: Path) -> list[bytes]:
    """JPEG files of ImageNet."""
    with tarfile.open(real_data / "imagenet_sample" / "imagenet_sample_300.tar") as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".jpg"))
        members = [archive.extractfile(names[place]) for place in SAMPLE]
        return [member.read() for member in members if member is not None]


def ours(payload: bytes, preprocess: Preprocess) -> torch.Tensor:
    return normalise(prepare([decode(payload, where="here")], preprocess), preprocess)[0]


def assert_equal(preprocess: Preprocess, transform: Transform, payloads: Iterable[bytes]) -> None:
    for payload in payloads:
        with Image.open(io.BytesIO(payload)) as image:
            theirs = transform(image.convert("RGB"))
        torch.testing.assert_close(ours(payload, preprocess), theirs, rtol=0, atol=0)


# Every configuration of the libraries by what decides the pixels.


@cache
def _timm_configurations() -> dict[Preprocess, dict[str, Any]]:
    found: dict[Preprocess, dict[str, Any]] = {}
    for name in list_pretrained():
        cfg = get_pretrained_cfg(name)
        assert cfg is not None
        for test_size in (False, True):
            config = resolve_data_config(pretrained_cfg=cfg.to_dict(), use_test_size=test_size)
            found.setdefault(of_timm(config), config)
    return found


@cache
def _torchvision_weights() -> dict[Preprocess, Any]:
    found: dict[Preprocess, Any] = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            found.setdefault(of_torchvision(weights.transforms()), weights.transforms())
    return found


@cache
def _open_clip_configurations() -> dict[Preprocess, PreprocessCfg]:
    found = {}
    for name, tag in open_clip.list_pretrained():
        size = open_clip.get_model_config(name)["vision_cfg"].get("image_size", 224)
        cfg = open_clip.get_pretrained_cfg(name, tag)
        wanted = {key: cfg[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in cfg}
        config = PreprocessCfg(size=size, **wanted)
        height, width = (size, size) if isinstance(size, int) else size
        assert height == width
        fit = {"shortest": "cover", "longest": "contain", "squash": "squash"}[config.resize_mode]
        preprocess = Preprocess(
            resize=height if fit == "cover" else (height, width),
            fit="squash" if fit == "cover" else fit,  # type: ignore[arg-type] # one of the three
            crop=(height, width),
            interpolation=config.interpolation,  # type: ignore[arg-type] # refused if unknown
            mean=tuple(config.mean),
            std=tuple(config.std),
        )
        found[preprocess] = config
    return found


SMALL = 400  # pixels of a side: larger inputs are tried with fewer images


def _payloads(preprocess: Preprocess, photos: list[bytes]) -> list[bytes]:
    side = max(preprocess.crop or (0,))
    if side > SMALL:
        return [photos[0], ODD["palette"]]
    return [photos[side % len(photos)], ODD["grey"], ODD["exif-turned"]]


def test_timm(photos: list[bytes]) -> None:
    configurations = _timm_configurations()
    assert len(configurations) > 100
    assert {each.fit for each in configurations} == {"squash", "contain"}
    for preprocess, config in configurations.items():
        transform = create_transform(**config, is_training=False)
        assert_equal(preprocess, transform, _payloads(preprocess, photos))


def test_torchvision(photos: list[bytes]) -> None:
    assert len(_torchvision_weights()) > 20
    for preprocess, transform in _torchvision_weights().items():
        assert_equal(preprocess, transform, _payloads(preprocess, photos))


def test_open_clip(photos: list[bytes]) -> None:
    assert len(_open_clip_configurations()) > 10
    for preprocess, config in _open_clip_configurations().items():
        transform = image_transform_v2(config, is_train=False)
        assert_equal(preprocess, transform, _payloads(preprocess, photos))


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(224, 224), (96, 160)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875, 0.95])
def test_timm_on_odd_images(crop_mode: str, size: tuple[int, int], crop_pct: float) -> None:
    config = resolve_data_config(
        {"input_size": (3, *size), "crop_mode": crop_mode, "crop_pct": crop_pct, "interpolation": "bicubic"}
    )
    # timm stops with an error where a line of pixels would vanish.
    vanishing = crop_mode == "border"
    payloads = [payload for name, payload in ODD.items() if not (vanishing and name == "one-pixel-wide")]
    assert_equal(of_timm(config), create_transform(**config, is_training=False), payloads)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_open_clip_on_odd_images(mode: str) -> None:
    config = PreprocessCfg(size=224, resize_mode=mode)
    preprocess = Preprocess(
        resize=224 if mode == "shortest" else (224, 224),
        fit="contain" if mode == "longest" else "squash",
        crop=(224, 224),
        interpolation="bicubic",
        mean=config.mean,
        std=config.std,
    )
    assert_equal(preprocess, image_transform_v2(config, is_train=False), ODD.values())


def test_torchvision_on_odd_images() -> None:
    weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    assert_equal(of_torchvision(weights.transforms()), weights.transforms(), ODD.values())


# The libraries' readers.


def test_files_are_read_as_the_libraries_read_them(files: dict[str, Path]) -> None:
    for name, path in files.items():
        read = np.asarray(pil_loader(str(path)))  # of ImageFolder, which open_clip's evaluation uses, too
        np.testing.assert_array_equal(decode(path.read_bytes(), where=name), read)
    reader = ImageDataset(str(next(iter(files.values())).parent), class_map="", input_img_mode="RGB")
    for place, (path, _) in enumerate(reader.reader.samples):  # type: ignore[attr-defined] # of its reader
        image, _ = reader[place]
        np.testing.assert_array_equal(decode(Path(path).read_bytes(), where=path), np.asarray(image))


def test_an_orientation_in_the_file_is_not_applied() -> None:
    assert decode(ODD["exif-turned"], where="here").shape == (60, 90, 3)


# The pieces.


def test_a_batch_is_its_images_one_by_one(photos: list[bytes]) -> None:
    preprocess = Preprocess(resize=64, crop=(56, 56), interpolation="bicubic", mean=(0.4, 0.5, 0.6))
    together = prepare([decode(photo, where="here") for photo in photos], preprocess)
    assert together.dtype == torch.uint8
    single = torch.stack([ours(photo, preprocess) for photo in photos])
    assert torch.equal(normalise(together, preprocess), single)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(resize=64, crop=(56, 56), interpolation="bicubic"),
        Preprocess(resize=64, crop=(56, 56), resizer="torchvision"),
        Preprocess(resize=(64, 80), crop=(57, 57), fit="contain", corner="rounded", fill=(1, 2, 3)),
        Preprocess(resize=48, crop=(56, 56)),
        Preprocess(resize=(48, 64), fit="squash"),
        Preprocess(),
    ],
)
def test_an_image_as_pillow_holds_it_gives_the_same_pixels(
    photos: list[bytes], preprocess: Preprocess
) -> None:
    for photo in photos[:4]:
        held, pixels = opened(photo, where="here"), decode(photo, where="here")
        assert isinstance(held, Image.Image)
        assert np.array_equal(shaped(held, preprocess), shaped(pixels, preprocess))


@pytest.mark.parametrize(
    ("preprocess", "size", "expected"),
    [
        (Preprocess(resize=256), (375, 500), (256, 341)),
        (Preprocess(resize=256), (500, 375), (341, 256)),
        (Preprocess(resize=(256, 128)), (10, 10), (256, 128)),
        (Preprocess(resize=(100, 200), fit="cover"), (300, 300), (200, 200)),
        (Preprocess(resize=(100, 200), fit="contain"), (300, 300), (100, 100)),
        (Preprocess(resize=(100, 100), fit="contain"), (1, 1000), (1, 100)),
        (Preprocess(), (5, 7), (5, 7)),
    ],
)
def test_size_after_the_resize(
    preprocess: Preprocess, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized_size(*size, preprocess) == expected


def test_the_border_has_the_fill() -> None:
    white: NDArray[np.uint8] = np.full((4, 8, 3), 255, dtype=np.uint8)
    preprocess = Preprocess(resize=(4, 4), fit="contain", crop=(4, 4), fill=(1, 2, 3))
    (image,) = prepare([white], preprocess)
    assert image[:, 0, 0].tolist() == [1, 2, 3]
    assert image[:, 1:3].eq(255).all()
    assert image[:, 3, 3].tolist() == [1, 2, 3]


def test_the_faster_resize_is_near_and_is_not_the_same_model(photos: list[bytes]) -> None:
    slow = Preprocess(resize=64, crop=(64, 64), interpolation="bicubic")
    fast = dataclasses.replace(slow, resizer="torchvision")
    raw = [decode(photo, where="here") for photo in photos]
    difference = (prepare(raw, slow).int() - prepare(raw, fast).int()).abs()
    assert 0 < difference.float().mean() < 1
    assert slow.geometry != fast.geometry
    assert _spec(slow).digest("w") != _spec(fast).digest("w")
    with pytest.raises(UserError, match="lanczos"):
        dataclasses.replace(fast, interpolation="lanczos")


def test_digests_are_those_from_before_there_was_a_choice() -> None:
    preprocess = Preprocess(resize=256, crop=(224, 224))
    before = {"resize", "crop", "interpolation", "mean", "std"}
    assert preprocess.identity().keys() == before
    assert dataclasses.replace(preprocess, fit="cover").identity().keys() == before | {"fit"}


@pytest.mark.parametrize("field", ["interpolation", "fit", "resizer"])
def test_a_word_that_is_none(field: str) -> None:
    with pytest.raises(UserError, match="unknown"):
        Preprocess(**{field: "nothing"})  # type: ignore[arg-type] # that is the mistake


def test_survives_json() -> None:
    preprocess = next(each for each in _timm_configurations() if each.fit == "contain")
    raw = json.loads(json.dumps(canonical(preprocess)))
    assert Preprocess(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}) == preprocess


def test_images_that_were_cropped_before() -> None:
    preprocess = Preprocess(resize=(256, 256), fit="contain", crop=(256, 256))
    assert for_cropped(preprocess, 256).resize is None
    assert for_cropped(preprocess, 224).resize == (256, 256)
    assert for_cropped(preprocess, 224).fit == "squash"
    assert for_cropped(preprocess, None) == preprocess


def _spec(preprocess: Preprocess) -> ModelSpec:
    return ModelSpec(
        name="any",
        title="any",
        label_space="imagenet-1k",
        preprocess=preprocess,
        family="standard",
        training_data=(),
        loader="nowhere:load",
        licence="none",
        citation="none",
        source="none",
        suite="imagenet-val",
    )


def test_pixels_are_normalised_to_the_same_bits_in_every_layout() -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 5, 7), dtype=torch.uint8, generator=draw)
    preprocess = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocess.mean, preprocess.std))
    expected = (images.float() / 255 - mean) / std
    for layout in (torch.contiguous_format, torch.channels_last):
        found = normalise(images.to(memory_format=layout), preprocess)
        assert torch.equal(found, expected)
        assert found.is_contiguous(memory_format=layout)
