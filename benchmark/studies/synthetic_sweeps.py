"""How strong may a bias be, and how may a model be tuned, before "in support" no longer means "no benefit"?

Appendix C.1 of Cohen-Wang et al. 2024 (arXiv 2403.00194). With a stronger bias fewer examples speak against
it, and the shift nears the edge of the support: the paper sees effective robustness at a spurious correlation
of 0.9 (C.1.2). And a model that is hardly tuned stays near what pre-training left, which shows as effective
robustness even in support, at the price of accuracy (C.1.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import MARGIN, above, percent, points, within
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict, decided
from benchmark.studies.sweep_models import (
    ARM,
    METHOD,
    SUITES,
    Plan,
    setting_model,
    sweep_jobs,
    tried_on,
    with_bias,
)
from benchmark.studies.synthetic_suites import with_protocol

if TYPE_CHECKING:
    from benchmark.estimate import Estimate
    from benchmark.lines import BaselineFit
    from benchmark.studies.measuring import Job, Measured
    from benchmark.studies.synthetic_suites import Suite

NAME = "synthetic-sweeps"
STUDIES.register(
    Study(
        name=NAME,
        title="synthetic shifts in support, by the strength of the bias and the setting of fine-tuning",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Appendix C.1",
        run="benchmark.studies.synthetic_sweeps:run",
        jobs="benchmark.studies.synthetic_sweeps:jobs",
        suites=tuple(SUITES),
    )
)

SIDES = ("in", "out")


def run(setting: Setting) -> Findings:
    """Train and measure at every strength and in every setting."""
    from benchmark.plots.sweeps import sweeps_figure
    from benchmark.studies.measuring import measure

    plan = planned(setting)
    measured = measure(jobs(setting), setting=setting)
    numbers = {
        "strengths": {
            bias: {
                f"{value:g}": at_strength(measured, plan, bias, value, setting.seeds)
                for value in of_bias.values
            }
            for bias, of_bias in plan.biases.items()
        },
        "settings": {
            side: {name: in_setting(measured, plan, pair, name, setting.seeds) for name in plan.variations()}
            for side, pair in zip(SIDES, (plan.inside, plan.outside), strict=True)
        },
    }
    return Findings(
        study=NAME,
        configuration=setting.described(with_protocol(plan)),
        numbers=numbers,
        tables=tables(numbers),
        verdicts=verdicts(numbers),
        figures={NAME: partial(sweeps_figure, numbers)},
    )


def planned(setting: Setting) -> Plan:
    """The suite's plan; in a smoke run with little training and few values."""
    assert setting.suite is not None, "the study has suites"
    plan = SUITES[setting.suite]
    if not setting.smoke:
        return plan
    tint = plan.biases["spurious tint"]
    return dataclasses.replace(
        plan,
        sizes=dataclasses.replace(plan.suite.small, checkpoints=()),
        suite=dataclasses.replace(plan.suite, limit=min(plan.suite.limit or 1000, 1000)),
        biases={"spurious tint": dataclasses.replace(tint, values=(0.5, 0.9))},
        settings={"tune_rate": (1e-5,)},
    )


def jobs(setting: Setting) -> list[Job]:
    """Everything the study trains and measures."""
    plan = planned(setting)
    return [job for seed in setting.seeds for job in sweep_jobs(plan, seed=seed)]


def at_strength(
    measured: Measured, plan: Plan, bias: str, value: float, seeds: Sequence[int]
) -> dict[str, Any]:
    """The pre-trained model against the line of a strength."""
    from benchmark.studies.synthetic_models import tuned_name

    reference, shift = plan.biases[bias].names(value)
    names = [tuned_name(plan.name, ARM, METHOD, reference=reference, seed=seed) for seed in seeds]
    found = _over_seeds(measured, plan, with_bias(plan, bias, value), (reference, shift), names, seeds)
    return {"none_published": value in plan.biases[bias].none, **found}


def in_setting(
    measured: Measured, plan: Plan, pair: tuple[str, str], name: str, seeds: Sequence[int]
) -> dict[str, Any]:
    """The pre-trained model, tuned in one setting, against the line."""
    names = [setting_model(plan, pair, name, seed=seed).name for seed in seeds]
    return _over_seeds(measured, plan, tried_on(plan, pair), pair, names, seeds)


def _over_seeds(
    measured: Measured,
    plan: Plan,
    suite: Suite,
    pair: tuple[str, str],
    names: Sequence[str],
    seeds: Sequence[int],
) -> dict[str, Any]:
    from benchmark.intervals import mean_interval

    rows = []
    for seed, name in zip(seeds, names, strict=True):
        fit = _line(measured, plan, suite, pair, seed)
        accuracies = [measured.accuracy(name, shift) for shift in pair]
        rows.append({"seed": seed, **_against(fit, *accuracies)})
    return {
        "reference": pair[0],
        "shift": pair[1],
        "seeds": rows,
        "weak_fits": sum(row["weak"] for row in rows),
        "means": {
            key: mean_interval([row[key] for row in rows]).to_json()
            for key in ("reference_accuracy", "shift_accuracy", "effective_robustness", "r2")
        },
    }


def _line(measured: Measured, plan: Plan, suite: Suite, pair: tuple[str, str], seed: int) -> BaselineFit:
    from benchmark.lines import fit_baseline
    from benchmark.studies.synthetic_models import line_members

    names = line_members(suite, plan.sizes, reference=pair[0], seed=seed)["shares"]
    some = [measured.point(name, reference=pair[0], shift=pair[1]) for name in names]
    return fit_baseline(some, reference=pair[0], shift=pair[1])


def _against(fit: BaselineFit, on_reference: Estimate, on_shift: Estimate) -> dict[str, Any]:
    from benchmark.robustness import effective_robustness

    return {
        "reference_accuracy": on_reference.value,
        "shift_accuracy": on_shift.value,
        "effective_robustness": effective_robustness(fit, on_reference, on_shift).value,
        "r2": fit.r2,
        "weak": "weak fit" in fit.flags,
    }


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of Appendix C.1."""
    found = []
    for bias, of_bias in sorted(numbers["strengths"].items()):
        for value in sorted(of_bias, key=float):
            one = of_bias[value]
            if not one["none_published"]:
                continue
            robust = one["means"]["effective_robustness"]
            claim = f"no effective robustness in support ({bias} at {value}; within ± 3 points, C.1.2)"
            found.append(within(claim, robust, evidence=f"{points(robust)}, {_weak(one)}"))
    tint = numbers["strengths"].get("spurious tint")
    if tint is not None:
        found.append(_strongest(tint))
    return (*found, *_of_settings(numbers["settings"]["in"]))


def _strongest(tint: Mapping[str, Any]) -> Verdict:
    """More effective robustness at the strongest bias than at the weakest, within seeds."""
    from benchmark.intervals import mean_interval

    weakest, strongest = min(tint, key=float), max(tint, key=float)
    pairs = zip(tint[strongest]["seeds"], tint[weakest]["seeds"], strict=True)
    rise = mean_interval(
        [one["effective_robustness"] - other["effective_robustness"] for one, other in pairs]
    ).to_json()
    claim = (
        f"at a spurious correlation of {strongest} there is more than at {weakest}: near the support's edge"
    )
    return above(claim, rise, evidence=f"difference {points(rise)}")


def _of_settings(settings: Mapping[str, Any]) -> list[Verdict]:
    """The setting that the reference accuracy selects, and those that show effective robustness."""
    from benchmark.intervals import mean_interval

    means = {name: one["means"] for name, one in sorted(settings.items())}
    chosen = max(means, key=lambda name: means[name]["reference_accuracy"]["value"])
    robust = means[chosen]["effective_robustness"]
    found = [
        within(
            "the setting with the highest reference accuracy shows none in support (± 3 points, C.1.1)",
            robust,
            evidence=f"{chosen}: {points(robust)}, {_weak(settings[chosen])}",
        )
    ]
    claim = "settings that show effective robustness in support pay for it in accuracy on the shift (C.1.1)"
    showing = [name for name, one in means.items() if one["effective_robustness"]["low"] > MARGIN]
    if not showing:
        none = "no setting shows effective robustness above 3 points"
        return [*found, Verdict(claim=claim, outcome="not tested", evidence=none)]
    losses = {
        name: mean_interval(
            [
                one["shift_accuracy"] - other["shift_accuracy"]
                for one, other in zip(settings[name]["seeds"], settings[chosen]["seeds"], strict=True)
            ]
        ).to_json()
        for name in showing
    }
    holds = all(one["high"] < 0 for one in losses.values())
    return [
        *found,
        decided(
            claim,
            holds=holds,
            noise=not holds and all(one["low"] < 0 for one in losses.values()),
            evidence=[
                f"{name}: effective robustness {points(means[name]['effective_robustness'])}, accuracy "
                f"{points(loss)} beside {chosen}"
                for name, loss in losses.items()
            ],
        ),
    ]


def _weak(one: Mapping[str, Any]) -> str:
    return f"line weak in {one['weak_fits']} of {len(one['seeds'])} seeds"


def tables(numbers: Mapping[str, Any]) -> tuple[Table, ...]:
    """Every strength, and every setting in support and out of it."""
    seeds = len(next(iter(numbers["settings"]["in"].values()))["seeds"])

    def cells(one: Mapping[str, Any]) -> tuple[str, ...]:
        mean = one["means"]
        return (
            percent(mean["reference_accuracy"]),
            percent(mean["shift_accuracy"]),
            points(mean["effective_robustness"]),
            " ".join(f"{row['r2']:.2f}" for row in one["seeds"]),
        )

    measured = ("reference", "shift", "effective robustness", "r²")
    strengths = Table(
        title=f"pre-trained and tuned, by the strength of the bias: mean over {seeds} seeds, 95 % interval",
        header=("bias", "strength", *measured),
        rows=tuple(
            (bias if number == 0 else "", value, *cells(one))
            for bias, of_bias in numbers["strengths"].items()
            for number, (value, one) in enumerate(of_bias.items())
        ),
    )
    settings = Table(
        title="pre-trained and tuned from its own head, by what is changed",
        header=("support", "changed", *measured),
        rows=tuple(
            (side if number == 0 else "", name, *cells(one))
            for side, of_side in numbers["settings"].items()
            for number, (name, one) in enumerate(of_side.items())
        ),
    )
    return strengths, settings
