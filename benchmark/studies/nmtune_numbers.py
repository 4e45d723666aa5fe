"""What tuning makes of noise in pre-training: each seed's accuracies and spectra, means and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.nmtune_models import METHODS, RESHAPED, Sizes, Suite, tuned_model
from benchmark.studies.noisy_models import pretrained
from benchmark.studies.noisy_numbers import key
from benchmark.studies.noisy_suites import Pretext, Target

if TYPE_CHECKING:
    from benchmark.studies.measuring import Measured
    from benchmark.studies.study import Setting
    from models_zoo.spec import ModelSpec

MEASURES = ("id", "ood", "sve", "lsvr")
ON_FEATURES = ("nmtune", "nmtune-code")
# What is proposed, and what it is compared with.
AGAINST: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ON_FEATURES, ("lp", "lbfgs", "mlp")),
    **{ours: (theirs,) for ours, theirs in RESHAPED.items()},
}

Row = Mapping[str, Any]


def methods_of(rates: Mapping[str, Any]) -> list[str]:
    """The ways to tune that numbers have, in the order of ``METHODS``."""
    some = next(iter(rates.values()))["methods"]
    return [method for method in METHODS if method in some]


def against(methods: Sequence[str]) -> dict[str, list[str]]:
    """``AGAINST``, as far as these ways to tune are in it."""
    return {
        ours: [one for one in theirs if one in methods] for ours, theirs in AGAINST.items() if ours in methods
    }


def of_seed(
    measured: Measured, suite: Suite, sizes: Sizes, pretext: Pretext, *, setting: Setting, seed: int
) -> dict[str, Any]:
    """Every model of a seed: accuracy in and out of distribution, and the spectrum of its tuned features."""
    rates: dict[str, Any] = {}
    for rate in sizes.rates:
        start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
        models = {}
        for method in suite.methods:
            specs = {
                target: tuned_model(suite, sizes, pretext, target, method, rate=rate, seed=seed)
                for target in suite.targets
            }
            models[method] = _of_targets(measured, specs, setting)
        shown = measured.accuracy(start.name, pretext.shown_on().name)
        rates[key(rate)] = {"pretext": shown.to_json(), "methods": models}
    return {"seed": seed, "rates": rates}


def _of_targets(measured: Measured, specs: Mapping[Target, ModelSpec], setting: Setting) -> dict[str, Any]:
    """The numbers of one set, or means over several with each beside them."""
    each = {target.reference: _of_target(measured, target, spec, setting) for target, spec in specs.items()}
    out_of = [one["value"] for told in each.values() for one in told["shifts"].values()]
    ood = sum(out_of) / len(out_of)
    if len(each) == 1:
        return {"ood": ood, **next(iter(each.values()))}
    within = [each[target.reference] for target in specs if target.within]
    means = {
        name: {"value": sum(one[name]["value"] for one in within) / len(within)}
        for name in MEASURES
        if name != "ood"
    }
    return {"ood": ood, **means, "targets": each}


def _of_target(measured: Measured, target: Target, spec: ModelSpec, setting: Setting) -> dict[str, Any]:
    from benchmark.studies.spectra import spectrum_on
    from shifts.spec import SHIFTS

    shape = spectrum_on(spec, SHIFTS.get(target.reference), data_dir=setting.data_dir)
    shifts = {one.name: measured.accuracy(spec.name, one.name) for one in target.shifts()}
    return {
        "id": measured.accuracy(spec.name, target.reference).to_json(),
        # Method, level and number of images are those of "id".
        "shifts": {
            name: {"value": one.value, "low": one.low, "high": one.high} for name, one in shifts.items()
        },
        "sve": shape.sve.to_json(),
        "lsvr": shape.lsvr.to_json(),
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over the seeds with their intervals, and differences taken within each seed."""
    rates = list(rows[0]["rates"])
    methods = methods_of(rows[0]["rates"])
    clean, noisy = rates[:1], rates[1:]

    def means(get: Callable[..., float], *at: Any) -> dict[str, Any]:
        return {measure: _mean([get(row, *at, measure) for row in rows]) for measure in MEASURES}

    return {
        "seeds": list(rows),
        "rates": {
            rate: {
                "pretext": _mean([row["rates"][rate]["pretext"]["value"] for row in rows]),
                "methods": {method: means(value, rate, method) for method in methods},
            }
            for rate in rates
        },
        "of_noise": {method: means(_moved, (rates[0], rates[-1]), method) for method in methods},
        "over": {
            ours: {
                theirs: {
                    "clean": means(_gain, clean, ours, theirs),
                    "noisy": means(_gain, noisy, ours, theirs),
                }
                for theirs in others
            }
            for ours, others in against(methods).items()
        },
    }


def value(row: Row, rate: str, method: str, measure: str) -> float:
    """One number of a seed."""
    found = row["rates"][rate]["methods"][method][measure]
    return float(found if measure == "ood" else found["value"])


def _moved(row: Row, rates: tuple[str, str], method: str, measure: str) -> float:
    """The number at the second rate less that at the first."""
    return value(row, rates[1], method, measure) - value(row, rates[0], method, measure)


def _gain(row: Row, rates: Sequence[str], ours: str, theirs: str, measure: str) -> float:
    """The mean over rates of one method's number less another's, from the same pre-trained models."""
    gains = [value(row, rate, ours, measure) - value(row, rate, theirs, measure) for rate in rates]
    return sum(gains) / len(gains)


def _mean(values: Sequence[float]) -> dict[str, Any]:
    from benchmark.intervals import mean_interval

    return mean_interval(values).to_json()
