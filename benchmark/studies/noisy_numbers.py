"""What noise in pre-training does: accuracies and spectra of each seed, means, differences within seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from benchmark.studies.noisy_models import pretrained, scratch_models, tuned_model
from benchmark.studies.noisy_suites import Sizes, Suite, Target

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


def line_of(measured: Measured, suite: Suite, sizes: Sizes, *, setting: Setting) -> BaselineFit | None:
    """The line through scratch models: reference accuracy and the mean accuracy over the shifts.

    None where the suite has no scratch models.
    """
    from benchmark.lines import fit_baseline

    if suite.baseline is None and suite.scratch is None:
        return None
    (target,) = suite.targets
    points, baseline = _scratch_points(measured, suite, sizes, target, setting=setting)
    return fit_baseline(points, reference=target.reference, shift="mean over shifts", baseline=baseline)


def _scratch_points(
    measured: Measured, suite: Suite, sizes: Sizes, target: Target, *, setting: Setting
) -> tuple[list[BaselinePoint], str | None]:
    names = [one.name for one in suite.shifts()]
    if suite.baseline is None:
        models = [spec for seed in setting.seeds for spec in scratch_models(suite, sizes, seed=seed)]
        of_shifts = [
            [measured.point(spec.name, reference=target.reference, shift=name) for spec in models]
            for name in names
        ]
        return [_averaged(some) for some in zip(*of_shifts, strict=True)], None
    from benchmark.baselines import load_baseline

    table = load_baseline(suite.baseline)
    by_model: dict[str, list[BaselinePoint]] = {}
    for name in names:
        fit = table.fit(target.reference, name)
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
    line: BaselineFit | None,
    setting: Setting,
    seed: int,
) -> dict[str, Any]:
    """Every model of a seed: accuracies, effective robustness over the line, spectra of frozen features."""
    assert setting.suite is not None
    kinds: dict[str, Any] = {}
    for kind, pretext in suite.pretexts.items():
        for rate in sizes.rates:
            start = pretrained(pretext, rate=rate, seed=seed, epochs=sizes.pretrain)
            specs = {
                method: {
                    target: tuned_model(
                        suite, sizes, target, method, name=setting.suite, kind=kind, rate=rate, seed=seed
                    )
                    for target in suite.targets
                }
                for method in suite.methods
            }
            untuned = dict.fromkeys(suite.untuned(), start)
            told = measured.accuracy(start.name, pretext.shown_on().name) if not pretext.zero_shot else None
            kinds.setdefault(kind, {})[key(rate)] = {
                "pretext": None if told is None else told.to_json(),
                "zero_shot": _accuracies(measured, suite, untuned, line) if pretext.zero_shot else None,
                # A probe is frozen features under a new last layer: what it sees is what was pre-trained.
                **_spectra(specs["lp"], suite, setting=setting),
                "methods": {
                    method: _accuracies(measured, suite, some, line) for method, some in specs.items()
                },
            }
    return {"seed": seed, "kinds": kinds}


def _accuracies(
    measured: Measured, suite: Suite, specs: Mapping[Target, ModelSpec], line: BaselineFit | None
) -> dict[str, Any]:
    """Means over sets, and the accuracy on each: beside the means where there is one target."""
    each: dict[str, Any] = {}
    within, out_of = [], []
    for target, spec in specs.items():
        reference = measured.accuracy(spec.name, target.reference)
        shifts = {one.name: measured.accuracy(spec.name, one.name) for one in target.shifts(suite.limit)}
        within += [reference.value] if target.within else []
        out_of += [one.value for one in shifts.values()]
        each[target.reference] = {
            "reference": reference.to_json(),
            "shifts": {name: one.to_json() for name, one in shifts.items()},
        }
    found = {"id": _average(within), "ood": _average(out_of)}
    if line is not None:
        found["effective_robustness"] = found["ood"] - line.expected(found["id"])
    return {**found, **(next(iter(each.values())) if len(each) == 1 else {"targets": each})}


def _spectra(specs: Mapping[Target, ModelSpec], suite: Suite, *, setting: Setting) -> dict[str, Any]:
    """Of the test images of the sets in distribution: means over them, and beside these each."""
    each = {
        target.reference: _spectra_on(target, spec, suite, setting=setting)
        for target, spec in specs.items()
        if target.within
    }
    if len(each) == 1:
        return next(iter(each.values()))
    some = list(each.values())
    # A set of fewer images than features has fewer singular values; the others are zero.
    shares = zip_longest(*(one["spectrum_centred"] for one in some), fillvalue=0.0)
    return {
        **{name: {"value": _average([one[name]["value"] for one in some])} for name in SPECTRA},
        "spectrum_centred": [_average(share) for share in shares],
        "spectra": each,
    }


def _spectra_on(target: Target, spec: ModelSpec, suite: Suite, *, setting: Setting) -> dict[str, Any]:
    from benchmark.features import features
    from benchmark.planning import contestant
    from benchmark.spectrum import spectrum
    from models_zoo.recipe import recipe_of, trained_file
    from shifts.data import load_shift

    one = contestant(spec, weights=trained_file(spec, data_dir=setting.data_dir))
    shift = load_shift(target.reference, data_dir=setting.data_dir, limit=suite.limit)
    found = features(one, shift, device="auto" if recipe_of(spec).accelerator else "cpu")
    shapes = {
        name: spectrum(found.values, ids=found.ids, centre=centre)  # type: ignore[arg-type]  # one of these
        for name, centre in CENTRES.items()
    }
    made: dict[str, Any] = {f"sve_{name}": shape.sve.to_json() for name, shape in shapes.items()}
    made |= {f"lsvr_{name}": shape.lsvr.to_json() for name, shape in shapes.items()}
    values = shapes["centred"].values
    return {**made, "spectrum_centred": (values / values.sum()).tolist()}


def summary(rows: Sequence[Row], line: BaselineFit | None) -> dict[str, Any]:
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
    return {"seeds": list(rows), "kinds": kinds, "line": None if line is None else _line(line)}


def measures(one: Mapping[str, Any]) -> list[str]:
    """The measures that a rate of a kind of pre-training has."""
    who = {**one["methods"], **({"zero-shot": one["zero_shot"]} if one["zero_shot"] else {})}
    found = [f"{name}_{measure}" for name, told in who.items() for measure in MEASURES if measure in told]
    return [*found, *(() if one["zero_shot"] else ("pretext",)), *SPECTRA]


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
