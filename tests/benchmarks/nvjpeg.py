"""What nvJPEG makes of photographs beside libjpeg: how fast, and by how much the pixels differ.

``python tests/benchmarks/nvjpeg.py [--images N] [--smoke] [--json FILE]`` decodes the same JPEG files on a
CUDA device and on one core, and counts the values in which they differ: as decoded, and after the resize and
crop of ResNet-50. ``mean``, ``p99`` and ``largest`` are levels of 256. Without a CUDA device it says so and
measures the core alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from tests.benchmarks.common import finish, parser
from tests.benchmarks.photographs import encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = "torchvision:resnet50"


def measure(number: int) -> dict[str, dict[str, float]]:
    """Rows of the table."""
    import torch

    from benchmark.gpu_decoding import GpuDecoder
    from models_zoo.preprocessing import prepare
    from models_zoo.spec import MODELS
    from shifts.images import decode

    files = encoded(number)
    start = time.perf_counter()
    here = [decode(file, where="a photograph") for file in files]
    rows = {"one core": {"images/s": number / (time.perf_counter() - start)}}
    if not torch.cuda.is_available():
        print("there is no CUDA device on this machine: nvJPEG is not measured")
        return rows
    decoder = GpuDecoder(torch.device("cuda"))
    decoder(files[:1])
    start = time.perf_counter()
    found = decoder(files)
    rows["nvjpeg"] = {"images/s": number / (time.perf_counter() - start)}
    pairs = [(one, other) for one, other in zip(here, found, strict=True) if other is not None]
    rows["decoded"] = _difference(*zip(*pairs, strict=True))
    preprocess = MODELS.get(MODEL).preprocess
    prepared = [prepare(images, preprocess).numpy() for images in zip(*pairs, strict=True)]
    rows["resized"] = _difference(*prepared)
    print(f"{len(pairs)} of {number} files decoded by {decoder.version}")
    return rows


def _difference(ours: Sequence[NDArray[np.uint8]], theirs: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
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
    chosen = known.parse_args()
    return finish(measure(16 if chosen.smoke else chosen.images), {}, chosen)


if __name__ == "__main__":
    sys.exit(main())
