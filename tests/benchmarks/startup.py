"""How long the program takes to say anything, against the smallest Typer + Rich program.

``python tests/benchmarks/startup.py [--smoke] [--json FILE]`` times, turn by turn in one run, ``--help`` of a
two-command Typer program with ``--help``, ``list models`` and ``list shifts`` of this one, and prints ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 2.0
MINIMAL = '''
import typer
from rich.console import Console

app = typer.Typer()

@app.command()
def one(number: int = 1) -> None:
    """One."""
    Console().print(number)

@app.command()
def two(number: int = 2) -> None:
    """Two."""
    Console().print(number)

app()
'''
OURS = {"--help": ["--help"], "list models": ["list", "models"], "list shifts": ["list", "shifts"]}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and say by the exit code whether the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="once each: does the script still run?")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        minimal = Path(scratch) / "minimal.py"
        minimal.write_text(MINIMAL)
        commands = {"minimal --help": [sys.executable, str(minimal), "--help"]}
        # The installed script imports the same module; calling it through -m adds nothing measurable.
        commands |= {name: [sys.executable, "-m", "benchmark.cli", *rest] for name, rest in OURS.items()}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(1 if chosen.smoke else 12):
            for name, command in commands.items():
                taken = seconds(command)
                if turn or chosen.smoke:  # the first turn fills the disk cache
                    times[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    base = medians["minimal --help"]
    for name, median in medians.items():
        print(f"{name:15s} {1000 * median:7.0f} ms  {median / base:5.2f}x (limit {LIMIT})")
    if chosen.json:
        chosen.json.write_text(json.dumps(medians, indent=1))
    return 0 if chosen.smoke or max(medians.values()) <= LIMIT * base else 1


if __name__ == "__main__":
    raise SystemExit(main())
