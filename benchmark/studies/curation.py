"""Is a small set without a shortcut worth more than a large one with it, given pre-training?

Section 7 of Cohen-Wang et al. 2024 (arXiv 2403.00194). Pre-training extrapolates but does not undo a bias of
the data it is tuned on; so a pre-trained model should need only a few images in which the shortcut tells
nothing, even of one group alone, while from scratch a few images teach too little. On ``cifar10`` the task is
vehicle or animal, the shortcut a colour, and a curated set holds cars and dogs alone, each seen in both
colours; every seed draws another set. ``celeba`` is the paper's own task, for those who have the images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import above, percent, points, within
from benchmark.studies.curation_models import ALL, STARTS, SUITES, Plan, cells, curation_jobs, curation_models
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict
from benchmark.studies.synthetic_suites import with_protocol

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job, Measured

NAME = "curation"
STUDIES.register(
    Study(
        name=NAME,
        title="a small set without the shortcut against a large one with it",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Section 7, Appendix C.4",
        run="benchmark.studies.curation:run",
        jobs="benchmark.studies.curation:jobs",
        suites=tuple(SUITES),
    )
)

WORST, BALANCED = "worst_group_accuracy", "balanced_accuracy"


def run(setting: Setting) -> Findings:
    """Train and measure on the whole biased set and on curated ones of every size."""
    from benchmark.plots.curation import curation_figure
    from benchmark.studies.measuring import measure

    plan = planned(setting)
    measured = measure(jobs(setting), setting=setting)
    rows = [of_seed(measured, plan, seed=seed) for seed in setting.seeds]
    numbers = {"headline": plan.headline, "seeds": rows, "means": means(rows, plan)}
    return Findings(
        study=NAME,
        configuration=setting.described(with_protocol(plan)),
        numbers=numbers,
        tables=(table(numbers),),
        verdicts=verdicts(numbers),
        figures={NAME: partial(curation_figure, numbers)},
    )


def planned(setting: Setting) -> Plan:
    """The suite's plan; in a smoke run with little training."""
    assert setting.suite is not None, "the study has suites"
    plan = SUITES[setting.suite]
    if not setting.smoke:
        return plan
    suite = dataclasses.replace(plan.suite, limit=1000)
    return dataclasses.replace(plan, suite=suite, sizes=suite.small, numbers=(64, 256), epochs=(1, 1))


def jobs(setting: Setting) -> list[Job]:
    """Everything the study trains and measures."""
    plan = planned(setting)
    return [job for seed in setting.seeds for job in curation_jobs(plan, seed=seed)]


def of_seed(measured: Measured, plan: Plan, *, seed: int) -> dict[str, Any]:
    """The line of a seed (accuracy against worst-group accuracy), and every model against it."""
    from benchmark.lines import fit_baseline
    from benchmark.robustness import effective_robustness
    from benchmark.studies.synthetic_models import line_members
    from benchmark.studies.synthetic_numbers import line_numbers

    def score(model: str, metric: str) -> Any:
        found = measured.metric(model, plan.measured, metric)
        assert found is not None, "the suite has groups"
        return found

    names = line_members(plan.suite, plan.sizes, reference=plan.reference, seed=seed)["shares"]
    some = [
        measured.point(name, reference=plan.reference, shift=plan.measured, metric=WORST) for name in names
    ]
    fit = fit_baseline(some, reference=plan.reference, shift=plan.measured)
    models: dict[str, Any] = {start: {} for start in STARTS}
    for (start, number), spec in curation_models(plan, seed=seed).items():
        on_reference, worst = measured.accuracy(spec.name, plan.reference), score(spec.name, WORST)
        models[start][_size(number)] = {
            "reference": on_reference.to_json(),
            WORST: worst.to_json(),
            BALANCED: score(spec.name, BALANCED).to_json(),
            "effective_robustness": effective_robustness(fit, on_reference, worst).to_json(),
        }
    return {"seed": seed, "line": line_numbers(fit), "models": models}


def _size(number: int) -> str:
    return "all" if number == ALL else str(number)


def means(rows: Sequence[Mapping[str, Any]], plan: Plan) -> dict[str, Any]:
    """Means over seeds of every model, and differences within seeds that the claims are about."""
    from benchmark.intervals import mean_interval

    def values(start: str, size: str, metric: str) -> list[float]:
        return [row["models"][start][size][metric]["value"] for row in rows]

    def difference(metric: str, first: tuple[str, str], second: tuple[str, str]) -> dict[str, Any]:
        pairs = zip(values(*first, metric), values(*second, metric), strict=True)
        return mean_interval([a - b for a, b in pairs]).to_json()

    found: dict[str, Any] = {"weak_fits": sum("weak fit" in row["line"]["flags"] for row in rows)}
    for start, number in cells(plan):
        found.setdefault(start, {})[_size(number)] = {
            metric: mean_interval(values(start, _size(number), metric)).to_json()
            for metric in ("reference", WORST, BALANCED, "effective_robustness")
        }
    scratch, pretrained = STARTS
    few, most = str(plan.headline), str(max(plan.numbers))
    found["differences"] = {
        "pre-trained, curated over all": {
            metric: difference(metric, (pretrained, few), (pretrained, "all")) for metric in (WORST, BALANCED)
        },
        "pre-trained over scratch, curated": {
            metric: difference(metric, (pretrained, few), (scratch, few)) for metric in (WORST, BALANCED)
        },
        "pre-trained on few over scratch on most": {
            metric: difference(metric, (pretrained, few), (scratch, most)) for metric in (WORST, BALANCED)
        },
        "pre-trained over scratch, all": {
            metric: difference(metric, (pretrained, "all"), (scratch, "all")) for metric in (WORST, BALANCED)
        },
    }
    return found


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of the claims of Section 7."""
    mean, few = numbers["means"], numbers["headline"]
    pretrained, scratch = mean[STARTS[1]], mean[STARTS[0]]
    weak = f"line weak in {mean['weak_fits']} of {len(numbers['seeds'])} seeds"
    robust = pretrained["all"]["effective_robustness"]
    most = max((int(size) for size in scratch if size != "all"), default=few)
    found = [
        within(
            "tuned on all of the biased set a pre-trained model has no effective robustness (± 3 points)",
            robust,
            evidence=[
                f"{points(robust)} points, {weak}",
                f"worst group {percent(pretrained['all'][WORST])} %, "
                f"from scratch {percent(scratch['all'][WORST])} %",
            ],
        )
    ]
    if 2 * mean["weak_fits"] > len(numbers["seeds"]):
        # Where there is no line, being on it or above it says nothing.
        found = [dataclasses.replace(one, outcome="not tested") for one in found]
    claims = {
        "pre-trained, curated over all": f"tuned on {few} curated images, the worst group of a pre-trained "
        "model does better than tuned on the whole biased set",
        "pre-trained over scratch, curated": f"on {few} curated images a pre-trained model does better than "
        "one from scratch",
        "pre-trained on few over scratch on most": f"a pre-trained model does better on {few} curated images "
        f"than one from scratch on {most}",
    }
    for name, claim in claims.items():
        of = mean["differences"][name]
        for metric, words in ((WORST, "worst group"), (BALANCED, "balanced accuracy")):
            if name == "pre-trained, curated over all" and metric == BALANCED:
                continue  # the claim is about the worst group
            evidence = f"{points(of[metric])} points"
            found.append(above(f"{claim}: {words}", of[metric], evidence=evidence))
    return tuple(found)


def table(numbers: Mapping[str, Any]) -> Table:
    """Every start on every set."""
    mean = numbers["means"]
    return Table(
        title=f"mean over {len(numbers['seeds'])} seeds, each with a curated set of its own, and its 95 % "
        f"interval; the line from accuracy to the worst group is weak in {mean['weak_fits']} of them",
        header=("start", "trained on", "accuracy with the shortcut", "balanced accuracy", "worst group",
                "effective robustness"),
        rows=tuple(
            (
                start if number == 0 else "",
                "all, biased" if size == "all" else f"{size} curated",
                percent(one["reference"]),
                percent(one[BALANCED]),
                percent(one[WORST]),
                points(one["effective_robustness"]),
            )
            for start in STARTS
            for number, (size, one) in enumerate(mean[start].items())
        ),
    )  # fmt: skip
