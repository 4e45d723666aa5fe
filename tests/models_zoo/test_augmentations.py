"""Augmentation against torchvision's own and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from models_zoo.augmentations import (
    crop_and_flip,
    crop_box,
    diversify,
    random_resized_crop,
    tint_at_random,
)
from models_zoo.feeding import Feed
from models_zoo.recipe import Augmentation, Stage
from models_zoo.spec import Preprocess
from shifts.data import Rows
from shifts.errors import UserError
from shifts.perturbations.synthetic import tint

SIZES = [(256, 341), (341, 256), (224, 224), (40, 900), (900, 40), (3, 3), (1, 50)]


class TorchDraw:
    """Draws from torch's global generator in the way torchvision does."""

    def uniform(self, low: float, high: float) -> float:
        return float(torch.empty(1).uniform_(low, high))

    def integers(self, low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.8, 1.0), (0.9, 1.0)])
def test_parts_are_those_of_torchvision(size: tuple[int, int], scale: tuple[float, float]) -> None:
    image = Image.new("RGB", size[::-1])
    for seed in range(60):
        torch.manual_seed(seed)
        expected = transforms.RandomResizedCrop.get_params(image, scale=list(scale), ratio=[3 / 4, 4 / 3])
        torch.manual_seed(seed)
        ours = crop_box(*size, TorchDraw(), scale=scale, ratio=(3 / 4, 4 / 3))  # type: ignore[arg-type]
        assert ours == tuple(expected)


def test_pixels_are_those_of_torchvision() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    theirs = transforms.RandomResizedCrop(32)
    for seed in range(20):
        torch.manual_seed(seed)
        expected = np.asarray(theirs(Image.fromarray(pixels)))
        torch.manual_seed(seed)
        plain = random_resized_crop(pixels, TorchDraw(), size=(32, 32), interpolation="bilinear", flip=-1.0)  # type: ignore[arg-type]
        assert np.array_equal(plain, expected)
        torch.manual_seed(seed)
        mirrored = random_resized_crop(pixels, TorchDraw(), size=(32, 32), interpolation="bilinear", flip=2.0)  # type: ignore[arg-type]
        assert np.array_equal(mirrored, expected[:, ::-1])


def test_crop_and_flip_cuts_every_image_from_its_padded_self() -> None:
    images = np.random.default_rng(1).integers(1, 256, (200, 6, 6, 3), dtype=np.uint8)
    cut = crop_and_flip(images, np.random.default_rng(2), pad=2)
    assert cut.dtype == np.uint8 and cut.shape == images.shape
    places, mirrored = set(), 0
    for before, after in zip(images, cut, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        found = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            if np.array_equal(padded[top : top + 6, left : left + 6][:, :: -1 if flip else 1], after)
        ]
        assert len(found) == 1
        places.add(found[0][:2])
        mirrored += found[0][2]
    assert len(places) == 25
    assert 70 < mirrored < 130
    assert np.array_equal(crop_and_flip(images, np.random.default_rng(2), pad=0, flip=0.0), images)


def test_a_view_replaces_the_evaluations_geometry() -> None:
    view = Augmentation(
        function="models_zoo.augmentations:random_resized_crop", parameters={"scale": (0.5, 1.0)}
    )
    stage = Stage(shift="digits", share=0.1, epochs=1, learning_rate=0.1, batch_size=20, view=view)
    feed = Feed(stage, Preprocess(resize=16, crop=(12, 12)), key=(0, 0))
    assert not feed.in_memory
    first, second = (next(iter(feed.batches(step, step + 1))) for step in (0, 1))
    assert first.images.shape == (20, 12, 12, 3)
    again = next(iter(feed.batches(1, 2, workers=2)))
    assert np.array_equal(second.images, again.images)
    assert not np.array_equal(first.images, second.images)
    with pytest.raises(UserError, match="size of the network's input"):
        Feed(stage, Preprocess(), key=(0, 0))


def test_diversity_blends_shrinks_and_turns() -> None:
    draw = np.random.default_rng(0)
    images = np.zeros((200, 16, 16, 3), dtype=np.uint8)
    images[:, :8] = 200  # bright above, dark below
    same = diversify(images, draw, tint=0.0)
    np.testing.assert_array_equal(same, images)
    tinted = diversify(images, draw, tint=0.5)
    spread = tinted[:, :8].reshape(200, -1, 3)
    assert (np.ptp(spread, axis=1) == 0).all(), "one colour an image"
    assert len(np.unique(tinted[:, 15, 0], axis=0)) > 150, "another for each"
    assert tinted[:, 15, 0].max() <= 128, "half of it at the most"
    small = diversify(images, draw, tint=0.0, border=0.25)
    shrunk = (small[:, 0] < 100).all(axis=(1, 2))
    assert 0.6 < shrunk.mean() < 0.95, "0 to 4 pixels, 0 one time in five"
    turned = diversify(images, draw, tint=0.0, upside_down=0.5)[:, 0, 0, 0] == 0
    assert 0.35 < turned.mean() < 0.65
    again = diversify(images, np.random.default_rng(1), border=0.2, upside_down=0.5)
    np.testing.assert_array_equal(
        again, diversify(images, np.random.default_rng(1), border=0.2, upside_down=0.5)
    )


def test_a_random_tint_is_one_of_the_shifts_colours_and_tells_nothing() -> None:
    rows = Rows(ids=[str(i) for i in range(2)], labels=np.array([0, 1]), num_classes=2, seed=0)
    images = np.full((2, 8, 8, 3), 90, dtype=np.uint8)
    of_classes = tint(images, rows, p=1.0)
    many = tint_at_random(np.repeat(images, 200, axis=0), np.random.default_rng(2), classes=2)
    first = (many == of_classes[0]).all(axis=(1, 2, 3))
    second = (many == of_classes[1]).all(axis=(1, 2, 3))
    assert (first ^ second).all(), "the shift's colours and no other"
    assert 0.4 < first[:200].mean() < 0.6
    assert 0.4 < first[200:].mean() < 0.6
