"""Time, memory and honesty of the spectra of features.

``python tests/benchmarks/spectrum.py [--smoke] [--json FILE]`` measures

1. seconds and peak memory of a spectrum with its interval, by the jackknife and by the bootstrap of 200
   resamples, on features as many and as wide as CLIP's on a validation set (50,000 x 512, float32, mapped
   from a file), beside NumPy's decomposition of the whole matrix, which has no interval; on one thread,
   so that what else the machine does matters less;
2. how often 95 % intervals of both kinds cover what they should, over repeated draws of rectified clusters:
   the mean of the statistic over draws of that size, and, corrected, that of many more examples.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmark.spectrum import (
    INTERVALS,
    largest_singular_value_ratio,
    singular_value_entropy,
    singular_values,
    spectrum,
)
from benchmark.spectrum_moments import Ready

N, DIM = 50_000, 512
SECONDS, MIB = 10.0, 700.0  # limits of a spectrum
SETTINGS = ((600, 64), (2000, 64), (600, 256), (3000, 256))


def draw(n: int, dim: int, *, seed: int) -> np.ndarray:
    """Rectified features of ten clusters with a falling spectrum."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    turn = np.linalg.qr(fixed.normal(size=(dim, dim)))[0] * (np.arange(1, dim + 1) ** -0.7)[:, None]
    clusters = fixed.normal(size=(10, dim))
    return np.maximum((clusters[rng.integers(0, 10, n)] + rng.normal(size=(n, dim))) @ turn, 0)


def child(kind: str, path: Path) -> None:
    """One measurement in a process of its own."""
    features = np.load(path, mmap_mode="r")
    started = time.perf_counter()
    if kind == "numpy":
        rows = Ready(values=features, centre="samples", normalise=True)[np.arange(len(features))]
        values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
        found = {"sve": singular_value_entropy(values), "lsvr": largest_singular_value_ratio(values)}
    else:
        one = spectrum(features, interval=kind)  # type: ignore[arg-type]
        found = {"sve": one.sve.value, "lsvr": one.lsvr.value}
    seconds = time.perf_counter() - started
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, **found}))


def cost(n: int, dim: int) -> dict[str, dict[str, float]]:
    """Seconds, peak memory and both statistics by each way of computing them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        np.save(path, draw(n, dim, seed=0).astype(np.float32))
        return {
            kind: json.loads(
                subprocess.run(
                    [sys.executable, __file__, "--child", kind, str(path)],
                    check=True, capture_output=True, text=True,
                ).stdout
            )
            for kind in (*INTERVALS, "numpy")
        }  # fmt: skip


def coverage(n: int, dim: int, *, repeats: int) -> dict[str, float]:
    """Coverage of both kinds, for the SVE: as it is, and corrected; and the errors they give."""
    many = singular_value_entropy(singular_values(draw(400 * dim, dim, seed=10**6)))
    found: dict[str, float] = {}
    for interval in INTERVALS:
        sets = [spectrum(draw(n, dim, seed=seed), interval=interval, resamples=50) for seed in range(repeats)]
        values = np.array([one.sve.value for one in sets])
        real = values.std(ddof=1)
        half = np.array([(one.sve.high - one.sve.low) / 2 for one in sets])
        corrected = np.array([one.sve_corrected.value for one in sets if one.sve_corrected is not None])
        found |= {
            f"{interval}: covers at n": float((np.abs(values - values.mean()) <= half).mean()),
            f"{interval}: corrected covers": float((np.abs(corrected - many) <= half).mean()),
            f"{interval}: error / real": float((half / 2.0227).mean() / real),  # t of 39 degrees of freedom
        }
    return {**found, "bias / real error": float((values.mean() - many) / real)}


def main() -> int:
    """Measure, print, and say by the exit code whether every limit is kept."""
    threadpool_limits(1)
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sets once: does the script still run?")
    parser.add_argument("--repeats", type=int, default=40, help="draws behind each coverage")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    n, dim, settings, repeats = (
        (2000, 64, SETTINGS[:1], 3) if chosen.smoke else (N, DIM, SETTINGS, chosen.repeats)
    )
    costs = cost(n, dim)
    kept = True
    print(f"{n:,} x {dim}")
    for kind, figures in costs.items():
        print(f"  {kind:10s} " + ", ".join(f"{name} {figure:.4g}" for name, figure in figures.items()))
        kept &= kind == "numpy" or (figures["seconds"] <= SECONDS and figures["peak_mib"] <= MIB)
        kept &= abs(figures["sve"] - costs["numpy"]["sve"]) < 1e-6
    covered = {f"{n} x {dim}": coverage(n, dim, repeats=repeats) for n, dim in settings}
    for name, rates in covered.items():
        print(f"{name}: " + ", ".join(f"{key} {rate:.2f}" for key, rate in rates.items()))
    if chosen.json:
        chosen.json.write_text(json.dumps({"cost": costs, "coverage": covered}, indent=1))
    return 0 if kept or chosen.smoke else 1


if __name__ == "__main__":
    raise SystemExit(main())
