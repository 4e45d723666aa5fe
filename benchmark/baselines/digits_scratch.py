"""Makes the baseline ``digits-scratch``: trains every scratch model, measures it on its reference's shifts.

``python -m benchmark.baselines.digits_scratch`` writes both files of the next version into a folder of yours;
a published version never changes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmark.baselines import Baseline, MemberRule, write_baseline
from benchmark.baselines.own import measured_row
from benchmark.planning import Contestant, contestant, plan
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from models_zoo.sources.digits_models import REFERENCES
from models_zoo.spec import MODELS
from models_zoo.training import train
from shifts.spec import SHIFTS

VERSION = 1
COMMAND = "python -m benchmark.baselines.digits_scratch -o FOLDER"


def measure(results: Path, *, say: Callable[[str], None]) -> list[Result]:
    """Every model trained on a reference, on that reference and the shifts matched to it."""
    store = Store(results)
    measured = []
    for reference in REFERENCES:
        specs = [spec for spec in MODELS if spec.recipe and spec.training_data[:1] == (reference,)]
        contestants: list[Contestant] = []
        for number, spec in enumerate(specs, start=1):
            say(f"{reference}: training {number} of {len(specs)}: {spec.name}")
            contestants.append(contestant(spec, weights=train(spec)))
        shifts = [spec for spec in SHIFTS if reference in (spec.name, spec.reference)]
        work = plan(contestants, shifts, store=store)
        measured += list(work.finished.values())
        for one in work.passes:
            measured += list(run_pass(one, options=Options(device="cpu")))
    return measured


def baseline(results: list[Result]) -> Baseline:
    """The results as a baseline."""
    rows = [measured_row(result, publisher="robustbench-shift") for result in results]
    return Baseline(
        name="digits-scratch",
        version=VERSION,
        title="Small networks trained from scratch on handwritten digits",
        source="measured with this package",
        revision=f"recipes of version {VERSION}",
        licence="MIT",
        citation="this project",
        # Linear models and perceptrons see each pixel at its place: on tints and noise they lie far above the
        # line of the convolutional networks, on translations below it. One line for all would fit none.
        default_members=MemberRule(families=("standard",), exclude_substrings=("-logreg", "-mlp")),
        regenerate=COMMAND,
        references=tuple(REFERENCES),
        rows=tuple(rows),
    )


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the two files")
    parser.add_argument("--results", type=Path, help="keep the predictions here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(chosen.results or Path(scratch), say=lambda text: print(text, flush=True))  # noqa: T201 - a script
    print(write_baseline(chosen.output, baseline(results)))  # noqa: T201 - a script


if __name__ == "__main__":
    main()
