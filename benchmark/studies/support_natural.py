"""The part of the study ``support-split`` on natural shifts: photographs against other styles of PACS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.studies.claims import percent
from benchmark.studies.study import Findings, Setting, Table, Verdict, decided

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.studies.measuring import Job
    from benchmark.support_report import SupportReport
    from models_zoo.spec import ModelSpec
    from shifts.data import Shift
    from shifts.support import DensityRatio

    Images = Sequence[NDArray[np.uint8]]

REFERENCE, MODEL = "pacs-photo", "pacs-cnn"
STYLES = ("art", "cartoon", "sketch")
THRESHOLDS = (0.2, 0.1)
FOLDS = 10
SHOWN = 6  # images of each half


def run(setting: Setting) -> Findings:
    """Train the network of every seed on photographs, and split every style by its features."""
    from benchmark.plots.halves import halves_figure
    from benchmark.plots.support import support_figure
    from benchmark.studies.measuring import measure

    networks = {seed: network(seed, smoke=setting.smoke) for seed in setting.seeds}
    measure(jobs(setting), setting=setting, what="training")
    rows: list[dict[str, Any]] = []
    shown: dict[str, tuple[DensityRatio, SupportReport]] = {}
    examples: dict[str, tuple[Images, Images]] = {}
    for done, (seed, spec) in enumerate(networks.items()):
        setting.say("splitting", done, len(networks))
        row: dict[str, Any] = {"seed": seed, "styles": {}}
        for style in STYLES:
            name = f"{REFERENCE}/{style}"
            ratio, report, shift = split(setting, spec, name, seed=seed)
            row["styles"][style] = report.to_json()
            if seed == setting.seeds[0]:
                shown[name] = (ratio, report)
                examples[name] = ends(shift, ratio)
        rows.append(row)
    setting.say("splitting", len(networks), len(networks))
    numbers: dict[str, Any] = {"seeds": rows, "means": means(rows)}
    return Findings(
        study="support-split",
        configuration={
            "suite": setting.suite,
            "model": MODEL,
            "reference": REFERENCE,
            "styles": list(STYLES),
            "thresholds": list(THRESHOLDS),
            "folds": FOLDS,
            "seeds": list(setting.seeds),
            "smoke": setting.smoke,
        },
        numbers=numbers,
        tables=(table(numbers),),
        verdicts=verdicts(numbers),
        figures={
            "support-split": partial(support_figure, shown),
            "support-split-examples": partial(halves_figure, examples),
        },
    )


def jobs(setting: Setting) -> list[Job]:
    """The networks to train; what they see is not measured."""
    from benchmark.studies.measuring import Job

    return [Job(spec=network(seed, smoke=setting.smoke)) for seed in setting.seeds]


def network(seed: int, *, smoke: bool) -> ModelSpec:
    """The scratch network of a seed; in a smoke run one that has hardly been trained."""
    import dataclasses

    from models_zoo.recipe import recipe_of
    from models_zoo.spec import MODELS
    from models_zoo.variants import variant

    spec = variant(MODELS.get(MODEL), seed=seed)
    if not smoke:
        return spec
    recipe = recipe_of(spec)
    stages = tuple(dataclasses.replace(stage, epochs=1) for stage in recipe.stages)
    return dataclasses.replace(spec, recipe=dataclasses.replace(recipe, stages=stages))


def split(
    setting: Setting, spec: ModelSpec, name: str, *, seed: int
) -> tuple[DensityRatio, SupportReport, Shift]:
    """The density ratio of a shift by the features of a network, summed up."""
    from benchmark.features import features
    from benchmark.planning import contestant
    from benchmark.support_report import support_report
    from models_zoo.recipe import trained_file
    from shifts.data import load_shift
    from shifts.support import density_ratio

    one = contestant(spec, weights=trained_file(spec, data_dir=setting.data_dir))
    reference, shift = (load_shift(each, data_dir=setting.data_dir) for each in (REFERENCE, name))
    seen = [features(one, each) for each in (reference, shift)]
    ratio = density_ratio(
        seen[0].values,
        seen[1].values,
        reference_ids=seen[0].ids,
        shift_ids=seen[1].ids,
        folds=FOLDS,
        seed=seed,
    )
    return ratio, support_report(ratio, threshold=THRESHOLDS[0]), shift


def ends(shift: Shift, ratio: DensityRatio) -> tuple[Images, Images]:
    """The images most in support and those least, of each half."""
    import numpy as np

    inside = ratio.in_support(THRESHOLDS[0])
    order = np.argsort(-ratio.shift, kind="stable")
    first, last = order[inside[order]][:SHOWN], order[~inside[order]][::-1][:SHOWN]
    return [shift.item(int(i)) for i in first], [shift.item(int(i)) for i in last]


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """In-support share and AUROC of each style, over the seeds of network and folds."""
    from benchmark.intervals import mean_interval

    found: dict[str, Any] = {}
    for style in STYLES:
        of = [row["styles"][style] for row in rows]
        shares = {
            f"{at:g}": mean_interval([one["in_support"][f"{at:g}"]["value"] for one in of]).to_json()
            for at in THRESHOLDS
        }
        auroc = mean_interval([one["auroc"]["value"] for one in of]).to_json()
        found[style] = {"in_support": shares, "auroc": auroc}
    return found


def verdicts(numbers: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Drawings have next to no support among photographs, paintings have more."""
    from benchmark.intervals import mean_interval

    def share(row: Mapping[str, Any], style: str) -> float:
        value: float = row["styles"][style]["in_support"][f"{THRESHOLDS[0]:g}"]["value"]
        return value

    rows = numbers["seeds"]
    sketch = numbers["means"]["sketch"]["in_support"][f"{THRESHOLDS[0]:g}"]
    apart = mean_interval([share(row, "art") - share(row, "sketch") for row in rows]).to_json()
    return (
        decided(
            "almost no sketch is in support of photographs (as ImageNet Sketch, 162 of 50,889: Section 5.2)",
            holds=sketch["high"] < 0.1,
            noise=sketch["low"] < 0.1 <= sketch["high"],
            evidence=f"in support {percent(sketch)} %",
        ),
        decided(
            "more of the paintings than of the sketches are in support",
            holds=apart["low"] > 0,
            noise=apart["low"] <= 0 <= apart["high"],
            evidence=f"difference {percent(apart)} points",
        ),
    )


def table(numbers: Mapping[str, Any]) -> Table:
    """What is in support, over the seeds; sizes and the reference's own share as a warning beside it."""
    rows, mean = numbers["seeds"], numbers["means"]
    return Table(
        title="in support of photographs (%), mean over seeds of network and folds with its 95 % interval",
        header=(
            "style", *(f"threshold {at:g}" for at in THRESHOLDS), "AUROC", "images / photographs",
            "photographs in support (%)",
        ),
        rows=tuple(
            (
                style,
                *(percent(mean[style]["in_support"][f"{at:g}"]) for at in THRESHOLDS),
                f"{mean[style]['auroc']['value']:.3f}",
                f"{rows[0]['styles'][style]['n_shift']} / {rows[0]['styles'][style]['n_reference']}",
                " ".join(
                    f"{100 * row['styles'][style]['reference_in_support']['value']:.0f}" for row in rows
                ),
            )
            for style in STYLES
        ),
    )  # fmt: skip
