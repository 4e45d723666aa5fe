"""How long a newcomer waits for the first table, and for the same table again.

``python tests/benchmarks/first_table.py [--smoke] [--json FILE]`` runs ``eval --model digits-cnn`` twice in
an empty cache: the first trains the model and evaluates it on the whole suite, the second runs no model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMITS = {"first": 60.0, "second": 3.0}


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a toy model: does the script still run?")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    model = "toy-oracle" if chosen.smoke else "digits-cnn"
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "ROBUSTBENCH_SHIFT_CACHE": str(Path(scratch) / "cache")}
        command = [sys.executable, "-m", "benchmark.cli", "eval", "--model", model]
        command += ["--results", str(Path(scratch) / "results")]
        taken = {}
        for name in LIMITS:
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            taken[name] = time.perf_counter() - start
            print(f"{name:7s} {taken[name]:6.2f} s (limit {LIMITS[name]:.0f} s)")
    if chosen.json:
        chosen.json.write_text(json.dumps(taken, indent=1))
    kept = all(taken[name] <= limit for name, limit in LIMITS.items())
    return 0 if kept or chosen.smoke else 1


if __name__ == "__main__":
    raise SystemExit(main())
