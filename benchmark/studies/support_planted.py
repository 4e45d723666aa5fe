"""The part of the study ``support-split`` whose answer is known: a planted mixture of digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.studies import support_halves
from benchmark.studies.study import Findings, Setting, Table, Verdict, decided
from benchmark.studies.synthetic_models import (
    line_members,
    scratch_jobs,
    scratch_model,
    tuned_jobs,
    tuned_name,
)
from benchmark.studies.synthetic_suites import ARMS, SUITES, Sizes, Suite
from shifts.spec import SHIFTS, Perturbation, ShiftSpec
from shifts.support import DensityRatio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.studies.measuring import Job
    from benchmark.support_report import SupportReport
    from models_zoo.spec import ModelSpec

REFERENCE = "digits"
SHARE = 0.4
THRESHOLDS = (0.2, 0.1)  # the paper's text and its released notebook
ENOUGH = 0.99
METHOD = "lp-ft"
_SYNTHETIC = "shifts.perturbations.synthetic"
STEPS: tuple[dict[str, Any], ...] = (
    {"function": f"{_SYNTHETIC}:translate", "parameters": {"down": 2, "right": 3}},
    {"function": f"{_SYNTHETIC}:tint", "parameters": {"p": 0.0, "alpha": 0.5}},
)
# Whose features tell reference from shift. The halves are those of the first: it sees where a pixel lies and
# what colour it has, while the convolutions average over places.
EYES = ("digits-mlp", "digits-cnn")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """A density ratio beside the truth: ``truth`` bool (S,), whether an example stayed as it was."""

    ratio: DensityRatio
    report: SupportReport
    truth: NDArray[np.bool_]


def mixture_spec(seed: int) -> ShiftSpec:
    """The planted mixture of a seed; which examples stay is drawn by it.

    Its images are those of the reference, so that accuracies differ for no other reason; an image and its
    changed copy are in one fold when the classifiers are trained.
    """
    made = "shifts.perturbations.mixture"
    return dataclasses.replace(
        SHIFTS.get(REFERENCE),
        name=f"{REFERENCE}/mixture/{seed}",
        title=f"{100 * SHARE:.0f} % of the digits as they are, the others moved and tinted",
        kind="synthetic",
        support="mixed",
        reference=REFERENCE,
        perturbations=(
            Perturbation(
                function=f"{made}:mixture",
                parameters={"share": SHARE, "steps": STEPS},
                groups={"part": f"{made}:part"},
            ),
        ),
        groups=("class", "part"),
        seed=seed,
    )


def scaled(setting: Setting) -> tuple[Suite, Sizes]:
    """The suite's reference alone, and how much of it is trained."""
    assert setting.suite is not None, "the study has suites"
    suite = dataclasses.replace(SUITES[setting.suite], shifts={REFERENCE: ()})
    return suite, suite.small if setting.smoke else suite.sizes


def watchers(setting: Setting) -> dict[tuple[str, int], ModelSpec]:
    """The models whose features tell reference from shift, by name and seed."""
    suite, sizes = scaled(setting)
    return {(name, seed): watching(suite, sizes, name, seed=seed) for name in EYES for seed in setting.seeds}


def jobs(setting: Setting) -> list[Job]:
    """Everything that is trained and measured."""
    from benchmark.studies.measuring import Job

    assert setting.suite is not None, "the study has suites"
    suite, sizes = scaled(setting)
    mixtures = tuple(mixture_spec(seed) for seed in setting.seeds)
    found = []
    for seed in setting.seeds:
        found += [
            # On all mixtures: the scratch models of the other seeds say how difficult an example is.
            dataclasses.replace(job, shifts=(*job.shifts, *mixtures)) if job.shifts else job
            for job in (
                *scratch_jobs(suite, sizes, seed=seed),
                *tuned_jobs(suite, sizes, name=setting.suite, seed=seed, methods=(METHOD,)),
            )
        ]
    known = {job.spec.name for job in found}
    return found + [Job(spec=one) for one in watchers(setting).values() if one.name not in known]


def run(setting: Setting) -> Findings:
    """Train and measure, split the mixture of every seed, and compare the halves."""
    from benchmark.plots.support import support_figure
    from benchmark.studies.measuring import measure

    assert setting.suite is not None, "the study has suites"
    suite, sizes = scaled(setting)
    eyes = watchers(setting)
    measured = measure(jobs(setting), setting=setting)
    baselines = {seed: scratch_names(suite, sizes, seed=seed) for seed in setting.seeds}
    shown: dict[str, tuple[DensityRatio, SupportReport]] = {}
    rows = []
    for done, seed in enumerate(setting.seeds):
        setting.say("splitting", done, len(setting.seeds))
        found = {name: split(setting, eyes[name, seed], seed=seed) for name in EYES}
        if seed == setting.seeds[0]:
            shown = {f"features of {name}": (one.ratio, one.report) for name, one in found.items()}
        rows.append(
            {
                "seed": seed,
                "eyes": {name: held_to_truth(one) for name, one in found.items()},
                "halves": support_halves.halves(
                    measured,
                    reference=REFERENCE,
                    shift=mixture_spec(seed).name,
                    baselines=baselines[seed],
                    arms={
                        arm: tuned_name(setting.suite, arm, METHOD, reference=REFERENCE, seed=seed)
                        for arm in ARMS
                    },
                    judges=[name for other in setting.seeds if other != seed for name in baselines[other]],
                    inside=found[EYES[0]].ratio.in_support(THRESHOLDS[0]),
                ),
            }
        )
    setting.say("splitting", len(setting.seeds), len(setting.seeds))
    numbers: dict[str, Any] = {"seeds": rows, "means": support_halves.means(rows)}
    return Findings(
        study="support-split",
        configuration={
            "suite": setting.suite,
            "share_in_support": SHARE,
            "steps": [dict(step) for step in STEPS],
            "thresholds": list(THRESHOLDS),
            "eyes": list(EYES),
            "method": METHOD,
            **dataclasses.asdict(sizes),
            "seeds": list(setting.seeds),
            "smoke": setting.smoke,
        },
        numbers=numbers,
        tables=tables(numbers),
        verdicts=verdicts(numbers),
        figures={"support-split": partial(support_figure, shown)},
    )


def watching(suite: Suite, sizes: Sizes, name: str, *, seed: int) -> ModelSpec:
    """The network whose features are used."""
    suite = dataclasses.replace(suite, scratch={REFERENCE: name})
    return scratch_model(suite, sizes, reference=REFERENCE, share=100, seed=seed)


def scratch_names(suite: Suite, sizes: Sizes, *, seed: int) -> list[str]:
    """The scratch models of a seed: on shares of the data, and checkpoints of the one on all."""
    lines = line_members(suite, sizes, reference=REFERENCE, seed=seed).values()
    return list(dict.fromkeys(name for names in lines for name in names))


def split(setting: Setting, eyes: ModelSpec, *, seed: int) -> Split:
    """Split the mixture of a seed by the features of a trained network."""
    from benchmark.features import features
    from benchmark.planning import contestant
    from benchmark.support_report import support_report
    from models_zoo.recipe import trained_file
    from shifts.data import Shift, load_examples
    from shifts.local import recorded_content
    from shifts.spec import SOURCES
    from shifts.support import density_ratio

    one = contestant(eyes, weights=trained_file(eyes, data_dir=setting.data_dir))
    opened = []
    for spec in (SHIFTS.get(REFERENCE), mixture_spec(seed)):
        examples = load_examples(spec.source, spec.split, data_dir=setting.data_dir)
        content = recorded_content(SOURCES.get(spec.source), spec.split, data_dir=setting.data_dir)
        opened.append(Shift(spec, examples, content=content))
    sets = [features(one, shift) for shift in opened]
    ratio = density_ratio(
        sets[0].values, sets[1].values, reference_ids=sets[0].ids, shift_ids=sets[1].ids, seed=seed
    )
    truth = opened[1].group_columns["part"].values == 1
    return Split(ratio=ratio, report=support_report(ratio), truth=truth)


def held_to_truth(found: Split) -> dict[str, Any]:
    """Purity and recall of the in-support half at each threshold, with the report of the split."""
    from benchmark.support_report import purity_and_recall

    against = {}
    for threshold in THRESHOLDS:
        purity, recall = purity_and_recall(found.ratio.in_support(threshold), found.truth)
        against[f"{threshold:g}"] = {"purity": purity.to_json(), "recall": recall.to_json()}
    return {
        "truth": against,
        "report": found.report.to_json(),
        "density_ratio": histogram(found.ratio),
    }


def histogram(ratio: DensityRatio) -> dict[str, list[float]]:
    """How many examples of each set have which density ratio, in the figure's bins."""
    from benchmark.plots.support import CEILING, FLOOR

    edges = np.geomspace(FLOOR, CEILING, 46)
    sides = {"reference": ratio.reference, "shift": ratio.shift}
    counts = {side: np.histogram(np.clip(values, FLOOR, CEILING), edges)[0] for side, values in sides.items()}
    return {"edges": edges.tolist(), **{side: some.tolist() for side, some in counts.items()}}


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Whether the split finds what was planted, and whether robustness differs between its halves."""
    rows: Sequence[Mapping[str, Any]] = numbers["seeds"]
    found = []
    for eyes, threshold in ((a, f"{b:g}") for a in EYES for b in THRESHOLDS):
        worst = {
            what: min(
                (row["eyes"][eyes]["truth"][threshold][what] for row in rows), key=lambda one: one["value"]
            )
            for what in ("purity", "recall")
        }
        holds = all(one["value"] >= ENOUGH for one in worst.values())
        found.append(
            decided(
                f"by the features of {eyes} the split finds what was planted, threshold {threshold} "
                "(purity and recall of 99 % or more in every seed)",
                holds=holds,
                noise=not holds and all(one["high"] >= ENOUGH for one in worst.values()),
                evidence=[
                    f"lowest {what} of {len(rows)} seeds {100 * one['value']:.1f} % "
                    f"[{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
                    for what, one in worst.items()
                ],
            )
        )
    return (*found, *support_halves.verdicts(numbers))


def tables(numbers: Mapping[str, Any]) -> tuple[Table, ...]:
    """The split of every seed against the truth, and effective robustness on the halves."""
    rows = numbers["seeds"]

    def percent(one: Mapping[str, Any]) -> str:
        return f"{100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"

    truth = Table(
        title="the in-support half against the truth (%), Clopper-Pearson 95 %",
        header=("features of", "threshold", "seed", "purity", "recall", "in support", "AUROC", "temperature"),
        rows=tuple(
            (
                name,
                threshold,
                str(row["seed"]),
                percent(one["truth"][threshold]["purity"]),
                percent(one["truth"][threshold]["recall"]),
                percent(one["report"]["in_support"][threshold]),
                f"{one['report']['auroc']['value']:.3f}",
                f"{one['report']['temperature']:.2f}",
            )
            for name in EYES
            for threshold in (f"{one:g}" for one in THRESHOLDS)
            for row in rows
            for one in (row["eyes"][name],)
        ),
    )
    return truth, support_halves.table(numbers)
