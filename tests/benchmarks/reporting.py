"""What the tables, lines and figures of thousands of models cost: seconds and memory of the commands.

``python tests/benchmarks/reporting.py [--smoke] [--json FILE]`` makes a results folder of 2,000 models on 12
shifts of ImageNet (3.5 GB in a temporary folder) and runs each command as a user does, in a process of its
own, start of the program included. The first ``report`` has no index of the results; the others have. Peak
memory of a report, as a table and as files, is compared with that of a quarter of the models. The board has
2,000 entries on the same shifts, with a tenth of the examples; its memory is compared with that of a tenth of
the entries.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from common import Limit, Run, arguments, compiled, finish, run_cli
from stored import board_folder, results_folder

# Of the table from an index; what 1,500 models more may add to a report, and 1,800 entries more to the board.
SECONDS, MIB, BOARD_MIB = 2.0, 60.0, 150.0
FLAT = ("report", "report --json", "report --csv")
WAIT = 3  # seconds until results count as settled, and an index holds them


def commands(results: Path, scratch: Path) -> dict[str, list[str]]:
    """Each command line by its name; the plots and lines are of the results themselves."""
    own = ["--baseline", f"results:{results}", "--reference", "imagenet-val", "--shift", "imagenet-v2"]
    report = ["report", "--results", str(results)]
    return {
        "report, first": report,
        "report": report,
        "report --summary": [*report, "--summary"],
        "report --json": [*report, "--json"],
        "report --csv": [*report, "--csv", str(scratch / "table.csv")],
        "fit": ["fit", *own],
        "plot one's own": ["plot", *own, "--results", str(results), "-o", str(scratch / "own.html")],
        "plot -o x.png": ["plot", *own, "--results", str(scratch / "none"), "-o", str(scratch / "x.png")],
        "plot -o x.html": ["plot", *own, "--results", str(scratch / "none"), "-o", str(scratch / "x.html")],
    }


def measure(run: Run) -> dict[str, float]:
    assert run.code == 0, run.output
    return {"seconds": run.seconds, "peak_mib": run.peak_mib, "printed_mb": len(run.output) / 1e6}


def main() -> int:
    """Measure, print, and say by the exit code whether the limits are kept."""
    chosen = arguments(__doc__, smoke="12 and 3 models, few examples")
    models, entries, shrink = (12, 4, 50) if chosen.smoke else (2000, 2000, 1)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        environment = {**compiled(scratch), "ROBUSTBENCH_SHIFT_CACHE": str(scratch / "cache")}
        os.environ["ROBUSTBENCH_SHIFT_CACHE"] = environment["ROBUSTBENCH_SHIFT_CACHE"]
        few = results_folder(scratch / "few", models=models // 4, shrink=shrink)
        many = results_folder(scratch / "many", models=models, shrink=shrink)
        boards = [
            board_folder(scratch / f"board-{number}", entries=number, shrink=10 * shrink)
            for number in (max(entries // 10, 1), entries)
        ]
        time.sleep(0 if chosen.smoke else WAIT)
        measure(run_cli(["report", "--results", str(few)], environment=environment))  # writes the index
        fewer = commands(few, scratch)
        for name, line in commands(many, scratch).items():
            found[name] = measure(run_cli(line, environment=environment))
            if name in FLAT:
                small = measure(run_cli(fewer[name], environment=environment))
                found[name]["more_mib"] = found[name]["peak_mib"] - small["peak_mib"]
        builds = []
        for board in boards:
            build = ["leaderboard", "build", "--board", str(board), "-o", str(scratch / f"site-{board.stem}")]
            builds.append(measure(run_cli([*build, "--no-claimed"], environment=environment)))
        found["leaderboard build"] = builds[-1]
        found["leaderboard build"]["more_mib"] = builds[-1]["peak_mib"] - builds[0]["peak_mib"]
    limits = {
        ("report", "seconds"): Limit(at_most=SECONDS),
        **{(name, "more_mib"): Limit(at_most=MIB) for name in FLAT},
        ("leaderboard build", "more_mib"): Limit(at_most=BOARD_MIB),
    }
    return finish(found, limits, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
