"""Sweeps of strength and setting: the plan, verdicts from numbers."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.plots.sweeps import sweeps_figure
from benchmark.studies.sweep_models import SUITES, setting_model, sweep_jobs, with_bias
from benchmark.studies.synthetic_sweeps import tables, verdicts
from models_zoo.recipe import recipe_of
from shifts.spec import SHIFTS


@pytest.mark.parametrize("name", SUITES)
def test_every_strength_is_trained_and_measured_on_its_own_reference(name: str) -> None:
    plan = SUITES[name]
    jobs = sweep_jobs(plan, seed=0)
    names = [job.spec.name for job in jobs]
    assert len(set(names)) == len(names)
    trained = {(stage.shift, shift.name) for job in jobs for stage in recipe_of(job.spec).stages
               for shift in job.shifts}  # fmt: skip
    for bias, of_bias in plan.biases.items():
        assert set(of_bias.none) < set(of_bias.values)
        for value in of_bias.values:
            ((reference, (shift,)),) = with_bias(plan, bias, value).shifts.items()
            assert SHIFTS.get(shift).reference == reference
            assert {(reference, reference), (reference, shift)} <= trained


def test_a_setting_changes_one_thing() -> None:
    plan = SUITES["digits"]
    usual = setting_model(plan, plan.inside, "as it is", seed=0)
    (before,) = recipe_of(usual).stages
    for name in list(plan.variations())[1:]:
        (after,) = recipe_of(setting_model(plan, plan.inside, name, seed=0)).stages
        changed = {
            key
            for key in ("learning_rate", "epochs", "batch_size", "weight_decay")
            if getattr(before, key) != getattr(after, key)
        }
        assert len(changed) == 1, name
        assert after.warmup_epochs == after.epochs / 8


def numbers(robust: dict[str, float], settings: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    def over(reference: float, shift: float, er: float) -> dict[str, Any]:
        values = {
            "reference_accuracy": reference,
            "shift_accuracy": shift,
            "effective_robustness": er,
            "r2": 0.9,
        }
        rows = [
            {"seed": i, "weak": False, **{k: v + 0.0005 * i for k, v in values.items()}} for i in range(3)
        ]
        means = {key: {"value": v, "low": v - 0.002, "high": v + 0.002} for key, v in values.items()}
        return {"seeds": rows, "weak_fits": 0, "means": means, "none_published": True}

    strengths = {value: over(0.9, 0.8, er) for value, er in robust.items()}
    strengths["0.9"]["none_published"] = False
    of_settings = {name: over(*values) for name, values in settings.items()}
    return {"strengths": {"spurious tint": strengths}, "settings": {"in": of_settings, "out": of_settings}}


def test_the_verdicts_follow_the_numbers() -> None:
    settings = {"as it is": (0.95, 0.9, 0.0), "tune rate 1e-05": (0.7, 0.6, 0.1)}
    as_published = numbers({"0.5": 0.0, "0.8": 0.02, "0.9": 0.1}, settings)
    # Rows that rise by the same amount in every seed have a difference without spread.
    assert [one.outcome for one in verdicts(as_published)] == ["reproduced"] * 5
    assert len(sweeps_figure(as_published).axes) == 2
    assert [len(one.rows) for one in tables(as_published)] == [3, 4]
    settings = {"as it is": (0.95, 0.5, 0.2), "tune rate 1e-05": (0.7, 0.6, 0.1)}
    otherwise = numbers({"0.5": 0.1, "0.8": 0.02, "0.9": 0.01}, settings)
    assert [one.outcome for one in verdicts(otherwise)] == [
        "not reproduced", "reproduced", "not reproduced", "not reproduced", "not reproduced",
    ]  # fmt: skip
    nothing = numbers({"0.5": 0.0, "0.9": 0.1}, {"as it is": (0.95, 0.9, 0.0)})
    assert verdicts(nothing)[-1].outcome == "not tested"
