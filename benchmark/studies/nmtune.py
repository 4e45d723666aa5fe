"""Does reshaping the features undo what noise in the pre-training labels did to them?

Sections 3 to 5 of Chen et al. (arXiv 2309.17002, ICLR 2024; arXiv 2403.06869) at a small scale: models
pre-trained with 0 to 30 % of the labels wrong, tuned to clean labels of other images by linear probes, an
MLP, NMTune in both published forms, low-rank adapters and full fine-tuning, these two also with NMTune's
terms. Accuracy in distribution and, on average over shifts, out of it; entropy (SVE) and dominance (LSVR) of
the singular values of the tuned features. Everything is compared within a seed: the same pre-trained model,
tuned in two ways. Adapters and fine-tuning see the training images with noise on their pixels, as
pre-training did; what is fitted to cached features does not, so that between these two kinds of tuning more
differs than what is trained.

The suite ``downstream`` is the published size, on the pre-trainings and sets of the study
``noisy-pretraining``, with numbers of each pre-training by itself, which are means over sets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.nmtune_models import NAMES, RESHAPED, SMOKE, Sizes, Suite, jobs_of, suite_of
from benchmark.studies.nmtune_numbers import MEASURES, ON_FEATURES, against, methods_of, of_seed, summary
from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict, decided

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.studies.measuring import Job

NAME = "nmtune"
STUDIES.register(
    Study(
        name=NAME,
        title="tuning against noise in pre-training: probes, NMTune, LoRA, fine-tuning",
        citation="Chen et al. 2024, arXiv 2309.17002 and arXiv 2403.06869, Sections 3 to 5",
        run="benchmark.studies.nmtune:run",
        jobs="benchmark.studies.nmtune:jobs",
        suites=NAMES,
    )
)

TITLES = {
    "lp": "linear probe",
    "lbfgs": "linear probe, optimum",
    "mlp": "MLP tuning",
    "nmtune": "NMTune (paper)",
    "nmtune-code": "NMTune (code)",
    "lora": "LoRA",
    "lora-nmtune": "LoRA, NMTune's terms",
    "ft": "fine-tuning",
    "ft-nmtune": "fine-tuning, NMTune's terms",
}


def run(setting: Setting) -> Findings:
    """Pre-train, tune, measure, and compare within every seed."""
    from benchmark.studies.measuring import measure

    suite, sizes = scaled(setting)
    measured = measure(jobs(setting), setting=setting)
    found: dict[str, dict[str, Any]] = {}
    total = len(suite.pretexts) * len(setting.seeds)
    for kind, pretext in suite.pretexts.items():
        rows: list[dict[str, Any]] = []
        for seed in setting.seeds:
            setting.say("spectra of features", len(found) * len(setting.seeds) + len(rows), total)
            rows.append(of_seed(measured, suite, sizes, pretext, setting=setting, seed=seed))
        found[kind] = summary(rows)
    setting.say("spectra of features", total, total)
    numbers = {"kinds": found} if len(found) > 1 else next(iter(found.values()))
    return Findings(
        study=NAME,
        configuration=setting.described(
            {
                **dataclasses.asdict(suite),
                "shifts": [one.name for target in suite.targets for one in target.shifts()],
                "sizes": dataclasses.asdict(sizes),
            }
        ),
        numbers=numbers,
        tables=tables(numbers),
        verdicts=verdicts(numbers),
        figures=_figures(numbers),
    )


def by_kind(numbers: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The numbers of each pre-training by its name, which is empty where there is one."""
    found: Mapping[str, Mapping[str, Any]] = numbers.get("kinds", {"": numbers})
    return found


def _figures(numbers: Mapping[str, Any]) -> dict[str, Callable[[], Figure]]:
    from benchmark.plots.nmtune import nmtune_figure

    return {
        "-".join([NAME, *kind.lower().replace("/", "").split()]): partial(
            nmtune_figure,
            rising(one["rates"]),
            {method: TITLES[method] for method in methods_of(one["rates"])},
            beside=against_itself(one),
        )
        for kind, one in by_kind(numbers).items()
    }


def against_itself(numbers: Mapping[str, Any]) -> dict[str, str]:
    """The ways to tune that are others with NMTune's terms, and these others."""
    methods = methods_of(numbers["rates"])
    return {ours: theirs for ours, theirs in RESHAPED.items() if ours in methods}


def scaled(setting: Setting) -> tuple[Suite, Sizes]:
    """The suite and the sizes of a run."""
    assert setting.suite is not None, "the study has suites"
    suite = suite_of(setting.suite)
    return (suite.smaller(), SMOKE) if setting.smoke else (suite, suite.sizes)


def jobs(setting: Setting) -> list[Job]:
    """Everything the study trains and measures."""
    suite, sizes = scaled(setting)
    return [job for seed in setting.seeds for job in jobs_of(suite, sizes, seed=seed)]


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What the numbers say of each claim; an interval over seeds that holds zero leaves it open."""
    return tuple(
        dataclasses.replace(one, claim=f"{kind}: {one.claim}") if kind else one
        for kind, some in by_kind(numbers).items()
        for one in _verdicts(some)
    )


def _verdicts(numbers: Mapping[str, Any]) -> list[Verdict]:
    of_noise, over, most = numbers["of_noise"], numbers["over"], max(numbers["rates"], key=float)
    found = [
        _decided(
            f"noise in pre-training makes a linear probe worse {place} (Section 2)",
            of_noise["lp"][measure],
            measure=measure,
            rises=False,
            said=f"{most} % noise against none",
        )
        for measure, place in (("id", "in distribution"), ("ood", "out of distribution"))
    ]
    methods = methods_of(numbers["rates"])
    others = {method: of_noise[method]["ood"] for method in methods if method != "lp"}
    found.append(
        decided(
            "noise hurts out of distribution whatever the tuning, LoRA and fine-tuning among it",
            holds=all(one["high"] < 0 for one in others.values()),
            noise=any(one["low"] <= 0 <= one["high"] for one in others.values()),
            evidence=[f"{TITLES[method]} {shown(one, 'ood')}" for method, one in others.items()],
        )
    )
    found += [
        _decided(
            f"noise raises the {measure.upper()} of the pre-trained features (Section 3)",
            of_noise["lp"][measure],
            measure=measure,
            rises=True,
            said=f"{most} % noise against none",
        )
        for measure in ("sve", "lsvr")
    ]
    for ours in ON_FEATURES:
        for theirs, claim, measure, rises in (
            ("lp", "is more accurate out of distribution than a linear probe", "ood", True),
            (
                "mlp",
                "is more accurate out of distribution than MLP tuning, there by about 1 point",
                "ood",
                True,
            ),
            ("mlp", "has a higher SVE than MLP tuning", "sve", True),
            ("lp", "has a lower LSVR than the features it starts from", "lsvr", False),
            ("mlp", "has a lower LSVR than MLP tuning", "lsvr", False),
        ):
            clean = over[ours][theirs]["clean"][measure]
            found.append(
                _decided(
                    f"under noise {TITLES[ours]} {claim} (Section 4)",
                    over[ours][theirs]["noisy"][measure],
                    measure=measure,
                    rises=rises,
                    said=f"without noise {shown(clean, measure)}; under noise",
                )
            )
    for ours, theirs in against_itself(numbers).items():
        one = over[ours][theirs]
        found.append(
            _decided(
                f"under noise NMTune's terms make {TITLES[theirs]} more accurate out of distribution",
                one["noisy"]["ood"],
                measure="ood",
                rises=True,
                said=f"without noise {shown(one['clean']['ood'], 'ood')}; under noise",
            )
        )
    return found


def _decided(claim: str, one: Mapping[str, float], *, measure: str, rises: bool, said: str) -> Verdict:
    return decided(
        claim,
        holds=one["low"] > 0 if rises else one["high"] < 0,
        noise=one["low"] <= 0 <= one["high"],
        evidence=f"{said} {shown(one, measure)}",
    )


def shown(one: Mapping[str, float], measure: str, *, sign: str = "+") -> str:
    """An estimate: accuracies in points, the others in nats."""
    factor, digits = (100, 1) if measure in ("id", "ood") else (1, 3)
    value, low, high = (format(factor * one[name], f"{sign}.{digits}f") for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def rising(rates: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of every rate, the smallest rate first; a file has them in the order of the alphabet."""
    return {rate: rates[rate] for rate in sorted(rates, key=float)}


def tables(numbers: Mapping[str, Any]) -> tuple[Table, ...]:
    """Every method at every rate, and NMTune against what it is compared with."""
    return tuple(
        dataclasses.replace(one, title=f"{kind}: {one.title}") if kind else one
        for kind, some in by_kind(numbers).items()
        for one in _tables(some)
    )


def _tables(numbers: Mapping[str, Any]) -> tuple[Table, Table]:
    methods = Table(
        title="accuracy (%) in and out of distribution, SVE and LSVR of the tuned features; mean over seeds "
        "with its 95 % interval",
        header=("tuning", "noise (%)", "ID", "OOD", "SVE", "LSVR"),
        rows=tuple(
            (
                TITLES[method] if number == 0 else "",
                rate,
                *(shown(one["methods"][method][measure], measure, sign="") for measure in MEASURES),
            )
            for method in methods_of(numbers["rates"])
            for number, (rate, one) in enumerate(rising(numbers["rates"]).items())
        ),
    )
    differences = Table(
        title="NMTune less what it is compared with, from the same pre-trained model; noisy: mean over "
        "its rates",
        header=("", "less", "pre-training", "ID", "OOD", "SVE", "LSVR"),
        rows=tuple(
            (
                TITLES[ours] if (theirs, state) == (others[0], "clean") else "",
                TITLES[theirs] if state == "clean" else "",
                state,
                *(shown(numbers["over"][ours][theirs][state][measure], measure) for measure in MEASURES),
            )
            for ours, others in against(methods_of(numbers["rates"])).items()
            for theirs in others
            for state in ("clean", "noisy")
        ),
    )
    return methods, differences
