"""The study of NMTune: numbers by hand, verdicts from numbers, its models, and the whole of it small."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark.cli import run
from benchmark.plots.nmtune import nmtune_figure
from benchmark.studies import nmtune, noisy_pretraining
from benchmark.studies.nmtune import TITLES, shown, tables, verdicts
from benchmark.studies.nmtune_models import METHODS, NAMES, RESHAPED, Sizes, jobs_of, suite_of
from benchmark.studies.nmtune_numbers import summary, value
from benchmark.studies.study import STUDIES, setting
from models_zoo.recipe import recipe_of
from shifts.label_noise import GRID
from tests.benchmark.studies.tunings import tunings_of

Number = Callable[[int, float, str, str], float]


def one(number: float) -> dict[str, float]:
    return {"value": number, "low": number - 0.01, "high": number + 0.01}


def rows(number: Number, *, seeds: int = 3) -> list[dict[str, Any]]:
    """Numbers of every seed, rate, method and measure."""
    return [
        {
            "seed": seed,
            "rates": {
                f"{rate:g}": {
                    "pretext": one(0.9),
                    "methods": {
                        method: {
                            "ood": number(seed, rate, method, "ood"),
                            **{name: one(number(seed, rate, method, name)) for name in ("id", "sve", "lsvr")},
                        }
                        for method in METHODS
                    },
                }
                for rate in (0, 10, 30)
            },
        }
        for seed in range(seeds)
    ]


def as_published(seed: int, rate: float, method: str, measure: str) -> float:
    """Noise hurts and raises both statistics; NMTune helps, raises the SVE and lowers the LSVR."""
    ours = "nmtune" in method
    jitter = 0.0001 * ((3 * seed + rate + len(method)) % 7)
    return (
        jitter
        + {
            "id": 0.9 - 0.002 * rate,
            "ood": 0.6 - 0.004 * rate + (0.03 if ours else 0.01 if method == "mlp" else 0.0),
            "sve": 3.0 + 0.01 * rate + (0.2 if ours else -0.2 if method == "mlp" else 0.0),
            "lsvr": 2.0 + 0.01 * rate - (0.3 if ours else 0.1 if method == "mlp" else 0.0),
        }[measure]
    )


def outcomes(number: Number) -> list[str]:
    return [found.outcome for found in verdicts(summary(rows(number)))]


def test_means_and_differences_by_hand() -> None:
    """Of seed s at rate r: LP r + s, NMTune 2 + r (s + 1) / 10 more."""

    def number(seed: int, rate: float, method: str, measure: str) -> float:
        return rate + seed + ((2 + rate / 10 * (seed + 1)) if method == "nmtune" else 0.0)

    found = summary(rows(number))
    assert value(found["seeds"][1], "10", "nmtune", "ood") == 15.0
    assert found["rates"]["30"]["methods"]["lp"]["ood"]["value"] == pytest.approx(31.0)
    assert found["of_noise"]["lp"]["id"]["value"] == pytest.approx(30.0)
    assert found["of_noise"]["lp"]["id"]["low"] == pytest.approx(30.0), "within a seed there is no spread"
    clean, noisy = (found["over"]["nmtune"]["lp"][state]["sve"] for state in ("clean", "noisy"))
    assert (clean["value"], clean["n"]) == (pytest.approx(2.0), 3)
    # Over rates 10 and 30: 2 + 2 (s + 1); over the seeds: 4, 6, 8.
    assert noisy["value"] == pytest.approx(6.0)
    assert noisy["high"] - noisy["value"] == pytest.approx(4.302653 * 2 / 3**0.5, rel=1e-4)


def test_the_verdicts_follow_the_numbers() -> None:
    assert outcomes(as_published) == ["reproduced"] * 17

    def reversed_(seed: int, rate: float, method: str, measure: str) -> float:
        return 5.0 - as_published(seed, rate, method, measure)

    assert outcomes(reversed_) == ["not reproduced"] * 17

    def open_ended(seed: int, rate: float, method: str, measure: str) -> float:
        return as_published(seed, rate, method, measure) * (-1) ** seed

    assert outcomes(open_ended) == ["within noise"] * 17


def test_the_order_of_the_numbers_moves_no_verdict_and_no_table() -> None:
    numbers = summary(rows(as_published))
    turned = {**numbers, "rates": dict(reversed(numbers["rates"].items()))}
    assert verdicts(turned) == verdicts(numbers)
    assert tables(turned) == tables(numbers)


def test_one_way_to_tune_that_noise_does_not_hurt_leaves_that_claim() -> None:
    def spared(seed: int, rate: float, method: str, measure: str) -> float:
        return as_published(seed, 0 if method == "lbfgs" else rate, method, measure)

    found = verdicts(summary(rows(spared)))
    assert [number for number, verdict in enumerate(found) if verdict.outcome != "reproduced"] == [2]
    assert "linear probe, optimum +0.0" in found[2].evidence
    assert "without noise +3.0" in found[5].evidence


def test_numbers_in_their_units() -> None:
    assert shown({"value": 0.0123, "low": -0.01, "high": 0.03}, "ood") == "+1.2 [-1.0, +3.0]"
    assert shown({"value": 3.4567, "low": 3.4, "high": 3.5}, "sve", sign="") == "3.457 [3.400, 3.500]"


def test_models_share_what_they_are_compared_by() -> None:
    """At a rate and a seed all start from one model; at every rate the tuning is the same."""
    suite, sizes = suite_of("digits"), Sizes()
    every = list(jobs_of(suite, sizes, seed=2))
    assert len(every) == len(GRID) * (1 + len(METHODS))
    assert len({job.spec.name for job in every}) == len(every)
    tuning = set()
    for number, rate in enumerate(sizes.rates):
        first, *others = every[number * (1 + len(METHODS)) : (number + 1) * (1 + len(METHODS))]
        (stage,) = recipe_of(first.spec).stages
        assert (0.0 if stage.noise is None else stage.noise.rate) == rate
        assert stage.noise is None or (stage.noise.kind, stage.noise.seed) == ("symmetric", 2)
        assert [shift.name for shift in first.shifts] == ["digits-turned"]
        for job in others:
            assert recipe_of(job.spec).start == first.spec
            assert recipe_of(job.spec).seed == 2
        tuning.add(tuple(repr(recipe_of(job.spec).stages) for job in others))
    (stages,) = tuning
    assert len(set(stages)) == len(METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_every_suite_names_what_there_is(name: str) -> None:
    suite = suite_of(name)
    shifts = {shift.name for target in suite.targets for shift in target.shifts()}
    assert len(shifts) >= 5
    assert set(suite.smoke) < shifts
    for target in suite.targets:
        assert {shift.reference for shift in target.shifts()} <= {target.reference}
    assert set(suite.methods) <= set(METHODS) == set(TITLES)


def test_at_full_size_every_model_is_tuned_in_every_way_to_every_set() -> None:
    suite = suite_of("downstream")
    jobs = nmtune.jobs(setting(STUDIES.get("nmtune"), suite="downstream", seeds=2))
    assert len({job.spec.name for job in jobs}) == len(jobs)
    found = tunings_of(jobs)
    assert len(found.tuned_to) == 4 * len(GRID) * 2
    sets = [target.reference for target in suite.targets for _ in suite.methods]
    assert len(sets) == 16 * 6
    assert all(some == sets for some in found.tuned_to.values())
    assert not found.trained & found.tested


@pytest.mark.parametrize(("study", "ways"), [(noisy_pretraining, 1), (nmtune, 6)], ids=["noise", "nmtune"])
def test_the_full_size_is_planned_without_data(
    study: ModuleType,
    ways: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of one pre-training, since it is the networks that take the time."""
    whole = study.suite_of("downstream")
    kind, pretext = next(iter(whole.pretexts.items()))
    one_kind = dataclasses.replace(whole, pretexts={kind: pretext})
    monkeypatch.setattr(study, "suite_of", lambda name: one_kind)
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / "cache"))
    ask = ["study", study.NAME, "--suite", "downstream", "--seeds", "2", "--plan", "--json"]
    assert run([*ask, "--results", str(tmp_path / "results")]) == 0
    plan = json.loads(capsys.readouterr().out)
    models = [one["model"] for one in plan["trainings"]]
    assert len(models) == len(set(models)) == 2 * len(GRID) * (1 + 16 * ways)
    cells = [(one["model"], one["shift"]) for one in plan["evaluations"]]
    assert len(cells) == len(set(cells))
    assert {model for model, _ in cells} == set(models)
    assert not any(one["here"] for one in plan["data"])
    assert not list(tmp_path.rglob("*.safetensors"))


def test_several_pre_trainings_and_fewer_ways_to_tune_have_their_own_numbers_and_verdicts() -> None:
    methods = ("lp", "mlp", "nmtune", "nmtune-code", "lora", "ft")
    some = rows(as_published)
    for row in some:
        for one_rate in row["rates"].values():
            one_rate["methods"] = {method: one_rate["methods"][method] for method in methods}
    numbers = {"kinds": {"A": summary(some), "B": summary(some)}}
    found = verdicts(numbers)
    assert [verdict.outcome for verdict in found] == ["reproduced"] * 2 * 15, (
        "none of adapters with its terms"
    )
    assert [verdict.claim[:3] for verdict in found] == ["A: "] * 15 + ["B: "] * 15
    assert [len(table.rows) for table in tables(numbers)] == [6 * 3, 2 * 2 * 2] * 2
    figures = nmtune._figures({"kinds": {"CLIP ViT-B/16": summary(some)}})
    assert list(figures) == ["nmtune-clip-vit-b16"]
    labels = [text.get_label() for text in figures["nmtune-clip-vit-b16"]().axes[0].containers]
    assert labels == [TITLES[method] for method in methods]


def test_the_figure_shows_every_method_in_every_panel() -> None:
    figure = nmtune_figure(summary(rows(as_published))["rates"], TITLES, beside=RESHAPED)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert [text.get_label() for text in axes.containers] == list(TITLES.values())


def test_the_study_runs_and_runs_again_from_what_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["study", "nmtune", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run([*ask, "-o", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "nmtune.json").read_text())
    assert (tmp_path / "nmtune.png").stat().st_size > 10_000
    assert list(printed["numbers"]["rates"]) == ["0", "30"]
    for method in METHODS:
        for measure in ("id", "ood", "sve", "lsvr"):
            assert printed["numbers"]["rates"]["30"]["methods"][method][measure]["n"] == 2
    assert run(ask) == 0
    assert json.loads(capsys.readouterr().out) == printed
