"""The study of noise in pre-training: numbers by hand, verdicts from numbers, its models, all of it small."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import norm

from benchmark.baselines import load_baseline
from benchmark.cli import run
from benchmark.estimate import Estimate
from benchmark.lines import BaselinePoint, fit_baseline
from benchmark.plots.noisy import noisy_figure
from benchmark.studies import noisy_pretraining
from benchmark.studies.measuring import Measured
from benchmark.studies.noisy_models import jobs_of, tuned_model
from benchmark.studies.noisy_numbers import _accuracies, line_of, measures, summary, value
from benchmark.studies.noisy_pretraining import TITLES, shown, tables, verdicts
from benchmark.studies.noisy_suites import METHODS, NAMES, Sizes, Target, suite_of
from benchmark.studies.study import STUDIES, Setting, setting
from models_zoo.recipe import recipe_of, start_of
from models_zoo.spec import MODELS
from shifts.label_noise import GRID, LabelNoise
from shifts.spec import SHIFTS
from tests.benchmark.studies.tunings import tunings_of

Number = Callable[[int, float, str], float]
RATES = (0, 5, 10, 30)
PLACES = (0.6, 0.7, 0.8, 0.9)
LINE = fit_baseline(
    [
        BaselinePoint(
            model=f"b{x}",
            reference_accuracy=x,
            reference_n=1000,
            shift_accuracy=float(norm.cdf(norm.ppf(x) - 0.5)),
            shift_n=1000,
            family="standard",
        )
        for x in PLACES
    ],
    reference="r",
    shift="s",
)


def rows(number: Number, *, seeds: int = 3) -> list[dict[str, Any]]:
    """Numbers of every seed and rate by the name of their measure, the same for both kinds."""

    def accuracies(seed: int, rate: float, who: str) -> dict[str, float]:
        return {name: number(seed, rate, f"{who}_{name}") for name in ("id", "ood", "effective_robustness")}

    def at(seed: int, rate: float, zero_shot: bool) -> dict[str, Any]:
        spectra = [f"{name}_{centre}" for name in ("sve", "lsvr") for centre in ("centred", "uncentred")]
        return {
            "pretext": None if zero_shot else {"value": number(seed, rate, "pretext")},
            "zero_shot": accuracies(seed, rate, "zero-shot") if zero_shot else None,
            "methods": {method: accuracies(seed, rate, method) for method in METHODS},
            "spectrum_centred": [0.6, 0.4],
            **{name: {"value": number(seed, rate, name)} for name in spectra},
        }

    return [
        {
            "seed": seed,
            "kinds": {
                kind: {f"{rate:g}": at(seed, rate, kind == "contrastive") for rate in RATES}
                for kind in ("supervised", "contrastive")
            },
        }
        for seed in range(seeds)
    ]


def as_published(seed: int, rate: float, name: str) -> float:
    """A gain in distribution at the first rates, a loss out of it from the first on, spectra that rise."""
    jitter = 0.00001 * ((3 * seed + int(rate) + len(name)) % 7)
    if name.startswith(("sve", "lsvr")):
        return 3.0 + 0.01 * rate + jitter
    if name in ("zero-shot_id", "pretext") or not name.endswith("_id"):
        return 0.6 - 0.004 * rate + jitter
    return 0.9 + {0: 0.0, 5: 0.01, 10: 0.02, 30: -0.01}[int(rate)] + jitter


def outcomes(number: Number) -> list[str]:
    return [found.outcome for found in verdicts(summary(rows(number), LINE))]


def test_means_and_differences_by_hand() -> None:
    """Of seed s at rate r: s + r (s + 1)."""

    def number(seed: int, rate: float, name: str) -> float:
        return seed + rate * (seed + 1)

    found = summary(rows(number), LINE)["kinds"]["supervised"]
    assert found["rates"]["10"]["lp_ood"]["value"] == pytest.approx((10 + 21 + 32) / 3)
    less = found["less_clean"]["30"]["ft_id"]
    assert less["value"] == pytest.approx(60) and less["n"] == 3
    assert less["high"] - less["value"] == pytest.approx(4.302653 * 30 / 3**0.5, rel=1e-4)
    assert found["early"]["lp_id"]["value"] == pytest.approx(7.5 * 2), "the mean of 5 and 10, less none"
    assert found["spectrum"]["0"] == pytest.approx([0.6, 0.4])
    assert "pretext" in measures(rows(number)[0]["kinds"]["supervised"]["0"])
    assert value(rows(number)[2], "contrastive", "5", "zero-shot_ood") == 17


def test_the_verdicts_follow_the_numbers() -> None:
    assert outcomes(as_published) == ["reproduced"] * 16

    def reversed_(seed: int, rate: float, name: str) -> float:
        return 5.0 - as_published(seed, rate, name)

    assert outcomes(reversed_) == ["not reproduced"] * 16

    def open_ended(seed: int, rate: float, name: str) -> float:
        return as_published(seed, rate, name) * (-1) ** seed

    assert outcomes(open_ended) == ["within noise"] * 16


def test_a_loss_that_begins_late_is_not_one_from_the_first_noise_on() -> None:
    def late(seed: int, rate: float, name: str) -> float:
        return as_published(seed, 0 if rate == 5 and name == "lp_ood" else rate, name)

    found = verdicts(summary(rows(late), LINE))
    changed = [one.claim for one in found if one.outcome != "reproduced"]
    assert len(changed) == 2 and all("from the first noise on" in claim for claim in changed)
    assert "30 % -12.0" in next(one.evidence for one in found if one.claim == changed[0])


def test_tables_and_figure_have_every_rate() -> None:
    numbers = summary(rows(as_published), LINE)
    accuracies, spectra = tables(numbers)
    assert len(accuracies.rows) == len(RATES) * (3 + 4), "zero-shot for one of the kinds"
    assert len(spectra.rows) == 2 * len(RATES)
    assert accuracies.rows[1][3].startswith("91.0"), "after 5 %"
    kept = json.loads(json.dumps(numbers, sort_keys=True))  # as a file has them: 10 before 5
    assert verdicts(kept) == verdicts(numbers) and tables(kept)[0].rows[1][2] == "5"
    figure = noisy_figure(kept, TITLES)
    assert len(figure.axes) == 2 * (5 + 1)
    assert shown({"value": 3.4567, "low": 3.4, "high": 3.5}, "sve", sign="") == "3.457 [3.400, 3.500]"


def test_the_line_goes_through_the_means_of_the_published_accuracies() -> None:
    suite = suite_of("digits")
    line = line_of(Measured(cells={}), suite, Sizes(), setting=Setting(seeds=(0, 1), suite="digits"))
    table = load_baseline("digits-scratch-v1")
    rows = {(row.model, row.shift): row.accuracy for row in table.rows}
    names = [one.name for one in suite.shifts()]
    assert len(names) == 8
    for member in line.members:
        mean = sum(rows[member.model, name] for name in names) / len(names)
        assert member.shift_accuracy == pytest.approx(mean)
        assert member.reference_accuracy == rows[member.model, "digits"]
        assert member.family == "standard"
    assert line.n_models > 10


@pytest.mark.parametrize("name", NAMES)
def test_models_differ_by_noise_alone(name: str) -> None:
    suite = suite_of(name)
    jobs = list(jobs_of(suite, suite.sizes, name=name, seed=3))
    assert len({job.spec.name for job in jobs}) == len(jobs)
    kind, pretext = next(iter(suite.pretexts.items()))
    target = suite.targets[0]
    for method in suite.methods:
        specs = [
            tuned_model(suite, suite.sizes, target, method, name=name, kind=kind, rate=rate, seed=3)
            for rate in GRID
        ]
        first = recipe_of(specs[0]).stages
        assert all(recipe_of(spec).stages == first for spec in specs), "tuned alike"
        assert first[0].noise is None, "on clean labels"
        starts = [start_of(recipe_of(spec)) for spec in specs]
        noises = []
        for start in starts:
            assert start is not None
            (stage,) = recipe_of(start).stages
            noises.append(stage.noise)
            assert dataclasses.replace(stage, noise=None) == recipe_of(starts[0]).stages[0]  # type: ignore[arg-type]
        assert noises == [
            None if not rate else LabelNoise(kind=pretext.noise, rate=rate, seed=3) for rate in GRID
        ]
    for target in suite.targets:
        for shift in target.shifts():
            assert shift.reference == target.reference
            assert shift.label_space == SHIFTS.get(target.reference).label_space


@pytest.mark.parametrize("name", ["downstream", "downstream-tuned"])
def test_at_full_size_every_model_is_tuned_to_every_set_and_tested_on_what_nothing_is_trained_on(
    name: str,
) -> None:
    suite = suite_of(name)
    study = STUDIES.get("noisy-pretraining")
    jobs = noisy_pretraining.jobs(setting(study, suite=name, seeds=2))
    found = tunings_of(jobs)
    assert len(found.tuned_to) == 4 * len(GRID) * 2
    for job in jobs:
        if recipe_of(job.spec).start is not None:
            assert {shift.label_space for shift in job.shifts} == {job.spec.label_space}
    sets = [target.reference for target in suite.targets for _ in suite.methods]
    assert all(some == sets for some in found.tuned_to.values())
    assert not found.trained & found.tested
    assert {split for _, split in found.trained} == {"train", "trainval", "real-train", "sketch-train"}
    assert [target.within for target in suite.targets] == [True] * 14 + [False] * 2
    away = {"real": ("clipart", "painting", "sketch"), "sketch": ("clipart", "painting", "real")}
    assert [one.name for one in suite.shifts()] == [
        f"domainnet-{home}/{other}" for home, others in away.items() for other in others
    ]
    towers = [job for job in jobs if job.spec.name.startswith("cc12m") and job.spec.name in found.tuned_to]
    assert {len(job.shifts) for job in towers} == {7}, "untuned: ImageNet and six shifts of it"


def test_several_sets_are_averaged_and_those_there_for_their_shifts_are_not_in_distribution() -> None:
    """By hand: references 0.9 and 0.7 count, 0.1 does not; shifts 0.6, 0.3 and 0.3."""
    names = {"digits": 0.9, "digits-tinted": 0.7, "digits-imbalanced": 0.1}
    shifts = {"digits/pad": 0.6, "digits/contrast/3": 0.3, "digits/pixelate/3": 0.3}
    spec = MODELS.get("digits-logreg")
    targets = (
        Target(reference="digits", registered=("digits/pad",)),
        Target(reference="digits-tinted"),
        Target(reference="digits-imbalanced", registered=tuple(shifts)[1:], within=False),
    )

    class Told(Measured):
        def accuracy(self, model: str, shift: str) -> Estimate:
            value = (names | shifts)[shift]
            return Estimate(value=value, low=0.0, high=1.0, level=0.95, method="wilson", n=10)

    suite = dataclasses.replace(suite_of("digits"), targets=targets, baseline=None)
    told = Told(cells={})
    assert line_of(told, suite, Sizes(), setting=Setting(seeds=(0, 1), suite="digits")) is None
    found = _accuracies(told, suite, dict.fromkeys(targets, spec), None)
    assert (found["id"], found["ood"]) == (pytest.approx(0.8), pytest.approx(0.4))
    assert set(found) == {"id", "ood", "targets"}
    assert found["targets"]["digits-imbalanced"]["shifts"]["digits/pixelate/3"]["value"] == 0.3
    one = _accuracies(told, suite, {targets[0]: spec}, None)
    assert set(one) == {"id", "ood", "reference", "shifts"}, "as ever where there is one set"


def test_without_a_line_effective_robustness_is_not_tested() -> None:
    some = rows(as_published)
    for row in some:
        for of_kind in row["kinds"].values():
            for one in of_kind.values():
                for told in (*one["methods"].values(), one["zero_shot"] or {}):
                    told.pop("effective_robustness", None)
    numbers = summary(some, None)
    found = [verdict for verdict in verdicts(numbers) if verdict.outcome != "reproduced"]
    assert [one.outcome for one in found] == ["not tested"] * 2
    assert all("effective robustness" in one.claim for one in found)
    assert tables(numbers)[0].header[-1] == "OOD" and len(tables(numbers)[0].rows[0]) == 5
    assert len(noisy_figure(numbers, TITLES).axes) == 2 * (5 + 1)


def test_the_study_runs_and_runs_again_from_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One kind of pre-training, small; a line of scratch models that are trained, as on photographs."""
    digits = suite_of("digits")
    small = dataclasses.replace(
        digits,
        pretexts={"contrastive": digits.pretexts["contrastive"]},
        targets=(Target(reference="digits", registered=("digits/contrast/3", "digits/unseen-tint")),),
        baseline=None,
        scratch="digits-logreg",
    )
    sizes = Sizes(rates=(0.0, 0.3), pretrain=1, tune=1, shares=(20, 60, 100), scratch=3)
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # here: a process of its own would take longer to start
    monkeypatch.setattr(noisy_pretraining, "suite_of", lambda name: small)
    monkeypatch.setattr(noisy_pretraining, "SMOKE", sizes)
    ask = ["study", "noisy-pretraining", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run([*ask, "-o", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "noisy-pretraining.json").read_text())
    assert (tmp_path / "noisy-pretraining.png").stat().st_size > 10_000
    numbers = printed["numbers"]
    assert numbers["line"]["n_models"] == 6
    for row in numbers["seeds"]:
        for of_kind in row["kinds"].values():
            for one in of_kind.values():
                spectrum = one["spectrum_centred"]
                assert sum(spectrum) == pytest.approx(1)
                assert spectrum == sorted(spectrum, reverse=True)
    assert run(ask) == 0
    assert json.loads(capsys.readouterr().out) == printed


def test_several_sets_run_without_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = suite_of("digits")
    small = dataclasses.replace(
        digits,
        pretexts={"contrastive": digits.pretexts["contrastive"]},
        targets=(
            Target(reference="digits-tinted"),
            Target(reference="digits", registered=("digits/unseen-tint",), within=False),
        ),
        methods=("lp",),
        zero_shot=digits.targets[0],
        baseline=None,
        limit=100,
    )
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(noisy_pretraining, "suite_of", lambda name: small)
    monkeypatch.setattr(noisy_pretraining, "SMOKE", Sizes(rates=(0.0, 0.3), pretrain=1))
    ask = ["study", "noisy-pretraining", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run(ask) == 0
    numbers = json.loads(capsys.readouterr().out)["numbers"]
    assert numbers["line"] is None
    one = numbers["seeds"][0]["kinds"]["contrastive"]["30"]
    probe = one["methods"]["lp"]
    assert set(probe["targets"]) == {"digits", "digits-tinted"}
    assert probe["id"] == probe["targets"]["digits-tinted"]["reference"]["value"]
    assert probe["ood"] == probe["targets"]["digits"]["shifts"]["digits/unseen-tint"]["value"]
    assert len(one["zero_shot"]["shifts"]) == 8
