"""What the jobs of a study at its full size train, tune and test: for tests that look at plans alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmark.studies.measuring import Job
from models_zoo.recipe import recipe_of, start_of
from shifts.spec import SHIFTS


@dataclass
class Tunings:
    """By pre-trained model the sets it is ``tuned_to``; the splits that are ``trained`` and ``tested`` on."""

    tuned_to: dict[str, list[str]]
    trained: set[tuple[str, str]] = field(default_factory=set)
    tested: set[tuple[str, str]] = field(default_factory=set)


def tunings_of(jobs: Sequence[Job]) -> Tunings:
    """The tunings of jobs, each of them tested on what it was tuned to first."""
    found = Tunings({job.spec.name: [] for job in jobs if recipe_of(job.spec).start is None})
    for job in jobs:
        recipe = recipe_of(job.spec)
        found.trained |= {(SHIFTS.get(stage.shift).source, stage.split) for stage in recipe.stages}
        found.tested |= {(shift.source, shift.split) for shift in job.shifts}
        start = start_of(recipe)
        if start is not None:
            found.tuned_to[start.name].append(recipe.stages[0].shift)
            assert job.shifts[0].name == recipe.stages[0].shift
    return found
