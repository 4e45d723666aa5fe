"""What ``study --plan`` prints: every run that a study would make, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.studies.planned import Evaluation, StudyPlan, Training
    from benchmark.studies.study import Setting, Study

TERA = 1e12


def show_plan(study: Study, setting: Setting, *, throughput: float | None, as_json: bool) -> None:
    """Print the plan of a study; nothing is trained."""
    from benchmark.cli.terminal import err, print_json
    from benchmark.studies.planned import THROUGHPUT, plan_study

    with err().status("counting operations"):
        plan = plan_study(study, setting, throughput=THROUGHPUT if throughput is None else throughput * TERA)
    if as_json:
        print_json(plan.to_json())
    else:
        _print(plan)


def _print(plan: StudyPlan) -> None:
    from benchmark.cli.terminal import columns, out

    console = out()
    on: dict[str, list[Evaluation]] = {}
    for evaluation in plan.evaluations:
        on.setdefault(evaluation.model.partition("@epoch-")[0], []).append(evaluation)
    rows = [_row(plan, one, on.get(one.model, [])) for one in plan.trainings]
    header = ("model", "trained on", "images seen", "GFLOP each", "h", "measured on", "h", "")
    columns(header, rows)
    for what, runs in (("trainings", plan.trainings), ("evaluations", plan.evaluations)):
        console.print(f"{what}: {_total(plan, runs)}", soft_wrap=True)
    for data in plan.data:
        size = "size not published" if data.bytes is None else _bytes(data.bytes)
        where = "here" if data.here else "to get"
        console.print(f"[dim]data: {data.source}, {where} ({size})[/]", soft_wrap=True)
    console.print(
        f"[dim]hours are of one accelerator at {plan.throughput / TERA:g} TFLOP/s sustained (--throughput); "
        "operations are counted from the networks, images as published[/]",
        soft_wrap=True,
    )


def _row(plan: StudyPlan, training: Training, evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    stages = training.stages
    models, shifts = (dict.fromkeys(getattr(one, name) for one in evaluations) for name in ("model", "shift"))
    measured = ", ".join(shifts) + (f" ({len(models)} checkpoints)" if len(models) > 1 else "")
    there = training.there and all(one.there for one in evaluations)
    return (
        training.model,
        " → ".join(dict.fromkeys(f"{stage['shift']} ({stage['split']})" for stage in stages)),
        " + ".join("?" if stage["images"] is None else f"{stage['images']:,}" for stage in stages),
        " + ".join(f"{stage['operations'] / 1e9:.3g}" for stage in stages),
        "?" if training.operations is None else _hours(plan.hours([training])),
        measured or "–",
        _hours(plan.hours(evaluations)) if evaluations else "–",
        "done" if there else "trained" if training.there else "",
    )


def _total(plan: StudyPlan, runs: Sequence[Training | Evaluation]) -> str:
    unknown = sum(one.operations is None for one in runs)
    there = sum(one.there for one in runs)
    images = sum(one.images or 0 for one in runs)
    said = [
        f"{len(runs):,} ({there:,} done)",
        f"{images:,} images",
        f"{_hours(plan.hours(runs))} h, {_hours(plan.hours(runs, left=True))} h left",
        _bytes(sum(one.bytes or 0 for one in runs)),
    ]
    return ", ".join(said + ([f"{unknown:,} of unknown cost, not counted"] if unknown else []))


def _hours(hours: float) -> str:
    """``0.25``, ``12``, ``1,234``, ``<0.01``.

    >>> _hours(0.2512), _hours(12.3), _hours(1234.5), _hours(1e-6)
    ('0.25', '12', '1,234', '<0.01')
    """
    if hours < 0.01:
        return "<0.01"
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _bytes(number: int) -> str:
    """``1.2 GB``.

    >>> _bytes(1_234_000_000), _bytes(12_000)
    ('1.2 GB', '12 kB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.2g} {unit}" if number < 10 * size else f"{number / size:,.0f} {unit}"
    return f"{number / 1e3:.0f} kB"
