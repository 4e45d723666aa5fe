"""What a study would do: every run, what is done already, and nothing that is done by asking."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmark.cli import run
from benchmark.studies.measuring import Job, measure
from benchmark.studies.planned import plan_study
from benchmark.studies.study import STUDIES, Setting, Study, setting
from models_zoo.recipe import trained_file
from models_zoo.tuning.linear_probe import linear_probe
from models_zoo.tuning.tuned import tuned
from shifts.errors import UserError
from shifts.spec import SHIFTS
from tests.benchmark.studies.test_measuring import short

START = short("plan-start")
PROBE = tuned(START, (linear_probe("digits", epochs=2),), name="plan-probe", accelerator=False, threads=1)
STUDY = Study(
    name="planned", title="-", citation="-", run="-", jobs="tests.benchmark.studies.test_planned:jobs"
)


def jobs(_setting: Setting) -> list[Job]:
    shifts = (SHIFTS.get("digits"), SHIFTS.get("digits/pad").limited(100))
    return [
        Job(spec=PROBE, shifts=shifts),
        Job(spec=dataclasses.replace(START), shifts=shifts[:1], epochs=(1,)),
    ]


def test_every_run_is_planned_and_known_when_done(tmp_path: Path) -> None:
    asked = Setting(seeds=(0, 1), results=tmp_path)
    plan = plan_study(STUDY, asked, throughput=1e9)
    assert [one.model for one in plan.trainings] == ["plan-start", "plan-probe"], "starts come first"
    assert not any(one.there for one in (*plan.trainings, *plan.evaluations))
    assert not trained_file(START).exists() and not any(tmp_path.iterdir())
    start = plan.trainings[0]
    assert start.images == 3 * 8 * 64, "three epochs over 500 images in batches of 64"
    assert start.operations == start.images * 2 * 2 * 768 * 10
    assert plan.hours([start]) == pytest.approx(start.operations / 1e9 / 3600)
    on = {(one.model, one.shift): one.images for one in plan.evaluations}
    assert on == {
        ("plan-probe", "digits"): 597,
        ("plan-probe", "digits/pad"): 100,
        ("plan-start", "digits"): 597,
        ("plan-start@epoch-1", "digits"): 597,
    }
    measure(jobs(asked), setting=asked)
    again = plan_study(STUDY, asked)
    assert all(one.there for one in (*again.trainings, *again.evaluations))
    assert again.hours(again.trainings, left=True) == 0


def test_the_command_prints_a_plan_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["study", "synthetic-shifts", "--plan", "--smoke", "--results", str(tmp_path)]
    assert run([*ask, "--throughput", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["assumptions"]["operations_per_second"] == 100e12
    assert found["totals"]["trainings"]["runs"] == len(found["trainings"]) > 10
    assert {one["shift"] for one in found["evaluations"]} >= {"digits", "digits/pad"}
    assert found["totals"]["evaluations"]["left"] == len(found["evaluations"])
    assert run(ask) == 0
    text = capsys.readouterr().out
    assert "digits-cnn@share-10@seed-0" in text and "hours are of one accelerator" in text
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suite", ["digits", "pacs"])
def test_a_plan_is_of_the_jobs_that_a_run_does(suite: str) -> None:
    study = STUDIES.get("support-split")
    plan = plan_study(study, setting(study, suite=suite, seeds=2))
    assert len({one.model for one in plan.trainings}) == len(plan.trainings)
    assert all(one.operations for one in plan.trainings)


def test_what_cannot_be_planned_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["study", "logistic-extrapolation", "--plan"]) == 2
    assert "no trainings to plan" in capsys.readouterr().err
    with pytest.raises(UserError, match="above 0"):
        plan_study(STUDY, Setting(seeds=(0, 1)), throughput=0.0)
