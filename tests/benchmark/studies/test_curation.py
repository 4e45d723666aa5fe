"""Small curated sets against a large biased one: the task, the plan, verdicts from numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.plots.curation import curation_figure
from benchmark.studies.curation import BALANCED, WORST, means, verdicts
from benchmark.studies.curation_models import ALL, STARTS, SUITES, cells, curation_jobs, curation_models
from models_zoo.feeding import Feed
from models_zoo.recipe import recipe_of
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.data import load_shift
from shifts.spec import SHIFTS

PLAN = SUITES["cifar10"]


@pytest.mark.parametrize("name", SUITES)
def test_every_model_has_a_job(name: str) -> None:
    plan = SUITES[name]
    jobs = {job.spec.name: job for job in curation_jobs(plan, seed=1)}
    models = curation_models(plan, seed=1)
    assert set(models) == set(cells(plan))
    for (_, number), spec in models.items():
        assert {shift.name for shift in jobs[spec.name].shifts} == {plan.reference, plan.measured}
        for stage in recipe_of(spec).stages:
            assert stage.split != SHIFTS.get(stage.shift).split
            drawn = None if number == ALL else number // plan.counted
            assert stage.examples == drawn
            assert (stage.shift == plan.curated.shift) == (number != ALL)


def test_a_curated_set_is_of_one_sort_in_both_colours_and_another_for_each_seed(real_data: Path) -> None:
    add("cifar10-jpeg75", real_data / "cifar10", partial=True)
    spec = MODELS.get("cifar10-kinds-cnn16")
    (stage,) = recipe_of(curation_models(PLAN, seed=0)[STARTS[0], 64]).stages
    feed, other = (Feed(stage, spec.preprocess, key=(seed, 0)) for seed in (0, 1))
    assert np.bincount(feed.labels).tolist() == [16, 16]
    sources = feed.shift.base.labels[feed.shift.position[feed.rows]]
    assert set(sources.tolist()) == {1, 5}, "cars and dogs"
    assert set(feed.rows.tolist()) != set(other.rows.tolist())
    seen = np.concatenate([feed.batch(step, np.arange(32)).images for step in range(8)])
    green = seen[..., 1].mean(axis=(1, 2)).reshape(8, 32) - seen[..., 2].mean(axis=(1, 2)).reshape(8, 32)
    assert (np.ptp(green, axis=0) > 15).all(), "each image is seen in either colour"
    groups = load_shift(PLAN.measured)
    counts = np.bincount(2 * groups.group_columns["class"].values + groups.group_columns["tint"].values)
    assert counts.min() > 1500, "every kind in either colour"


def numbers(value: Any) -> dict[str, Any]:
    def one(start: str, number: int, metric: str) -> dict[str, float]:
        middle = value(start, number, metric)
        return {"value": middle, "low": middle - 0.01, "high": middle + 0.01}

    metrics = ("reference", WORST, BALANCED, "effective_robustness")
    rows = []
    for seed in range(3):
        models: dict[str, Any] = {start: {} for start in STARTS}
        for start, number in cells(PLAN):
            found = {metric: one(start, number, metric) for metric in metrics}
            for each in found.values():
                each["value"] += 0.0001 * seed * (1 + STARTS.index(start))
            models[start][str(number or "all")] = found
        rows.append({"seed": seed, "line": {"flags": []}, "models": models})
    return {"headline": PLAN.headline, "seeds": rows, "means": means(rows, PLAN)}


def test_the_verdicts_follow_the_numbers() -> None:
    def as_published(start: str, number: int, metric: str) -> float:
        if metric == "effective_robustness":
            return 0.0 if number == ALL else 0.3
        return (0.3 if number == ALL else 0.6) + 0.2 * STARTS.index(start)

    found = numbers(as_published)
    assert {one.outcome for one in verdicts(found)} == {"reproduced"}
    assert len(curation_figure(found).axes) == 2

    def scratch_is_enough(start: str, number: int, metric: str) -> float:
        if metric == "effective_robustness":
            return 0.2
        return 0.5 + (0.1 if number == 1024 else 0.0) - 0.1 * STARTS.index(start)

    outcomes = [one.outcome for one in verdicts(numbers(scratch_is_enough))]
    assert outcomes == ["not reproduced", "within noise"] + ["not reproduced"] * 4

    weak = numbers(as_published)
    weak["means"]["weak_fits"] = 2
    first, *others = (one.outcome for one in verdicts(weak))
    assert (first, set(others)) == ("not tested", {"reproduced"}), "no line, no verdict by it"
