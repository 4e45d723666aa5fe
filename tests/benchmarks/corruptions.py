"""Time every corruption on 224x224 images in one thread, beside the published package where it is installed.

    python tests/benchmarks/corruptions.py [--smoke] [--json FILE]

Both sides run in this one process, on the same picture, in alternation; processor time is what counts.
The package is ``imagecorruptions``; it wants ``setuptools<81``, ``numpy<2`` and, for its glass blur and
Gaussian blur, ``scikit-image<0.20``. What fails in it is shown as a dash. Its elastic transform is a simpler
one than that of ImageNet-C, without the affine map and with a small smoothing at every severity. JPEG and
pixelate spend their time in Pillow on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2  # noqa: E402 - the number of threads is read when the libraries load
import numpy as np  # noqa: E402

from shifts.perturbations.severities import COMMON, EXTRA, SEVERITIES, corruption  # noqa: E402
from shifts.registry import resolve  # noqa: E402
from tests.shifts.corruption_images import picture, rows_of  # noqa: E402

GOALS = {
    "zoom-blur": 8, "brightness": 8, "saturate": 8, "elastic-transform": 8,
    "motion-blur": 3, "contrast": 3, "shot-noise": 3, "snow": 3,
}  # fmt: skip
"""How many times faster than the published package a corruption is to be; 1 where nothing is said."""
GOAL_SUM = 5
# A ratio up to 5 % below its goal is taken for noise: JPEG is the same two library calls on both sides.


def published() -> Callable[..., Any] | None:
    """The published package's entry point, or None where it is not installed."""
    try:
        from imagecorruptions import corrupt
    except ImportError as error:
        print(f"imagecorruptions is not here ({error}): its columns are left out", file=sys.stderr)
        return None
    return corrupt  # type: ignore[no-any-return]


def seconds(call: Callable[[], object]) -> float:
    """Processor time of a call: a thread that should not be there counts, a busy neighbour does not."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(
    name: str, reference: Callable[..., Any] | None, *, repeats: int, batch: int, side: int
) -> dict[str, Any]:
    """Seconds an image, the median over repeats, then the mean over severities; None where it fails."""
    image = picture(side, side)
    images, rows = np.stack([image] * batch), rows_of([str(k) for k in range(batch)])
    ours, theirs = [], []
    for severity in SEVERITIES:
        perturbation = corruption(name, severity, "imagenet")
        run = partial(resolve(perturbation.function), images, rows, **perturbation.parameters)
        run()  # tables and textures are made once
        if reference is None:
            ours.append(median(seconds(run) / batch for _ in range(repeats)))
            continue
        run_reference = partial(reference, image, severity, name.replace("-", "_"))
        try:
            run_reference()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it has no time
            print(f"{name}: the published package fails: {error}", file=sys.stderr)
            return measure(name, None, repeats=repeats, batch=batch, side=side)
        pairs = [(seconds(run) / batch, seconds(run_reference)) for _ in range(repeats)]
        ours.append(median(pair[0] for pair in pairs))
        theirs.append(median(pair[1] for pair in pairs))
    return {"name": name, "seconds": mean(ours), "published_seconds": mean(theirs) if theirs else None}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="small images, one repeat: does it run at all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    repeats, batch, side = (1, 1, 96) if options.smoke else (7, 4, 224)

    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    reference = published()
    table = []
    print(f"{'corruption':20} {'ms':>8} {'published ms':>13} {'ratio':>7} {'goal':>5}")
    for name in (*COMMON, *EXTRA):
        row = measure(name, reference, repeats=repeats, batch=batch, side=side)
        table.append(row)
        print(_line(name, row["seconds"], row["published_seconds"], GOALS.get(name, 1)), flush=True)
    both = [row for row in table if row["name"] in COMMON and row["published_seconds"] is not None]
    total = sum(row["seconds"] for row in table if row["name"] in COMMON)
    print(_line("sum of the 15", total, None, None))
    if both:
        ours, theirs = (sum(row[key] for row in both) for key in ("seconds", "published_seconds"))
        print(_line(f"sum of {len(both)} in both", ours, theirs, GOAL_SUM))
    if options.json:
        versions = {"numpy": np.__version__, "opencv": cv2.__version__, "python": sys.version.split()[0]}
        document = {
            "schema_version": 1,
            "side": side,
            "repeats": repeats,
            "versions": versions,
            "rows": table,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def _line(name: str, ours: float, theirs: float | None, goal: float | None) -> str:
    ratio = None if theirs is None else theirs / ours
    cells = [
        f"{1e3 * ours:8.2f}",
        f"{1e3 * theirs:13.2f}" if theirs is not None else f"{'-':>13}",
        f"{ratio:6.1f}x" if ratio is not None else f"{'-':>7}",
        f"{goal:4g}x" if goal is not None else f"{'':>5}",
        "" if ratio is None or goal is None or ratio >= 0.95 * goal else "missed",
    ]
    return " ".join([f"{name:20}", *cells]).rstrip()


if __name__ == "__main__":
    sys.exit(main())
