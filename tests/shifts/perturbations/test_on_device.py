"""The twins of the corruptions: the pixels of their originals, but for rounding, in batches of any size."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shifts.data import perturb
from shifts.errors import UserError
from shifts.perturbations import on_device
from shifts.perturbations.on_device import TWINS, has_twin, jpeg, perturb_on, sums, twin_of
from shifts.perturbations.on_device.outlines import distances, equalised, outlines
from shifts.perturbations.severities import COMMON, EXTRA, FUNCTIONS, corruption
from shifts.registry import resolve
from shifts.spec import Perturbation
from tests.shifts.corruption_images import photographs, picture, rows_of

EXACT = {
    *("gaussian-noise", "shot-noise", "impulse-noise", "speckle-noise", "frost", "fog", "brightness"),
    *("contrast", "pixelate", "jpeg-compression", "saturate"),
}
# The rest is summed in single precision on the CPU, in an order that the processor decides: a value that
# lies next to a whole number loses its fraction on the other side.
SHARES = {"elastic-transform": 3e-3, "spatter": 1e-3}
# Where a drop's rim moves by a pixel, a value may change by more than a level.
LARGEST = {"spatter": 255} | dict.fromkeys(EXACT, 0)
SHARE = 6e-4
SIDES = [("imagenet", 224), ("cifar", 32)]


def both(
    name: str, severity: int, profile: str, images: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A corruption on the CPU and by its twin, in one batch."""
    perturbations = [corruption(name, severity, profile)]
    rows = rows_of([f"example {k}" for k in range(len(images))])
    twin = perturb_on("cpu", perturbations, list(images), rows)
    assert isinstance(twin, torch.Tensor) and twin.dtype == torch.uint8
    return np.stack(perturb(perturbations, list(images), rows)), twin.numpy()


@pytest.mark.parametrize(("profile", "side"), SIDES)
@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", [*COMMON, *EXTRA])
def test_twins_give_the_pixels_of_their_originals(name: str, severity: int, profile: str, side: int) -> None:
    images = photographs(6 if side == 32 else 2, side)
    original, twin = both(name, severity, profile, images)
    assert twin.shape == images.shape
    difference = np.abs(original.astype(int) - twin)
    assert difference.max() <= LARGEST.get(name, 1)
    assert (difference > 0).mean() <= (0 if name in EXACT else SHARES.get(name, SHARE))
    assert (twin != images).any()


@pytest.mark.parametrize(("profile", "side"), SIDES)
@pytest.mark.parametrize("name", [*COMMON, *EXTRA])
def test_an_image_comes_out_the_same_in_every_batch(
    name: str, profile: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = list(photographs(4, side))
    perturbations = [corruption(name, 3, profile)]
    rows = rows_of(list("abcd"))
    batch = perturb_on("cpu", perturbations, images, rows)
    assert isinstance(batch, torch.Tensor)
    for k, image in enumerate(images):
        alone = perturb_on("cpu", perturbations, [image], rows.some([k]))
        assert torch.equal(alone[0], batch[k]), f"image {k} alone"
    # Two at a time, as where the memory is short, and in another order.
    monkeypatch.setattr(on_device, "_MOST_BYTES", on_device.BYTES_PER_PIXEL * side * side * 2)
    backwards = perturb_on("cpu", perturbations, images[::-1], rows.some([3, 2, 1, 0]))
    assert isinstance(backwards, torch.Tensor)
    assert torch.equal(backwards.flip(0), batch)


@pytest.mark.parametrize("name", [*COMMON, *EXTRA])
def test_images_need_be_neither_square_nor_even(name: str) -> None:
    images = np.stack([picture(61, 83, seed=k) for k in range(2)])
    original, twin = both(name, 5 if name == "spatter" else 2, "cifar", images)
    difference = np.abs(original.astype(int) - twin)
    assert difference.max() <= LARGEST.get(name, 1)
    assert (difference > 0).mean() <= (0 if name in EXACT else SHARES.get(name, SHARE))


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (17, 9), (5, 3), (3, 5), (1, 1), (30, 33)])
@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 95])
def test_jpeg_is_the_library_s_at_every_size_and_quality(size: tuple[int, int], quality: int) -> None:
    noise = np.random.default_rng(quality).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    images = np.concatenate([noise, picture(*size)[None], np.full((1, *size, 3), 255, np.uint8)])
    rows = rows_of(list("abcd"))
    original = resolve(FUNCTIONS["jpeg-compression"])(images, rows, quality=quality)
    twin = jpeg.jpeg_compression(torch.from_numpy(images), rows, quality=quality)
    np.testing.assert_array_equal(twin.numpy(), original)


def test_outlines_distances_and_equalised_levels_are_opencv_s() -> None:
    grey = np.stack([photographs(6, 96)[k].max(axis=2) for k in range(6)])
    grey[3] = 7  # no outline at all, and one level alone
    edges = outlines(torch.from_numpy(grey), low=50, high=150)
    near = distances(edges, most=20).numpy()
    for k, image in enumerate(grey):
        canny = cv2.Canny(image, 50, 150)
        np.testing.assert_array_equal(edges[k].numpy(), canny > 0)
        expected = np.minimum(cv2.distanceTransform(255 - canny, cv2.DIST_L2, 5), 20)
        np.testing.assert_allclose(near[k], expected, atol=2e-4)
        flat = equalised(torch.from_numpy(grey[k : k + 1]))[0].numpy()
        np.testing.assert_array_equal(flat, cv2.equalizeHist(image))
    assert 0.02 < edges[:3].float().mean() < 0.5 and not edges[3].any()


def test_sums_of_whole_numbers_do_not_depend_on_their_order() -> None:
    values = torch.from_numpy(np.random.default_rng(0).uniform(-256, 256, (3, 40, 50)))
    down, across = (np.random.default_rng(k).dirichlet(np.ones(n), n) for k, n in ((1, 40), (2, 50)))
    found = sums.separably(values, down, across)
    np.testing.assert_allclose(found, down @ values.numpy() @ across.T, atol=256 * 2.0**-20)
    order = np.random.default_rng(3).permutation(50)
    shuffled = sums.separably(values[:, :, torch.from_numpy(order)], down, across[:, order])
    assert torch.equal(found, shuffled)


def test_whole_weights_keep_their_sum() -> None:
    weights = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]])
    found = sums.whole(weights, 4)
    np.testing.assert_array_equal(found, [[2, 3, 11], [6, 5, 5]])


def test_what_has_no_twin_takes_the_way_over_the_cpu() -> None:
    covered, softer = corruption("occlusion", 3, "cifar"), corruption("gaussian-blur", 3, "cifar")
    assert twin_of(covered) is None and not has_twin(covered)
    images, rows = list(photographs(3, 32)), rows_of(list("abc"))
    for perturbations in ([covered], [covered, softer], [softer, covered, softer]):
        found = perturb_on("cpu", perturbations, images, rows)
        expected = np.stack(perturb(perturbations, images, rows))
        assert isinstance(found, torch.Tensor)
        assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_images_of_several_sizes_come_back_in_their_places() -> None:
    images = [picture(40, 32), picture(32, 32), picture(40, 32, seed=1)]
    rows = rows_of(list("abc"))
    perturbations = [corruption("gaussian-noise", 3, "cifar")]
    found = perturb_on("cpu", perturbations, images, rows)
    assert isinstance(found, list)
    for one, expected in zip(found, perturb(perturbations, images, rows), strict=True):
        np.testing.assert_array_equal(one.numpy(), expected)
    untouched = perturb_on("cpu", [], images[:1], rows.some([0]))
    np.testing.assert_array_equal(untouched[0].numpy(), images[0])


def test_a_twin_refuses_what_its_original_refuses() -> None:
    tiny, rows = [picture(3, 3)], rows_of(["a"])
    with pytest.raises(UserError, match="glass-blur wants images of at least"):
        perturb_on("cpu", [corruption("glass-blur", 5, "imagenet")], tiny, rows)
    wrong = Perturbation(function=FUNCTIONS["shot-noise"], parameters={"photons": 0})
    with pytest.raises(UserError, match="photons must lie in"):
        perturb_on("cpu", [wrong], tiny, rows)


def test_every_published_corruption_has_a_twin_of_its_own_name() -> None:
    assert {FUNCTIONS[name] for name in (*COMMON, *EXTRA)} == set(TWINS)
    for original, twin in TWINS.items():
        assert resolve(original).__name__ == resolve(twin).__name__


def test_asking_for_a_twin_s_presence_imports_no_torch() -> None:
    program = (
        "import sys\nfrom shifts.perturbations.on_device import has_twin\n"
        "from shifts.perturbations.severities import corruption\n"
        "assert has_twin(corruption('fog', 1, 'cifar'))\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
