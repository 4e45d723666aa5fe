"""What tuning makes of noise in pre-training: each seed's accuracies and spectra, means and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.nmtune_models import METHODS, RESHAPED, Sizes, Suite, pretrained, tuned_model

if TYPE_CHECKING:
    from benchmark.studies.measuring import Measured
    from benchmark.studies.study import Setting

MEASURES = ("id", "ood", "sve", "lsvr")
ON_FEATURES = ("nmtune", "nmtune-code")
# What is proposed, and what it is compared with.
AGAINST: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ON_FEATURES, ("lp", "lbfgs", "mlp")),
    **{ours: (theirs,) for ours, theirs in RESHAPED.items()},
}

Row = Mapping[str, Any]


def key(rate: float) -> str:
    """A rate in percent, as the numbers name it."""
    return f"{100 * rate:g}"


def of_seed(measured: Measured, suite: Suite, sizes: Sizes, *, setting: Setting, seed: int) -> dict[str, Any]:
    """Every model of a seed: accuracy in and out of distribution, and the spectrum of its tuned features."""
    from benchmark.studies.spectra import spectrum_on
    from shifts.spec import SHIFTS

    rates: dict[str, Any] = {}
    for rate in sizes.rates:
        start = pretrained(suite, sizes, rate=rate, seed=seed)
        models = {}
        for method in METHODS:
            spec = tuned_model(suite, sizes, method, rate=rate, seed=seed)
            shape = spectrum_on(spec, SHIFTS.get(suite.reference), data_dir=setting.data_dir)
            shifts = {name: measured.accuracy(spec.name, name) for name in suite.shifts}
            models[method] = {
                "id": measured.accuracy(spec.name, suite.reference).to_json(),
                "ood": sum(one.value for one in shifts.values()) / len(shifts),
                # Method, level and number of images are those of "id".
                "shifts": {
                    name: {"value": one.value, "low": one.low, "high": one.high}
                    for name, one in shifts.items()
                },
                "sve": shape.sve.to_json(),
                "lsvr": shape.lsvr.to_json(),
            }
        pretext = measured.accuracy(start.name, start.suite)
        rates[key(rate)] = {"pretext": pretext.to_json(), "methods": models}
    return {"seed": seed, "rates": rates}


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over the seeds with their intervals, and differences taken within each seed."""
    rates = list(rows[0]["rates"])
    clean, noisy = rates[:1], rates[1:]

    def means(get: Callable[..., float], *at: Any) -> dict[str, Any]:
        return {measure: _mean([get(row, *at, measure) for row in rows]) for measure in MEASURES}

    return {
        "seeds": list(rows),
        "rates": {
            rate: {
                "pretext": _mean([row["rates"][rate]["pretext"]["value"] for row in rows]),
                "methods": {method: means(value, rate, method) for method in METHODS},
            }
            for rate in rates
        },
        "of_noise": {method: means(_moved, (rates[0], rates[-1]), method) for method in METHODS},
        "over": {
            ours: {
                theirs: {
                    "clean": means(_gain, clean, ours, theirs),
                    "noisy": means(_gain, noisy, ours, theirs),
                }
                for theirs in others
            }
            for ours, others in AGAINST.items()
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
