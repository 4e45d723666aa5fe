"""Does pre-training help only where the reference gives no support?

Section 5.1 and Figure 4 of Cohen-Wang et al. 2024 (arXiv 2403.00194) at a small scale: models pre-trained on
other images and tuned, against models from scratch, on shifts in support and out of support. Two lines, as
the paper draws them in different places: through models trained on shares of the data (Appendix B.5), and
through checkpoints of one training (Appendix B.3). Beside effective robustness stands what needs no line: the
gain in shifted accuracy over the scratch model of the same reference accuracy. And a control, pre-trained on
the same images without the transformations: what it gains comes from more data, not from having seen them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import above, points, within
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict, decided
from benchmark.studies.synthetic_models import line_members, scratch_jobs, tuned_jobs, tuned_names
from benchmark.studies.synthetic_numbers import (
    arms_in,
    by_support,
    lines_in,
    means,
    of_seed,
    over_control_by_line,
)
from benchmark.studies.synthetic_suites import SUITES, Sizes, Suite, configured

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job, Measured

NAME = "synthetic-shifts"
STUDIES.register(
    Study(
        name=NAME,
        title="pre-trained models on synthetic shifts in support and out of support",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Section 5.1, Figure 4",
        run="benchmark.studies.synthetic_shifts:run",
        suites=tuple(SUITES),
        jobs="benchmark.studies.synthetic_shifts:jobs",
    )
)


def run(setting: Setting) -> Findings:
    """Train, measure, and compare with the lines of every seed."""
    from benchmark.plots.seeds import seeds_figure
    from benchmark.studies.measuring import measure

    assert setting.suite is not None, "the study has suites"
    suite, sizes = scaled(setting)
    measured = measure(jobs(setting), setting=setting)
    shifts = {
        shift: of_shift(measured, suite, sizes, setting=setting, reference=reference, shift=shift)
        for reference, of_reference in suite.shifts.items()
        for shift in of_reference
    }
    numbers: dict[str, Any] = {"shifts": shifts, "by_support": by_support(shifts)}
    return Findings(
        study=NAME,
        configuration=setting.described({**configured(suite), **dataclasses.asdict(sizes)}),
        numbers=numbers,
        tables=tables(shifts),
        verdicts=verdicts(numbers),
        figures={NAME: partial(seeds_figure, shifts)},
    )


def scaled(setting: Setting) -> tuple[Suite, Sizes]:
    """The suite and how much of it is trained; in a smoke run a part of it."""
    assert setting.suite is not None, "the study has suites"
    suite = SUITES[setting.suite]
    if not setting.smoke:
        return suite, suite.sizes
    some = {name: suite.shifts[name] for name in suite.smoke}
    return dataclasses.replace(suite, shifts=some, limit=min(suite.limit or 1000, 1000)), suite.small


def jobs(setting: Setting) -> list[Job]:
    """Everything the study trains and measures."""
    assert setting.suite is not None
    suite, sizes = scaled(setting)
    return [
        job
        for seed in setting.seeds
        for job in (
            *scratch_jobs(suite, sizes, seed=seed),
            *tuned_jobs(suite, sizes, name=setting.suite, seed=seed),
        )
    ]


def of_shift(
    measured: Measured, suite: Suite, sizes: Sizes, *, setting: Setting, reference: str, shift: str
) -> dict[str, Any]:
    """Every number of a shift: each seed's lines and models, and the means over the seeds."""
    from shifts.spec import SHIFTS

    assert setting.suite is not None
    rows = []
    for seed in setting.seeds:
        lines = {
            line: [measured.point(model, reference=reference, shift=shift) for model in names]
            for line, names in line_members(suite, sizes, reference=reference, seed=seed).items()
        }
        accuracies = {
            key: (measured.accuracy(model, reference), measured.accuracy(model, shift))
            for key, model in tuned_names(suite, name=setting.suite, reference=reference, seed=seed).items()
        }
        rows.append({"seed": seed, **of_seed(lines, accuracies, reference=reference, shift=shift)})
    return {"reference": reference, "support": SHIFTS.get(shift).support, "seeds": rows, "means": means(rows)}


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of Figure 4, of the lines it needs, and of the control."""
    found = []
    shifts = dict(sorted(numbers["shifts"].items()))
    for shift, one in shifts.items():
        if one["support"] != "in":
            continue
        estimates = {
            line: one["means"]["pre-trained"]["effective_robustness"][line] for line in lines_in(one)
        }
        first = next(iter(estimates.values()))
        found.append(
            within(
                f"in support, pre-training gives no effective robustness: {shift} (within ± 3 points)",
                first,
                evidence=[
                    *(f"{points(each)} over the line of {line}" for line, each in estimates.items()),
                    f"the interval {'holds' if first['low'] <= 0 <= first['high'] else 'does not hold'} zero",
                    f"raw gain {points(one['means']['pre-trained']['gain'])}",
                    _weak(one),
                ],
            )
        )
    outside = [one for one in shifts.values() if one["support"] == "out"]
    first_line = lines_in(outside[0])[0]
    weak = sum(one["means"]["weak_fits"][first_line] for one in outside)
    lines = sum(len(one["seeds"]) for one in outside)
    for measure, words in ((first_line, "effective robustness"), ("gain", "gain at matched accuracy")):
        each = numbers["by_support"]["pre-trained"][measure]
        helps = decided(
            f"pre-training helps out of support, and more than in support (Figure 4): {words}",
            holds=each["difference"]["low"] > 0 and each["out"]["low"] > 0,
            noise=each["difference"]["low"] <= 0 <= each["difference"]["high"],
            evidence=[
                f"out of support {points(each['out'])}, in support {points(each['in'])}",
                f"difference {points(each['difference'])}",
            ],
        )
        if measure == first_line and 2 * weak > lines:
            # Where there is no line, being above it says nothing; the gain needs none.
            said = f"{weak} of {lines} lines out of support are weak fits; for what it is worth, "
            helps = dataclasses.replace(helps, outcome="not tested", evidence=said + helps.evidence)
        found.append(helps)
    found.append(_line_verdict(shifts))
    for shift, one in shifts.items():
        if one["support"] == "out" and "over_control" in one["means"]:
            found += _over_control(shift, one)
    return tuple(found)


def _over_control(shift: str, one: Mapping[str, Any]) -> list[Verdict]:
    """Whether having seen the transformations helps: in plain accuracy, and over the line.

    Without them the pre-training is an easier one, after which a model may be more accurate everywhere; the
    line takes that out.
    """
    line = lines_in(one)[0]
    plain = above(
        f"the benefit on {shift} is more than more data gives (control without transformations)",
        one["means"]["over_control"],
        evidence=[
            f"shifted accuracy {points(one['means']['over_control'])} above the control",
            f"gain {points(one['means']['pre-trained']['gain'])}, "
            f"of the control {points(one['means']['control']['gain'])}",
        ],
    )
    apart = over_control_by_line(one["seeds"], line)
    robust = above(
        f"the effective robustness on {shift} is more than the control's",
        apart,
        evidence=[f"{points(apart)} points over the line of {line}", _weak(one)],
    )
    if 2 * one["means"]["weak_fits"][line] > len(one["seeds"]):
        robust = dataclasses.replace(robust, outcome="not tested")
    return [plain, robust]


def _line_verdict(shifts: Mapping[str, Mapping[str, Any]]) -> Verdict:
    weak = {shift: one for shift, one in shifts.items() if any(one["means"]["weak_fits"].values())}
    return decided(
        "scratch models lie on a line, so that effective robustness has a meaning (r² of 0.7 or more)",
        holds=not weak,
        evidence=[f"{shift}: {_weak(one)}" for shift, one in weak.items()] or "no weak fit in any seed",
    )


def _weak(one: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{one['means']['weak_fits'][line]} through {line}" for line in lines_in(one))
    return f"weak fits in {len(one['seeds'])} seeds: {counts}"


def tables(shifts: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
    """Effective robustness over both lines, and the accuracies themselves."""
    arms = arms_in(next(iter(shifts.values())))
    control = "control" in arms

    def over_line(one: Mapping[str, Any], arm: str, line: str) -> str:
        flag = " weak fit" if 2 * one["means"]["weak_fits"][line] > len(one["seeds"]) else ""
        return points(one["means"][arm]["effective_robustness"][line]) + flag

    def squares(one: Mapping[str, Any], line: str) -> str:
        return " ".join(f"{row['lines'][line]['r2']:.2f}" for row in one["seeds"])

    def pair(one: Mapping[str, Any]) -> str:
        return f"{100 * one['reference']['value']:.1f} / {100 * one['shift']['value']:.1f}"

    robustness = Table(
        title="effective robustness, points, mean over seeds with its 95 % interval; r² of each seed's line",
        header=("shift", "support", "line through", *arms, "r²"),
        rows=tuple(
            (
                shift if number == 0 else "",
                one["support"] if number == 0 else "",
                line,
                *(over_line(one, arm, line) for arm in arms),
                squares(one, line),
            )
            for shift, one in shifts.items()
            for number, line in enumerate(lines_in(one))
        ),
    )
    of_control = ("gain of the control", "over the control") if control else ()
    accuracies = Table(
        title="accuracy (%) on reference / shift, and gain in shifted accuracy over the scratch model of the "
        "same reference accuracy (where that is higher than any scratch model's: over the best)",
        header=("shift", "scratch", *arms, "gain", "beyond", *of_control),
        rows=tuple(
            (
                shift,
                *(pair(one["means"][who]) for who in ("scratch", *arms)),
                points(one["means"]["pre-trained"]["gain"]),
                f"{100 * one['means']['pre-trained']['unmatched']['value']:+.1f}",
                *(
                    (points(one["means"]["control"]["gain"]), points(one["means"]["over_control"]))
                    if control
                    else ()
                ),
            )
            for shift, one in shifts.items()
        ),
    )
    return robustness, accuracies
