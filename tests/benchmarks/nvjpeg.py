"""What nvJPEG makes of photographs beside libjpeg: how fast, and by how much the pixels differ.

``python tests/benchmarks/nvjpeg.py [--images N] [--model NAME ...] [--smoke] [--json FILE]`` decodes the same
JPEG files on a CUDA device and on one core, and counts the values in which they differ: as decoded, and after
the resize and crop of ResNet-50. ``mean``, ``p99`` and ``largest`` are levels of 256. ``--model`` counts the
photographs for which a network predicts another class.

What nvJPEG does otherwise, as torchvision calls it, is above all to repeat the colours of subsampled files
where libjpeg interpolates them. libjpeg can be told to do so, too (by the package simplejpeg, where it is
installed): the rows ``repeated`` are that, measured without a CUDA device.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from tests.benchmarks.common import finish, parser
from tests.benchmarks.photographs import encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.classifier import Classifier

MODEL = "torchvision:resnet50"
BATCH = 32


Images = Sequence["NDArray[np.uint8]"]


def measure(number: int, models: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rows of the table."""
    import torch

    from shifts.images import decode

    files = encoded(number)
    start = time.perf_counter()
    here = [decode(file, where="a photograph") for file in files]
    rows = {"one core": {"images/s": number / (time.perf_counter() - start)}}
    if torch.cuda.is_available():
        found, seconds = _by_nvjpeg(files)
        rows["nvjpeg"] = {"images/s": number / seconds}
        pairs = [(one, other) for one, other in zip(here, found, strict=True) if other is not None]
        rows |= _compared("nvjpeg", *zip(*pairs, strict=True), models=models)
    else:
        print("there is no CUDA device on this machine: nvJPEG is not measured")
    try:
        simplejpeg = import_module("simplejpeg")
    except ImportError:
        print("simplejpeg is not installed: repeated colours are not measured")
        return rows
    plain = [simplejpeg.decode_jpeg(file, "RGB", fastupsample=True, fastdct=False) for file in files]
    return rows | _compared("repeated", here, plain, models=models)


def _by_nvjpeg(files: Sequence[bytes]) -> tuple[list[NDArray[np.uint8] | None], float]:
    """What the GPU makes of files, and in how many seconds."""
    import torch

    from benchmark.gpu_decoding import GpuDecoder

    decoder = GpuDecoder(torch.device("cuda"))
    decoder(files[:1])
    start = time.perf_counter()
    found = decoder(files)
    seconds = time.perf_counter() - start
    print(f"{sum(one is not None for one in found)} of {len(files)} files decoded by {decoder.version}")
    return found, seconds


def _compared(
    name: str, ours: Images, theirs: Images, *, models: Sequence[str]
) -> dict[str, dict[str, float]]:
    from models_zoo.loading import load_model
    from models_zoo.preprocessing import prepare
    from models_zoo.spec import MODELS

    preprocess = MODELS.get(MODEL).preprocess
    first, second = (prepare(images, preprocess).numpy() for images in (ours, theirs))
    rows = {
        f"{name}, decoded": _difference(ours, theirs),
        f"{name}, resized": _difference(list(first), list(second)),
    }
    for number, one in enumerate(models, start=1):
        model = load_model(one)
        one_way, other_way = (_classes(model, images) for images in (ours, theirs))
        print(f"model {number} is {one}")
        rows[f"{name}, model {number}"] = {
            "other classes": float((one_way != other_way).sum()),
            "photographs": float(len(ours)),
        }
    return rows


def _classes(model: Classifier, images: Images) -> NDArray[np.int64]:
    starts = range(0, len(images), BATCH)
    return np.concatenate([model.logits(images[at : at + BATCH]).argmax(axis=1) for at in starts])


def _difference(ours: Images, theirs: Images) -> dict[str, float]:
    values = np.concatenate(
        [np.abs(one.astype(np.int16) - other).ravel() for one, other in zip(ours, theirs, strict=True)]
    )
    return {
        "differing": float((values > 0).mean()),
        "mean": float(values.mean()),
        "p99": float(np.percentile(values, 99)),
        "largest": float(values.max()),
    }


def main() -> int:
    known = parser(__doc__, smoke="16 photographs")
    known.add_argument("--images", type=int, default=300)
    known.add_argument("--model", action="append", default=[], metavar="NAME")
    chosen = known.parse_args()
    return finish(measure(16 if chosen.smoke else chosen.images, chosen.model), {}, chosen)


if __name__ == "__main__":
    sys.exit(main())
