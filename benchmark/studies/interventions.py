"""Do pre-training and interventions against bias mend different errors, and do they go together?

Section 6 and Appendix C.3.1 of Cohen-Wang et al. 2024 (arXiv 2403.00194). A reference with a shortcut (tints
that go with the class, p = 0.8) and a shift that both breaks it and leaves the support (random tints and a
black border). Pre-training should extrapolate but keep the shortcut, re-weighting or balancing drop the
shortcut but not extrapolate: together they should do best, each mending errors of its own. The interventions
are balancing (training on random tints, the paper's oracle) and deep feature re-weighting on a held-out part,
in both published forms. At full scale: satellite images of WILDS-FMoW by region.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import above, below, percent, points
from benchmark.studies.intervention_models import (
    NONE,
    STARTS,
    SUITES,
    Plan,
    cell_name,
    cells,
    intervention_jobs,
    line_names,
)
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict
from benchmark.studies.synthetic_suites import with_protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.estimate import Estimate
    from benchmark.studies.measuring import Job, Measured

NAME = "interventions"
STUDIES.register(
    Study(
        name=NAME,
        title="pre-training beside interventions against bias, and both together",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Section 6, Appendix C.3.1",
        run="benchmark.studies.interventions:run",
        jobs="benchmark.studies.interventions:jobs",
        suites=tuple(SUITES),
    )
)

Cell = tuple[str, str]
BASELINE, PRETRAINED = (STARTS[0], NONE), (STARTS[1], NONE)


def run(setting: Setting) -> Findings:
    """Train and measure every combination, and compare what they correct."""
    from benchmark.plots.interventions import interventions_figure
    from benchmark.studies.measuring import measure

    plan = planned(setting)
    measured = measure(jobs(setting), setting=setting)
    rows = [of_seed(measured, plan, seed=seed) for seed in setting.seeds]
    numbers = {
        "metric": plan.metric,
        "seeds": rows,
        "means": means(rows, plan),
        "corrected": {one: corrected(measured, plan, setting.seeds, one) for one in plan.interventions},
    }
    return Findings(
        study=NAME,
        configuration=setting.described(with_protocol(plan)),
        numbers=numbers,
        tables=tables(numbers),
        verdicts=verdicts(numbers),
        figures={NAME: partial(interventions_figure, numbers)},
    )


def planned(setting: Setting) -> Plan:
    """The suite's plan; in a smoke run with little training."""
    assert setting.suite is not None, "the study has suites"
    plan = SUITES[setting.suite]
    return dataclasses.replace(plan, sizes=plan.suite.small) if setting.smoke else plan


def jobs(setting: Setting) -> list[Job]:
    """Everything the study trains and measures."""
    plan = planned(setting)
    return [job for seed in setting.seeds for job in intervention_jobs(plan, seed=seed)]


def of_seed(measured: Measured, plan: Plan, *, seed: int) -> dict[str, Any]:
    """The line of a seed, and where every combination stands against it."""
    from benchmark.lines import fit_baseline
    from benchmark.robustness import effective_robustness
    from benchmark.studies.synthetic_numbers import line_numbers

    reference, shift = plan.reference, plan.shift
    fit = fit_baseline(
        [
            measured.point(name, reference=reference, shift=shift, metric=plan.metric)
            for name in line_names(plan, seed=seed)
        ],
        reference=reference,
        shift=shift,
    )
    found: dict[str, Any] = {start: {} for start in STARTS}
    for start, intervention in cells(plan):
        name = cell_name(plan, start, intervention, seed=seed)
        on_reference, on_shift = measured.accuracy(name, reference), score(measured, plan, name, shift)
        found[start][intervention] = {
            "reference": on_reference.to_json(),
            "shift": on_shift.to_json(),
            "effective_robustness": effective_robustness(fit, on_reference, on_shift).to_json(),
            **{other: score(measured, plan, name, other).to_json() for other in plan.others},
        }
    return {"seed": seed, "line": line_numbers(fit), "models": found}


def score(measured: Measured, plan: Plan, model: str, shift: str) -> Estimate:
    """What the suite is reported in: accuracy, or that of the worst group."""
    found = measured.metric(model, shift, plan.metric)
    assert found is not None, "the suite's shifts have its metric"
    return found


def means(rows: Sequence[Mapping[str, Any]], plan: Plan) -> dict[str, Any]:
    """Means over seeds of every combination, and differences within seeds: from the baseline, and of both
    together from the better of the two alone."""
    from benchmark.intervals import mean_interval

    def shifted(row: Mapping[str, Any], cell: Cell) -> float:
        value: float = row["models"][cell[0]][cell[1]]["shift"]["value"]
        return value

    def mean(values: Sequence[float]) -> dict[str, Any]:
        return mean_interval(values).to_json()

    found: dict[str, Any] = {"weak_fits": sum("weak fit" in row["line"]["flags"] for row in rows)}
    for start, intervention in cells(plan):
        of_cell = [row["models"][start][intervention] for row in rows]
        found.setdefault(start, {})[intervention] = {
            **{
                key: mean([one[key]["value"] for one in of_cell])
                for key in ("reference", "shift", "effective_robustness", *plan.others)
            },
            "gain": mean([shifted(row, (start, intervention)) - shifted(row, BASELINE) for row in rows]),
        }
    found["together"] = {
        one: mean(
            [
                shifted(row, (STARTS[1], one)) - max(shifted(row, PRETRAINED), shifted(row, (STARTS[0], one)))
                for row in rows
            ]
        )
        for one in plan.interventions
    }
    return found


def corrected(measured: Measured, plan: Plan, seeds: Sequence[int], intervention: str) -> dict[str, Any]:
    """Errors of the baseline that pre-training, the intervention and both correct, over the seeds."""
    import numpy as np

    from benchmark.corrected import corrected_examples

    def right(cell: Cell) -> Any:
        found = [
            measured.predictions(cell_name(plan, *cell, seed=seed), plan.shift) for seed in seeds
        ]  # of the same examples in the same order: one shift
        return np.stack([one.prediction == one.labels for one in found])

    return corrected_examples(
        right(BASELINE),
        first=right(PRETRAINED),
        second=right((STARTS[0], intervention)),
        both=right((STARTS[1], intervention)),
    ).to_json()


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of the claims of Section 6 and Appendix C.3.1."""
    mean, found = numbers["means"], []
    seeds = len(numbers["seeds"])
    line = f"line weak in {mean['weak_fits']} of {seeds} seeds"
    alone = {"pre-training": mean[STARTS[1]][NONE], **_without_none(mean[STARTS[0]])}
    for name, one in alone.items():
        gain, robust = one["gain"], one["effective_robustness"]
        found.append(
            above(
                f"{name} alone does better on the shift than the baseline",
                gain,
                evidence=[f"{points(gain)} points", f"effective robustness {points(robust)}, {line}"],
            )
        )
    for name, together in mean["together"].items():
        both = mean[STARTS[1]][name]
        found.append(
            above(
                f"pre-training with {name} does better on the shift than the better of the two alone",
                together,
                evidence=[
                    f"{points(together)} points",
                    f"effective robustness of both {points(both['effective_robustness'])}, {line}",
                ],
            )
        )
    for name, one in numbers["corrected"].items():
        found += _of_corrected(name, one)
    return tuple(found)


def _of_corrected(name: str, one: Mapping[str, Any]) -> list[Verdict]:
    counted = (
        f"of {one['errors']} errors pre-training corrects {one['first']}, {name} {one['second']}, "
        f"both of them {one['overlap']}; together {one['both']}"
    )
    little = f"pre-training and {name} correct different errors (less than half in common)"
    most = f"pre-training with {name} corrects most of what either corrects"
    if not one["first"] or not one["second"]:
        nothing = Verdict(claim=little, outcome="not tested", evidence=counted)
        if one["covered"] is None:
            return [nothing]
        return [nothing, _most(most, one["covered"], counted)]
    jaccard = one["jaccard"]
    return [
        below(
            little,
            jaccard,
            than=0.5,
            evidence=[
                counted,
                f"{percent(jaccard)} % in common",
                f"{one['lift']['value']:.2f} [{one['lift']['low']:.2f}, {one['lift']['high']:.2f}] times "
                "what independent ones would have",
            ],
        ),
        _most(most, one["covered"], counted),
    ]


def _most(claim: str, covered: Mapping[str, Any], counted: str) -> Verdict:
    return above(claim, covered, than=0.5, evidence=[f"{percent(covered)} %", counted])


def _without_none(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in cells.items() if name != NONE}


def tables(numbers: Mapping[str, Any]) -> tuple[Table, ...]:
    """Every combination, and what is corrected."""
    mean = numbers["means"]
    combinations = Table(
        title=f"{numbers['metric'].replace('_', ' ')}, mean over {len(numbers['seeds'])} seeds with its 95 % "
        f"interval; the line is weak in {mean['weak_fits']} of them",
        header=("start", "intervention", "reference", "shift", "over the baseline", "effective robustness"),
        rows=tuple(
            (
                start if intervention == NONE else "",
                intervention,
                percent(one["reference"]),
                percent(one["shift"]),
                points(one["gain"]),
                points(one["effective_robustness"]),
            )
            for start in STARTS
            for intervention, one in mean[start].items()
        ),
    )

    def share(one: Mapping[str, Any] | None) -> str:
        return "–" if one is None else percent(one)

    mended = Table(
        title="errors of the baseline (in most seeds) that are right (in most seeds) with",
        header=("intervention", "errors", "pre-training", "intervention", "either one alone", "both at once",
                "in common (%)", "of either covered by both at once (%)"),
        rows=tuple(
            (
                name,
                *(str(one[key]) for key in ("errors", "first", "second")),
                str(one["first"] + one["second"] - one["overlap"]),
                str(one["both"]),
                share(one["jaccard"]),
                share(one["covered"]),
            )
            for name, one in numbers["corrected"].items()
        ),
    )  # fmt: skip
    return combinations, mended
