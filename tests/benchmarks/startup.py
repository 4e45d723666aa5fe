"""How long every command takes to say anything, against the smallest Typer + Rich program.

``python tests/benchmarks/startup.py [--smoke] [--json FILE]`` times, turn by turn in one run, ``--help`` of a
two-command Typer program, ``--help`` of each command of this one, and the commands that only look things up.
Each is a ratio to the first. None of them may import torch. Times are of the processor: a start waits for
nothing else once its files are in the disk cache, and what else the machine does counts less.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from common import ROOT, Limit, arguments, compiled, finish, turns

TURNS = 6  # the first fills the bytecode and the disk cache
EMPTY = "an empty folder"
REPORT = f"report --results {EMPTY}"  # the only one that needs NumPy and SciPy
MOST, MOST_REPORT = 2.0, 3.5  # as ratios to the minimal program
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
# What the installed script runs, and whether torch came along.
OURS = """
import sys
from benchmark.cli import run

code = run(sys.argv[1:])
sys.exit("torch was imported" if "torch" in sys.modules else code)
"""
# What looks things up, and the exit code it leaves with: 2 is a user's mistake.
CHEAP = {
    "list models": 0,
    "list shifts": 0,
    "list suites": 0,
    "list sources": 0,
    "show digits": 0,
    REPORT: 2,
}


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    chosen = arguments(__doc__, smoke="four commands once each")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "empty").mkdir()
        environment = {**os.environ, **compiled(scratch), "PYTHONPATH": str(ROOT)}
        environment["ROBUSTBENCH_SHIFT_CACHE"] = str(scratch / "cache")
        jobs = dict(_jobs(scratch, environment, most=3 if chosen.smoke else None))
        times = turns(jobs, 1 if chosen.smoke else TURNS)
    medians = {name: median(taken[1:] or taken) for name, taken in times.items()}
    base = medians["minimal --help"]
    found = {name: {"ms": 1000 * taken, "ratio": taken / base} for name, taken in medians.items()}
    most = {name: MOST_REPORT if name == REPORT else MOST for name in found if name != "minimal --help"}
    limits = {(name, "ratio"): Limit(at_most=ratio) for name, ratio in most.items()}
    return finish(found, limits, chosen)


def _jobs(
    scratch: Path, environment: Mapping[str, str], *, most: int | None
) -> Iterator[tuple[str, Callable[[], float]]]:
    run = partial(_seconds, environment=environment)
    yield "minimal --help", partial(run, [sys.executable, "-c", MINIMAL, "--help"])
    ours = [sys.executable, "-c", OURS]
    for name in _commands()[:most]:
        yield f"{name} --help".strip(), partial(run, [*ours, *name.split(), "--help"])
    for line, code in list(CHEAP.items())[-1 if most else 0 :]:
        words = [str(scratch / "empty") if word == EMPTY else word for word in _words(line)]
        yield line, partial(run, [*ours, *words], code=code)


def _commands() -> list[str]:
    """The program and all commands below it, as they are typed."""
    import typer

    from benchmark.cli import program

    def below(command: Any, name: str) -> Iterator[str]:
        yield name
        for word, inner in getattr(command, "commands", {}).items():
            yield from below(inner, f"{name} {word}".strip())

    return list(below(typer.main.get_command(program()), ""))


def _words(line: str) -> list[str]:
    head, found, _ = line.partition(EMPTY)
    return [*head.split(), *([EMPTY] if found else [])]


def _seconds(command: list[str], *, environment: Mapping[str, str], code: int = 0) -> float:
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime
    assert done.returncode == code, f"{command[3:]}: {done.returncode}\n{done.stderr}"
    return taken


if __name__ == "__main__":
    raise SystemExit(main())
