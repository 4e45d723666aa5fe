"""Does noise in pre-training help in distribution and hurt out of it?

Section 2 and Figures 1 to 4 of Chen et al. (arXiv 2309.17002, ICLR 2024; arXiv 2403.06869) at a small scale:
models pre-trained with 0 to 30 % of their labels wrong, or of their captions exchanged, and tuned to clean
labels of other images by a linear probe, LoRA and full fine-tuning. Accuracy in distribution and, on average
over shifts, out of it; effective robustness over the line of scratch models; entropy (SVE) and dominance
(LSVR) of the singular values of the frozen features, centred and not. Everything is compared with the same
seed without noise: the intervals are over seeds (of initialisation, order and noise); the test images are the
same.

The suite ``downstream`` is the published size: models of ImageNet, YFCC15M and CC12M, probes of the fourteen
downstream sets (in distribution) and of two styles of DomainNet, tested on three others each (out of it), and
the pairs of towers untuned on ImageNet and its shifts. Accuracies and spectra are means over sets; no scratch
models come with it, so that it has no line and no effective robustness. ``downstream-tuned`` has LoRA and
fine-tuning besides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.noisy_models import jobs_of
from benchmark.studies.noisy_numbers import SPECTRA, by_rate, line_of, of_seed, summary
from benchmark.studies.noisy_suites import METHODS, NAMES, SMOKE, Sizes, Suite, suite_of
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict, decided

if TYPE_CHECKING:
    from benchmark.studies.measuring import Job

NAME = "noisy-pretraining"
STUDIES.register(
    Study(
        name=NAME,
        title="noise in pre-training, and what it does in distribution and out of it",
        citation="Chen et al. 2024, arXiv 2309.17002 and arXiv 2403.06869, Section 2",
        run="benchmark.studies.noisy_pretraining:run",
        suites=NAMES,
        jobs="benchmark.studies.noisy_pretraining:jobs",
    )
)

TITLES = {"lp": "linear probe", "lora": "LoRA", "ft": "fine-tuning", "zero-shot": "zero-shot"}
POINTS = ("id", "ood", "effective_robustness", "pretext")


def run(setting: Setting) -> Findings:
    """Pre-train, tune, measure, and compare each rate with none within every seed."""
    from benchmark.plots.noisy import noisy_figure
    from benchmark.studies.measuring import measure

    suite, sizes = planned(setting)
    measured = measure(jobs(setting), setting=setting)
    line = line_of(measured, suite, sizes, setting=setting)
    rows = []
    for number, seed in enumerate(setting.seeds):
        setting.say("spectra of features", number, len(setting.seeds))
        rows.append(of_seed(measured, suite, sizes, line=line, setting=setting, seed=seed))
    setting.say("spectra of features", len(rows), len(rows))
    numbers = summary(rows, line)
    return Findings(
        study=NAME,
        configuration=setting.described(
            {
                **dataclasses.asdict(suite),
                "shifts": [one.name for one in suite.shifts()],
                "sizes": dataclasses.asdict(sizes),
            }
        ),
        numbers=numbers,
        tables=tables(numbers),
        verdicts=verdicts(numbers),
        figures={NAME: partial(noisy_figure, numbers, TITLES)},
    )


def planned(setting: Setting) -> tuple[Suite, Sizes]:
    """What is run at this size."""
    assert setting.suite is not None, "the study has suites"
    suite = suite_of(setting.suite)
    return suite, SMOKE if setting.smoke else suite.sizes


def jobs(setting: Setting) -> list[Job]:
    """Everything to train and measure."""
    assert setting.suite is not None, "the study has suites"
    suite, sizes = planned(setting)
    return [job for seed in setting.seeds for job in jobs_of(suite, sizes, name=setting.suite, seed=seed)]


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of each claim; an interval over seeds that holds zero leaves it open."""
    found = []
    for kind, of_kind in sorted(numbers["kinds"].items()):
        rates = list(by_rate(of_kind["rates"]))
        first, most = rates[1], rates[-1]
        less = of_kind["less_clean"]
        if of_kind["early"] is not None:
            found.append(
                _claimed(
                    f"{kind}: a probe is more accurate in distribution after 5 to 10 % noise (Section 2)",
                    {"5 and 10 %": of_kind["early"]["lp_id"]},
                    measure="id",
                    rises=True,
                )
            )
        found += [
            _claimed(
                f"{kind}: a probe is less accurate out of distribution from the first noise on (Section 2)",
                {f"{rate} %": less[rate]["lp_ood"] for rate in dict.fromkeys((first, most))},
                measure="ood",
                rises=False,
            ),
            _robustness(kind, most, less[most], numbers["line"]),
        ]
        found += [
            _claimed(
                f"{kind}: noise hurts out of distribution after {TITLES[method]}, too",
                {f"{most} %": less[most][f"{method}_ood"]},
                measure="ood",
                rises=False,
                besides=[f"in distribution {shown(less[most][f'{method}_id'], 'id')}"],
            )
            for method in METHODS
            if method != "lp" and f"{method}_ood" in less[most]
        ]
        found += [
            _claimed(
                f"{kind}: noise raises the {name.upper()} of the frozen features (Section 2)",
                {f"{most} %, centred": less[most][f"{name}_centred"]},
                measure=name,
                rises=True,
                besides=[f"not centred {shown(less[most][f'{name}_uncentred'], name)}"],
            )
            for name in ("sve", "lsvr")
        ]
        clean = of_kind["rates"][rates[0]]
        told = "zero-shot_id" if "zero-shot_id" in clean else "pretext"
        words = "zero-shot accuracy" if told == "zero-shot_id" else "accuracy on clean labels of the pretext"
        found.append(
            _claimed(
                f"{kind}: noise lowers the {words} (Appendix)",
                {f"{rate} %": less[rate][told] for rate in dict.fromkeys((first, most))},
                measure="id",
                rises=False,
                besides=[f"{shown(clean[told], 'id', sign='')} without"],
            )
        )
    return tuple(found)


def _robustness(kind: str, most: str, less: Mapping[str, Any], line: Mapping[str, Any] | None) -> Verdict:
    claim = f"{kind}: noise takes effective robustness from a probe"
    if line is None:
        return Verdict(claim=claim, outcome="not tested", evidence="there are no scratch models for a line")
    return _claimed(
        claim,
        {f"{most} %": less["lp_effective_robustness"]},
        measure="effective_robustness",
        rises=False,
        besides=[_weak(line)],
    )


def _claimed(
    claim: str,
    differences: Mapping[str, Mapping[str, float]],
    *,
    measure: str,
    rises: bool,
    besides: list[str] | None = None,
) -> Verdict:
    each = list(differences.values())
    return decided(
        claim,
        holds=all(one["low"] > 0 if rises else one["high"] < 0 for one in each),
        noise=any(one["low"] <= 0 <= one["high"] for one in each),
        evidence=[f"{name} {shown(one, measure)}" for name, one in differences.items()] + (besides or []),
    )


def _weak(line: Mapping[str, Any]) -> str:
    flags = f", {', '.join(line['flags'])}" if line["flags"] else ""
    return f"the line of {line['n_models']} scratch models has r² {line['r2']:.2f}{flags}"


def shown(one: Mapping[str, float], measure: str, *, sign: str = "+") -> str:
    """An estimate: accuracies in points, entropies and ratios in nats."""
    factor, digits = (100, 1) if measure in POINTS else (1, 3)
    value, low, high = (format(factor * one[name], f"{sign}.{digits}f") for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def tables(numbers: Mapping[str, Any]) -> tuple[Table, ...]:
    """Accuracies and spectra at every rate."""

    def who_of(of_kind: Mapping[str, Any]) -> list[str]:
        clean = next(iter(by_rate(of_kind["rates"]).values()))
        return [name for name in TITLES if f"{name}_id" in clean]

    lined = numbers["line"] is not None
    line = ", effective robustness (points) over the line of scratch models" if lined else ""
    accuracies = Table(
        title=f"accuracy (%) in and out of distribution{line}; mean over seeds with its 95 % interval",
        header=("pre-training", "tuning", "noise (%)", "ID", "OOD", *(("effective robustness",) * lined)),
        rows=tuple(
            (
                kind if (number, place) == (0, 0) else "",
                TITLES[who] if number == 0 else "",
                rate,
                *(shown(one[f"{who}_{name}"], name, sign="") for name in ("id", "ood")),
                *(shown(one[f"{who}_{name}"], name) for name in ("effective_robustness",) * lined),
            )
            for kind, of_kind in numbers["kinds"].items()
            for place, who in enumerate(who_of(of_kind))
            for number, (rate, one) in enumerate(by_rate(of_kind["rates"]).items())
        ),
    )
    spectra = Table(
        title="singular values of the frozen features of the test set (nats); accuracy (%) on clean labels "
        "of the pretext",
        header=("pre-training", "noise (%)", *(_heading(name) for name in SPECTRA), "pretext"),
        rows=tuple(
            (
                kind if number == 0 else "",
                rate,
                *(shown(one[name], name, sign="") for name in SPECTRA),
                shown(one["pretext"], "pretext", sign="") if "pretext" in one else "",
            )
            for kind, of_kind in numbers["kinds"].items()
            for number, (rate, one) in enumerate(by_rate(of_kind["rates"]).items())
        ),
    )
    return accuracies, spectra


def _heading(name: str) -> str:
    statistic, _, centre = name.partition("_")
    return f"{statistic.upper()}, {centre}"
