"""Training and measuring side by side: what comes out, what is not done again, how failures arrive."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from benchmark.studies import measuring
from benchmark.studies.measuring import Job, measure
from benchmark.studies.study import Setting
from models_zoo.loading import load_spec
from models_zoo.recipe import recipe_of, trained_file
from models_zoo.sources.digits_models import recipe
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.tuning.tuned import tuned
from shifts.data import load_shift
from shifts.errors import UserError
from shifts.spec import SHIFTS


def short(name: str, *, epochs: int = 3, **changes: object) -> ModelSpec:
    made = recipe("digits-logreg")
    stage = dataclasses.replace(made.stages[0], epochs=epochs, **changes)  # type: ignore[arg-type]  # by name
    made = dataclasses.replace(made, stages=(stage,), keep=(1, 2) if epochs > 2 else ())
    return dataclasses.replace(MODELS.get("digits-logreg"), name=name, recipe=made)


def test_every_model_is_trained_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shifts = (SHIFTS.get("digits"), SHIFTS.get("digits/pad"))
    start = short("study-start")
    probe = tuned(
        start, (linear_probe("digits", epochs=2),), name="study-probe", accelerator=False, threads=1
    )
    jobs = (Job(spec=probe, shifts=shifts), Job(spec=start, shifts=shifts, epochs=(1, 2)))
    told: list[tuple[int, int]] = []
    setting = Setting(
        seeds=(0, 1), results=tmp_path, progress=lambda what, done, total: told.append((done, total))
    )
    measured = measure(jobs, setting=setting)
    names = {"study-probe", "study-start", "study-start@epoch-1", "study-start@epoch-2"}
    assert set(measured.cells) == {(name, shift.name) for name in names for shift in shifts}
    assert told == [(0, 2), (1, 2), (2, 2)]
    # Against the weights on disk, asked without store and runner.
    opened = load_shift("digits/pad")
    images = [image for batch in opened.batches(256) for image in batch.images]
    for spec in (start, probe):
        classifier = load_spec(spec, trained_file(spec), label_space=None, device="cpu")
        right = classifier.logits(images).argmax(1) == opened.labels
        assert measured.accuracy(spec.name, "digits/pad").value == pytest.approx(right.mean())
        stored = measured.predictions(spec.name, "digits/pad")
        assert np.array_equal(stored.prediction == stored.labels, right)
    point = measured.point("study-start@epoch-1", reference="digits", shift="digits/pad")
    assert point.reference_n == len(opened)
    assert point.reference_accuracy < measured.accuracy("study-start", "digits").value

    def never(*_: object) -> None:
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(measuring, "_work", never)
    assert measure(jobs, setting=setting).cells.keys() == measured.cells.keys()


def test_what_a_worker_cannot_do_is_told_as_the_users(tmp_path: Path) -> None:
    spec = short("study-diverges", epochs=1, learning_rate=1e30)
    jobs = [Job(spec=spec), Job(spec=dataclasses.replace(spec, name="study-diverges-too"))]
    with pytest.raises(UserError, match="diverged"):
        measure(jobs, setting=Setting(seeds=(0, 1), results=tmp_path))


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    spec = short("study-twice", epochs=1)
    assert recipe_of(spec).stages[0].epochs == 1
    with pytest.raises(AssertionError):
        measure([Job(spec=spec), Job(spec=spec)], setting=Setting(seeds=(0, 1), results=tmp_path))


LONG = """
from pathlib import Path
from benchmark.studies.measuring import Job, measure
from benchmark.studies.study import Setting
from tests.benchmark.studies.test_measuring import short

if __name__ == "__main__":
    jobs = [Job(spec=short(name, epochs=100_000)) for name in ("long-a", "long-b")]
    measure(jobs, setting=Setting(seeds=(0, 1), results=Path({results!r})))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes under /proc")
def test_no_worker_outlives_a_killed_run(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text(LONG.format(results=str(tmp_path / "results")))
    root = Path(__file__).parents[3]
    run = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(root)})
    try:
        assert waited(lambda: len(workers(run.pid)) >= 2, seconds=120), "the workers began"
        begun = workers(run.pid)
    finally:
        run.kill()
        run.wait()
    assert waited(lambda: not any(Path(f"/proc/{pid}").is_dir() for pid in begun), seconds=60)


def workers(parent: int) -> list[int]:
    """The pool's processes that are past their start, when they can watch their parent."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            own = (folder / "stat").read_text().rpartition(")")[2].split()
            spawned = b"spawn_main" in (folder / "cmdline").read_bytes()
            threads = len(list((folder / "task").iterdir()))
            if int(own[1]) == parent and spawned and threads >= 2:
                found.append(int(folder.name))
    return found


def waited(true: Callable[[], bool], *, seconds: float) -> bool:
    """Whether it becomes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return true()
