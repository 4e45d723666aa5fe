"""A results folder and a board as many models on many shifts of ImageNet leave them, made in seconds.

Accuracies follow a line through probits with some scatter, as those of real models do. Each result has its
own numbers and, as ImageNet's do, an accuracy for every class. Predictions are as many as published; the
models share one file of them for each shift, under many names of one file on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

from benchmark.estimate import Estimate
from benchmark.groups import GroupAccuracy
from benchmark.intervals import wilson
from benchmark.predictions import Header, score
from benchmark.result import RESULT, Result
from benchmark.store import PREDICTIONS, CellWriter, Store
from leaderboard.board import BUNDLE, REPORT
from leaderboard.container import table_name, write_zip
from leaderboard.entry import ENTRY, Entry, EntryShift
from leaderboard.log import NAME, START, Line
from leaderboard.manifest import ModelCard
from leaderboard.report import Check, VerificationReport
from leaderboard.table import Answers, encode
from shifts.digest import digest
from shifts.spec import SHIFTS, ShiftSpec

# Shift → its examples, its classes, and how much harder it is than its reference, in probits.
SIZES = {
    "imagenet-val": (50_000, 1000, 0.0),
    "imagenet-val/a-classes": (10_000, 200, -0.6),
    "imagenet-val/r-classes": (10_000, 200, -0.5),
    "imagenet-val/objectnet-classes": (5_650, 113, -0.3),
    "imagenet-v2": (10_000, 1000, 0.35),
    "imagenet-v2/threshold-0.7": (10_000, 1000, 0.15),
    "imagenet-v2/top-images": (10_000, 1000, -0.1),
    "imagenet-sketch": (50_889, 1000, 1.4),
    "imagenet-a": (7_500, 200, 1.6),
    "imagenet-r": (30_000, 200, 0.7),
    "objectnet": (18_574, 113, 0.9),
    "imagenet-val/greyscale": (50_000, 1000, 0.3),
}
LIKE = 4  # distinct sets of answers that the entries of the board share
_CDF, _RNG = NormalDist().cdf, np.random.default_rng


def model_name(number: int) -> str:
    return f"made-up-{number:04d}"


def accuracy(number: int, shift: str) -> Estimate:
    """Accuracy of a model: an ability, what the shift takes, and a little of its own."""
    n, _, harder = SIZES[shift]
    ability = _RNG([1, number]).normal(0.75, 0.35)
    own = _RNG([2, number, list(SIZES).index(shift)]).normal(0, 0.05)
    return wilson(round(n * _CDF(ability - harder + own)), n)


def results_folder(root: Path, *, models: int, shrink: int = 1) -> Path:
    """Results of so many models on every shift.

    Args:
        shrink: divides the number of examples in the files of predictions.
    """
    store, kept = Store(root), root.with_name(f"{root.name}-predictions")
    for shift, (n, classes, _) in SIZES.items():
        spec, shift_digest = SHIFTS.get(shift), digest({"shift": shift})
        predictions = _predictions(kept / shift.replace("/", "--"), shift, n // shrink, classes)
        empty = '\n "groups": [],\n'
        groups = _result(0, spec, groups=tuple(_groups(n, classes))).to_json()
        block = groups[groups.index('\n "groups": [') : groups.index('\n "warnings": ')] + "\n"
        for number in range(models):
            name = model_name(number)
            folder = store.cell(name, digest({"model": name}), shift=shift, shift_digest=shift_digest)
            folder.mkdir(parents=True)
            text = _result(number, spec).to_json()
            assert text.count(empty) == 1, "the groups go where they belong"
            (folder / RESULT).write_text(text.replace(empty, block), encoding="utf-8")
            os.link(predictions, folder / PREDICTIONS)
    return root


def _result(number: int, spec: ShiftSpec, *, groups: tuple[dict[str, object], ...] = ()) -> Result:
    name, n = model_name(number), SIZES[spec.name][0]
    right = accuracy(number, spec.name)
    worst = replace(right, value=right.value / 3, low=right.low / 4, n=50, method="wilson-minimum")
    loss = Estimate(value=1.5 - right.value, low=1.4 - right.value, high=1.6, method="student-t", n=n)
    versions = {"numpy": "2.4.6", "pyarrow": "26.0.1", "torch": "2.15.0", "torchvision": "0.29.2"}
    return Result(
        status="ok",
        model=name,
        model_digest=digest({"model": name}),
        shift=spec.name,
        shift_digest=digest({"shift": spec.name}),
        kind=spec.kind,
        support=spec.support,
        reference=spec.reference,
        family="standard",
        training_data=("imagenet-train",),
        severity=spec.severity,
        n=n,
        metrics={
            "accuracy": right,
            "top5_accuracy": replace(right, value=right.high, low=right.value),
            "balanced_accuracy": replace(right, method="stratified-wilson"),
            "worst_group_accuracy": worst,
            "nll": loss,
            "brier": loss,
            "ece": replace(loss, method="bootstrap, centred"),
        },
        worst_group="class=crane bird (n=50)",
        groups=groups,
        provenance={
            "device": "cuda",
            "precision": "float32",
            "versions": versions,
            "model": {"title": name, "parameters": 25_557_032, "weights": digest({"weights": name})},
            "seed": 0,
            "limit": None,
            "content": digest({"content": spec.source}),
            "started": f"2026-11-{1 + number % 28:02d}T12:00:00+00:00",
            "pass_seconds": 100 + number / 1000,
        },
    )


def _groups(n: int, classes: int) -> Iterator[dict[str, object]]:
    size = max(n // classes, 1)
    for place in range(classes):
        right = place % (size + 1)
        yield GroupAccuracy(
            names=(f"class number {place}",),
            columns=("class",),
            n=size,
            correct=right,
            accuracy=wilson(right, size),
        ).to_json()


def _predictions(folder: Path, shift: str, n: int, classes: int) -> Path:
    names = tuple(f"class number {place}" for place in range(classes))
    header = Header(
        model="made-up",
        model_digest=digest({"model": "made-up"}),
        shift=shift,
        shift_digest=digest({"shift": shift}),
        num_classes=classes,
        group_columns={"class": names},
        provenance={},
    )
    rng, some = _RNG(3), min(n, 1024)
    labels = rng.integers(0, classes, some)
    logits = rng.normal(0, 1, (some, classes)).astype(np.float32)
    logits[np.arange(some), labels] += 3
    writer = CellWriter(folder, header, total=n)
    for start in range(0, n, some):
        part = min(some, n - start)
        ids = [f"val/image_{row:08d}.JPEG" for row in range(start, start + part)]
        columns = score(
            logits[:part], labels[:part], ids=ids, groups=labels[:part, None], group_names=["class"]
        )
        writer.append(columns)
    return writer.finish()


def board_folder(root: Path, *, entries: int, shrink: int = 1) -> Path:
    """A board with so many entries of the suite ``imagenet``, each on every shift."""
    root.mkdir(parents=True)
    bundles = []
    for like in range(min(LIKE, entries)):
        files = {
            table_name(shift): encode(_answers(like, shift, max(n // shrink, 1), classes))
            for shift, (n, classes, _) in SIZES.items()
        }
        bundles.append(root.with_name(f"{root.name}-{like}.zip"))
        write_zip(bundles[-1], files)
    previous, lines = START, []
    for number in range(entries):
        entry = _entry(number)
        folder = root / entry.id
        folder.mkdir()
        (folder / ENTRY).write_text(entry.to_json(), encoding="utf-8")
        (folder / REPORT).write_text(_report(entry), encoding="utf-8")
        os.link(bundles[number % LIKE], folder / BUNDLE)
        line = Line(
            n=number, time="2026-11-28T12:00:00+00:00", event="add", entry=entry.id, bundle=entry.bundle,
            previous=previous,
        ).sealed()  # fmt: skip
        previous = line.hash
        lines.append(line.text())
    (root / NAME).write_text("".join(lines), encoding="utf-8")
    return root


def _entry(number: int) -> Entry:
    name = model_name(number)
    card = ModelCard(
        name=name,
        title=name,
        authors=("nobody",),
        licence="MIT",
        family="standard",
        label_space="imagenet-1k",
        training_data=("imagenet-train",),
        parameters=25_557_032,
    )
    content = digest({"content": "made up"})
    shifts = tuple(
        EntryShift(
            shift=shift,
            shift_digest=SHIFTS.get(shift).digest(content),
            content=content,
            model_digest=digest({"model": name}),
            kind=SHIFTS.get(shift).kind,
            support=SHIFTS.get(shift).support,
            reference=SHIFTS.get(shift).reference,
            severity=SHIFTS.get(shift).severity,
            n=n,
            metrics={"accuracy": accuracy(number, shift)},
        )
        for shift, (n, _, _) in SIZES.items()
    )
    return Entry(
        id=f"{name}--imagenet--{digest({'bundle': name})[:8]}",
        added="2026-11-28",
        suite="imagenet",
        suite_digest=digest({"suite": "imagenet"}),
        protocol_digest=digest({"protocol": "imagenet"}),
        bundle=digest({"bundle": name}),
        model=card,
        shifts=shifts,
    )


def _report(entry: Entry) -> str:
    import json

    report = VerificationReport(
        bundle=entry.bundle,
        model=entry.model.name,
        suite=entry.suite,
        checks=(Check(name="sizes", status="passed", detail="made up"),),
        lints=(),
    )
    return json.dumps(report.to_json())


def _answers(like: int, shift: str, n: int, classes: int) -> Answers:
    rng = _RNG([4, like, list(SIZES).index(shift)])
    labels = np.arange(n) % classes
    top5 = (labels[:, None] + 1 + np.argsort(rng.random((n, min(classes - 1, 8))), axis=1)[:, :5]) % classes
    right = _RNG([5, list(SIZES).index(shift)]).random(n) < 0.5 + 0.05 * like
    top5[right, 0] = labels[right]
    probability = np.sort(rng.dirichlet(np.ones(6), n)[:, :5].astype(np.float16), axis=1)[:, ::-1]
    return Answers(
        example_ids=[f"val/image_{row:08d}.JPEG" for row in range(n)],
        labels=labels,
        top5=top5,
        top5_probability=probability.astype(np.float64),
        label_log_probability=np.log(rng.uniform(0.01, 1, n)),
        squared_probability_sum=rng.uniform(0.1, 1, n),
        groups={"class": labels},
    )
