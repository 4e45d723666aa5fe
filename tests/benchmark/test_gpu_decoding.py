"""Decoding by a GPU: what is left to the processor, and what it may differ by."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.chunks import Wanted, geometry_of
from benchmark.cli import run
from benchmark.gpu_decoding import GpuDecoder
from benchmark.reading import Reader
from models_zoo.spec import Preprocess
from shifts.data import Examples
from shifts.errors import UserError
from shifts.images import decode
from tests.benchmarks.photographs import encoded

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
SQUARE = Preprocess(resize=256, crop=(224, 224))


def test_without_a_cuda_device_it_is_refused_with_the_way_out(
    trained_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in (None, torch.device("cpu")):
        with pytest.raises(UserError, match="CUDA device"):
            GpuDecoder(device)
    order = ["eval", "-m", "digits-logreg-f10", "--shift", "digits", "--limit", "20", "--device", "cpu"]
    assert run([*order, "--decode", "nvjpeg", "--results", str(tmp_path)]) == 0, "bundled pixels are no files"


class Some:
    """Stands for the GPU: decodes every second file, brighter by one."""

    def __call__(self, payloads: list[bytes]) -> list[np.ndarray | None]:
        found = [decode(payload, where="file") for payload in payloads]
        return [None if number % 2 else np.minimum(image, 254) + 1 for number, image in enumerate(found)]


def test_what_the_decoder_leaves_is_decoded_here() -> None:
    files = encoded(6)
    rows = np.arange(6)
    examples = Examples(payloads=files, labels=np.zeros(6, np.int64), ids=list("abcdef"))
    whole = Preprocess(resize=(64, 64), crop=(64, 64))

    def batch(decoder: Some | None) -> np.ndarray:
        reader = Reader(
            examples,
            content="c",
            decoded=Wanted(now=rows[:0], ever=rows[:0]),
            geometries={geometry_of(whole): Wanted(now=rows, ever=rows)},
            cached=False,
            fill=False,
            decoder=decoder,
        )
        (chunk,) = reader.chunks(8, workers=1)
        return chunk.batch(geometry_of(whole), rows).numpy().astype(int)

    plain, mixed = batch(None), batch(Some())
    np.testing.assert_array_equal(plain[1::2], mixed[1::2])
    assert (mixed[::2] - plain[::2]).mean() == pytest.approx(1, abs=0.3)


@needs_cuda
def test_a_gpu_decodes_colour_jpegs_and_nothing_else() -> None:
    files = encoded(32)
    grey = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(grey, "JPEG")
    decoder = GpuDecoder(torch.device("cuda"))
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert decoder([grey.getvalue(), pixels, b"no image"]) == [None, None, None]
    found = decoder(files)
    colour = [Image.open(io.BytesIO(file)).mode == "RGB" for file in files]
    assert [image is not None for image in found] == colour
    for file, image in zip(files, found, strict=True):
        if image is not None:
            expected = decode(file, where="file").astype(int)
            assert image.shape == expected.shape
            assert np.abs(expected - image).mean() < 2, "levels of 256"
