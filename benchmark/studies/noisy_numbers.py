"""What noise in pre-training does: accuracies and spectra of each seed, means, differences within seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.studies.noisy_models import METHODS, Sizes, Suite, pretrained, scratch_models, tuned_model

if TYPE_CHECKING:
    from benchmark.lines import BaselineFit, BaselinePoint
    from benchmark.studies.measuring import Measured
    from benchmark.studies.study import Setting
    from models_zoo.spec import ModelSpec

CENTRES = {"centred": "samples", "uncentred": "none"}
MEASURES = ("id", "ood", "effective_robustness")
SPECTRA = tuple(f"{name}_{centre}" for name in ("sve", "lsvr") for centre in CENTRES)
FIRST = ("5", "10")  # percent, where the accuracy in distribution is said to rise

Row = Mapping[str, Any]


def key(rate: float) -> str:
    """A rate in percent, as the numbers name it."""
    return f"{100 * rate:g}"


def by_rate(some: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of the rates, whatever order a file of numbers has them in.

    >>> list(by_rate({"0": 1, "10": 2, "5": 3}))
    ['0', '5', '10']
    """
    return dict(sorted(some.items(), key=lambda pair: float(pair[0])))


def line_of(measured: Measured, suite: Suite, sizes: Sizes, *, setting: Setting) -> BaselineFit:
    """The line through scratch models: reference accuracy and the mean accuracy over the shifts."""
    from benchmark.lines import fit_baseline

    points, baseline = _scratch_points(measured, suite, sizes, setting=setting)
    return fit_baseline(points, reference=suite.reference, shift="mean over shifts", baseline=baseline)


def _scratch_points(
    measured: Measured, suite: Suite, sizes: Sizes, *, setting: Setting
) -> tuple[list[BaselinePoint], str | None]:
    names = [one.name for one in suite.shifts()]
    if suite.baseline is None:
        models = [spec for seed in setting.seeds for spec in scratch_models(suite, sizes, seed=seed)]
        of_shifts = [
            [measured.point(spec.name, reference=suite.reference, shift=name) for spec in models]
            for name in names
        ]
        return [_averaged(some) for some in zip(*of_shifts, strict=True)], None
    from benchmark.baselines import load_baseline

    table = load_baseline(suite.baseline)
    by_model: dict[str, list[BaselinePoint]] = {}
    for name in names:
        fit = table.fit(suite.reference, name)
        for point in fit.members:
            by_model.setdefault(point.model, []).append(point)
    whole = [some for some in by_model.values() if len(some) == len(names)]
    return [_averaged(some) for some in whole], table.identifier


def _averaged(some: Sequence[BaselinePoint]) -> BaselinePoint:
    import dataclasses

    return dataclasses.replace(some[0], shift_accuracy=_average([one.shift_accuracy for one in some]))


def of_seed(
    measured: Measured,
    suite: Suite,
    sizes: Sizes,
    *,
    line: BaselineFit,
    setting: Setting,
    seed: int,
) -> dict[str, Any]:
    """Every model of a seed: accuracies, effective robustness over the line, spectra of frozen features."""
    assert setting.suite is not None
    kinds: dict[str, Any] = {}
    for kind, pretext in suite.pretexts.items():
        for rate in sizes.rates:
            start = pretrained(pretext, sizes, rate=rate, seed=seed)
            specs = {
                method: tuned_model(suite, sizes, method, name=setting.suite, kind=kind, rate=rate, seed=seed)
                for method in METHODS
            }
            zero_shot = _accuracies(measured, suite, start, line) if pretext.zero_shot else None
            told = None if pretext.zero_shot else measured.accuracy(start.name, start.suite).to_json()
            kinds.setdefault(kind, {})[key(rate)] = {
                "pretext": told,
                "zero_shot": zero_shot,
                # A probe is frozen features under a new last layer: what it sees is what was pre-trained.
                **_spectra(specs["lp"], suite, setting=setting),
                "methods": {
                    method: _accuracies(measured, suite, spec, line) for method, spec in specs.items()
                },
            }
    return {"seed": seed, "kinds": kinds}


def _accuracies(measured: Measured, suite: Suite, spec: ModelSpec, line: BaselineFit) -> dict[str, Any]:
    within = measured.accuracy(spec.name, suite.reference)
    shifts = {one.name: measured.accuracy(spec.name, one.name) for one in suite.shifts()}
    ood = _average([one.value for one in shifts.values()])
    return {
        "id": within.value,
        "ood": ood,
        "effective_robustness": ood - line.expected(within.value),
        "reference": within.to_json(),
        "shifts": {name: one.to_json() for name, one in shifts.items()},
    }


def _spectra(spec: ModelSpec, suite: Suite, *, setting: Setting) -> dict[str, Any]:
    from benchmark.features import features
    from benchmark.planning import contestant
    from benchmark.spectrum import spectrum
    from models_zoo.recipe import trained_file
    from shifts.data import load_shift

    one = contestant(spec, weights=trained_file(spec, data_dir=setting.data_dir))
    shift = load_shift(suite.reference, data_dir=setting.data_dir, limit=suite.limit)
    found = features(one, shift, device="cpu")
    shapes = {
        name: spectrum(found.values, ids=found.ids, centre=centre)  # type: ignore[arg-type]  # one of these
        for name, centre in CENTRES.items()
    }
    made: dict[str, Any] = {f"sve_{name}": shape.sve.to_json() for name, shape in shapes.items()}
    made |= {f"lsvr_{name}": shape.lsvr.to_json() for name, shape in shapes.items()}
    values = shapes["centred"].values
    return {**made, "spectrum_centred": (values / values.sum()).tolist()}


def summary(rows: Sequence[Row], line: BaselineFit) -> dict[str, Any]:
    """Means over the seeds with their intervals, and each rate less none, taken within each seed."""
    kinds = {}
    for kind, of_kind in rows[0]["kinds"].items():
        rates = list(of_kind)
        columns = {name: [[value(row, kind, rate, name) for row in rows] for rate in rates]
                   for name in measures(of_kind[rates[0]])}  # fmt: skip
        early = [number for number, rate in enumerate(rates) if rate in FIRST]
        kinds[kind] = {
            "rates": {
                rate: {name: _mean(values[number]) for name, values in columns.items()}
                for number, rate in enumerate(rates)
            },
            "less_clean": {
                rate: {name: _mean(_less(values[number], values[0])) for name, values in columns.items()}
                for number, rate in enumerate(rates)
                if number
            },
            # The mean of the first rates, at which the paper sees a gain in distribution.
            "early": {
                name: _mean(_less([_average(some) for some in zip(*(values[i] for i in early), strict=True)],
                                  values[0]))
                for name, values in columns.items()
            } if early else None,
            "spectrum": {
                rate: [_average(some) for some in zip(
                    *(row["kinds"][kind][rate]["spectrum_centred"] for row in rows), strict=True)]
                for rate in rates
            },
        }  # fmt: skip
    return {"seeds": list(rows), "kinds": kinds, "line": _line(line)}


def measures(one: Mapping[str, Any]) -> list[str]:
    """The measures that a rate of a kind of pre-training has."""
    found = [f"{method}_{measure}" for method in one["methods"] for measure in MEASURES]
    found += [f"zero-shot_{measure}" for measure in MEASURES] if one["zero_shot"] else ["pretext"]
    return [*found, *SPECTRA]


def value(row: Row, kind: str, rate: str, name: str) -> float:
    """One number of a seed."""
    one = row["kinds"][kind][rate]
    if name in one:
        return float(one[name]["value"])
    who, _, measure = name.partition("_")
    found = one["zero_shot"] if who == "zero-shot" else one["methods"][who]
    return float(found[measure])


def _line(line: BaselineFit) -> dict[str, Any]:
    return {
        **{key: getattr(line, key) for key in ("slope", "intercept", "r2", "residual_sd", "n_models")},
        "baseline": line.baseline,
        "flags": list(line.flags),
        "members": [
            {"model": one.model, "reference": one.reference_accuracy, "shift": one.shift_accuracy}
            for one in line.members
        ],
    }


def _less(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(some, others, strict=True)]


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean(values: Sequence[float]) -> dict[str, Any]:
    from benchmark.intervals import mean_interval

    return mean_interval(values).to_json()
