"""What the scripts of this folder share: their arguments, measuring in turns, the machine, the verdict.

A script is run as ``python tests/benchmarks/NAME.py [--smoke] [--json FILE]``, prints a table and leaves with
0 where every limit is kept. ``--smoke`` takes the smallest size that runs all of its code, and keeps to no
limit; ``tests/test_benchmarks.py`` runs every script so.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Figures = Mapping[str, Mapping[str, float]]

ROOT = Path(__file__).resolve().parents[2]
_VERSIONS = ("numpy", "pyarrow", "pillow", "torch", "torchvision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The bounds of a figure; a bound of None does not bind."""

    at_most: float | None = None
    at_least: float | None = None

    def keeps(self, figure: float) -> bool:
        """Whether a figure lies within them; NaN does not."""
        return (self.at_most is None or figure <= self.at_most) and (
            self.at_least is None or figure >= self.at_least
        )

    def __str__(self) -> str:
        bounds = (("at most", self.at_most), ("at least", self.at_least))
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command that ran: wall clock, peak resident memory, its exit code and what it printed."""

    seconds: float
    peak_mib: float
    code: int
    output: str


def parser(doc: str | None, *, smoke: str) -> argparse.ArgumentParser:
    """The arguments of every script, for one that has more of its own.

    Args:
        doc: the script's docstring.
        smoke: what ``--smoke`` runs, as in "24 photographs once".
    """
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    found.add_argument("--smoke", action="store_true", help=f"{smoke}: does the script still run?")
    found.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return found


def arguments(doc: str | None, *, smoke: str) -> argparse.Namespace:
    """``smoke`` (bool) and ``json`` (a path or None) from the command line."""
    return parser(doc, smoke=smoke).parse_args()


def timed(
    job: Callable[[], object], *, clock: Callable[[], float] = time.perf_counter
) -> Callable[[], float]:
    """A job that says how many seconds it took; by ``time.process_time`` a busy neighbour counts less."""

    def seconds() -> float:
        start = clock()
        job()
        return clock() - start

    return seconds


def turns(jobs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """What each job says, time after time; they take turns, so that what else the machine does meets all."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            found[name].append(job())
    return found


def best_of(jobs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The least that each job said in its turns: the one that was disturbed least."""
    return {name: min(said) for name, said in turns(jobs, repeats).items()}


def machine() -> dict[str, object]:
    """What the figures depend on besides the code: the day, the processor, versions."""
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def finish(found: Figures, limits: Mapping[tuple[str, str], Limit], chosen: argparse.Namespace) -> int:
    """Print the figures, write them where ``--json`` says, and give the exit code.

    Args:
        found: row → figure → number; rows need not have the same figures.
        limits: of (row, figure); a figure that is not there does not keep its limit.
        chosen: what ``arguments`` gave.
    """
    here = machine()
    print(f"{here['processor']}, {here['cores']} cores, {here['date']}, torch {here.get('torch', 'absent')}")
    width = max(map(len, found), default=0)
    kept = True
    for row, figures in found.items():
        print(f"{row:{width}s}  " + ", ".join(f"{name} {figure:.4g}" for name, figure in figures.items()))
    for (row, name), limit in limits.items():
        figure = found.get(row, {}).get(name, float("nan"))
        holds = limit.keeps(figure)
        kept &= holds
        print(f"{'kept' if holds else 'MISSED'}: {row}, {name} {figure:.4g}, {limit}")
    if chosen.json:
        document = {
            "schema_version": 1,
            "machine": here,
            "smoke": chosen.smoke,
            "limits": {f"{row}, {name}": str(limit) for (row, name), limit in limits.items()},
            "kept": kept,
            "figures": found,
        }
        chosen.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if kept or chosen.smoke else 1


def compiled(scratch: Path) -> dict[str, str]:
    """An environment in which modules are compiled once, as those of an installed program are.

    Where ``PYTHONDONTWRITEBYTECODE`` is set, every start compiles every module anew, which takes most of it.

    Args:
        scratch: a folder for the bytecode; the first command of a run fills it.
    """
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(scratch / "bytecode")}


def run_cli(arguments: list[str], *, environment: Mapping[str, str] | None = None) -> Run:
    """One command line of the program in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        peak = Path(scratch) / "peak"
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, __file__, str(peak), *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        return Run(
            seconds=seconds, peak_mib=float(peak.read_text()), code=done.returncode, output=done.stdout
        )


def _child(peak: Path, arguments: list[str]) -> int:
    from benchmark.cli import run

    code = run(arguments)
    # Not getrusage: its peak is inherited from the parent that started this process.
    status = Path("/proc/self/status").read_text()
    peak.write_text(str(int(status.split("VmHWM:")[1].split()[0]) / 1024))
    return code


if __name__ == "__main__":
    sys.exit(_child(Path(sys.argv[1]), sys.argv[2:]))
