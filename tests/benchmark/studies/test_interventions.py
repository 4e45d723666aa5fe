"""Interventions beside pre-training: the plan, verdicts from numbers, and the whole of it small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import run
from benchmark.corrected import corrected_examples
from benchmark.plots.interventions import circle_distance, interventions_figure
from benchmark.studies.intervention_models import NONE, STARTS, SUITES, cell_name, cells, intervention_jobs
from benchmark.studies.interventions import means, verdicts
from models_zoo.recipe import recipe_of
from shifts.spec import SHIFTS

PLAN = SUITES["digits"]


@pytest.mark.parametrize("name", SUITES)
def test_every_combination_has_a_job_and_trains_on_nothing_that_is_measured(name: str) -> None:
    plan = SUITES[name]
    jobs = {job.spec.name: job for job in intervention_jobs(plan, seed=3)}
    for start, intervention in cells(plan):
        job = jobs[cell_name(plan, start, intervention, seed=3)]
        assert {shift.name for shift in job.shifts} == {plan.reference, plan.shift, *plan.others}
        for stage in recipe_of(job.spec).stages:
            spec = SHIFTS.get(stage.shift)
            assert stage.split != spec.split or spec.name == plan.held_out.shift
    held = [stage for job in jobs.values() for stage in recipe_of(job.spec).stages if stage.head_fit]
    assert len(held) == 2 * len(plan.forms)
    assert {stage.grouped_by for stage in held} == {plan.grouped_by}


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_pool_training_and_held_out_parts_are_apart(name: str) -> None:
    plan = SUITES[name]
    parts = [(pool.split, pool.part or (0.0, 1.0)) for pool in (*plan.suite.pool, plan.held_out)]
    stages = recipe_of(intervention_jobs(plan, seed=0)[1].spec).stages
    parts += [(stage.split, stage.part or (0.0, 1.0)) for stage in stages]
    for number, (split, part) in enumerate(parts):
        for other_split, other in parts[number + 1 :]:
            assert split != other_split or part[1] <= other[0] or other[1] <= part[0]


def estimate(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def row(seed: int, shifted: dict[tuple[str, str], float], *, weak: bool = False) -> dict[str, Any]:
    models: dict[str, Any] = {start: {} for start in STARTS}
    for (start, intervention), value in shifted.items():
        models[start][intervention] = {
            "reference": estimate(0.9),
            "shift": estimate(value + 0.001 * seed),
            "effective_robustness": estimate(value - 0.2),
            **{other: estimate(0.5) for other in PLAN.others},
        }
    line = {"slope": 1.0, "intercept": -1.0, "r2": 0.9, "members": [], "flags": ["weak fit"] if weak else []}
    return {"seed": seed, "line": line, "models": models}


def numbers(shifted: dict[tuple[str, str], float], corrected: list[list[bool]]) -> dict[str, Any]:
    rows = [row(seed, shifted) for seed in range(3)]
    first, second, both = ([one] for one in corrected)
    found = corrected_examples([[False] * len(corrected[0])], first=first, second=second, both=both).to_json()
    return {
        "metric": "accuracy",
        "seeds": rows,
        "means": means(rows, PLAN),
        "corrected": dict.fromkeys(PLAN.interventions, found),
    }


def test_the_verdicts_follow_the_numbers() -> None:
    better = dict.fromkeys(cells(PLAN), 0.2)
    better |= {(STARTS[1], NONE): 0.4, **{(STARTS[0], one): 0.3 for one in PLAN.interventions}}
    better |= {(STARTS[1], one): 0.6 for one in PLAN.interventions}
    apart = [[True] * 50 + [False] * 50, [False] * 50 + [True] * 50, [True] * 90 + [False] * 10]
    assert {one.outcome for one in verdicts(numbers(better, apart))} == {"reproduced"}
    worse = dict.fromkeys(better, 0.2)
    worse[STARTS[0], NONE] = 0.3
    same = [[True] * 50 + [False] * 50] * 2 + [[False] * 100]
    outcomes = [one.outcome for one in verdicts(numbers(worse, same))]
    alone, together = 1 + len(PLAN.interventions), len(PLAN.interventions)
    assert outcomes[:alone] == ["not reproduced"] * alone
    assert outcomes[alone : alone + together] == ["within noise"] * together, "equal is no gain"
    assert outcomes[alone + together :] == ["not reproduced"] * 2 * together
    none = [[False] * 100] * 3
    assert [one.outcome for one in verdicts(numbers(worse, none))][alone + together :] == ["not tested"] * 3
    figure = interventions_figure(numbers(better, apart))
    assert len(figure.axes) == 1 + len(PLAN.interventions)


@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.7])
def test_circles_share_the_area_asked_for(overlap: float) -> None:
    import numpy as np

    distance = circle_distance(1.0, 0.6, overlap=overlap)
    draw = np.random.default_rng(0).uniform(-2, 2, (400_000, 2))
    inside = (draw**2).sum(axis=1) < 1
    inside &= ((draw - [distance, 0]) ** 2).sum(axis=1) < 0.36
    assert 16 * inside.mean() == pytest.approx(overlap, abs=0.02)


def test_the_study_runs_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["study", "interventions", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run([*ask, "-o", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["numbers"]["corrected"]) == set(PLAN.interventions)
    assert (tmp_path / "interventions.png").stat().st_size > 10_000
    again = tuple((one["claim"], one["outcome"]) for one in printed["verdicts"])
    assert tuple((one.claim, one.outcome) for one in verdicts(printed["numbers"])) == again
