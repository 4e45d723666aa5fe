"""A results folder with planted answers: what the commands read, without a model or an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.metrics import evaluate
from benchmark.predictions import Header, read_predictions, score
from benchmark.result import Result
from benchmark.store import CellWriter, Store
from shifts.digest import digest

MODELS = {"weak": 0.2, "fair": 0.6, "good": 1.0, "best": 1.4, "odd": 0.8}
# Shift → kind, how much harder it is, severity.
SHIFTS: dict[str, tuple[str, float, int | None]] = {
    "digits": ("reference", 0.0, None),
    "digits/unseen-tint": ("synthetic", 0.3, None),
    "digits/spurious-tint": ("spurious", 0.2, None),
    "digits/fog/1": ("corruption", 0.2, 1),
    "digits/fog/2": ("corruption", 0.5, 2),
    "digits/fog/3": ("corruption", 0.9, 3),
    "digits/contrast/1": ("corruption", 0.1, 1),
    "digits/contrast/2": ("corruption", 0.4, 2),
    "digits/contrast/3": ("corruption", 0.7, 3),
}
CLASSES = 6


def make(root: Path, *, models: dict[str, float] | None = None, n: int = 300) -> Path:
    """Write the results of every model on every shift; ``odd`` is more robust than the others."""
    store = Store(root)
    for place, (model, ability) in enumerate((models or MODELS).items()):
        for number, (shift, (kind, harder, severity)) in enumerate(SHIFTS.items()):
            images = np.random.default_rng(100 + number)
            hardness, labels = images.normal(0, 0.7, n), images.integers(0, CLASSES, n)
            rng = np.random.default_rng([place, number])
            drop = harder / 3 if model == "odd" else harder
            right = ability - drop - hardness + rng.normal(0, 0.5, n) > 0
            wrong = (labels + 1 + rng.integers(0, CLASSES - 1, n)) % CLASSES
            said = np.where(right, labels, wrong)
            logits = rng.normal(0, 0.5, (n, CLASSES)).astype(np.float32)
            logits[np.arange(n), said] = 2 + rng.gamma(2, 1, n)
            _write(store, model, shift, kind=kind, severity=severity, logits=logits, labels=labels)
    return root


def _write(
    store: Store,
    model: str,
    shift: str,
    *,
    kind: str,
    severity: int | None,
    logits: np.ndarray,
    labels: np.ndarray,
) -> None:
    model_digest, shift_digest = digest({"model": model}), digest({"shift": shift})
    names = tuple(str(i) for i in range(CLASSES))
    header = Header(
        model=model,
        model_digest=model_digest,
        shift=shift,
        shift_digest=shift_digest,
        num_classes=CLASSES,
        group_columns={"class": names},
        provenance={},
    )
    folder = store.cell(model, model_digest, shift=shift, shift_digest=shift_digest)
    writer = CellWriter(folder, header, total=len(labels))
    ids = [f"{i:04d}" for i in range(len(labels))]
    writer.append(
        score(logits, labels, ids=ids, groups=labels[:, None].astype(np.int64), group_names=["class"])
    )
    metrics = evaluate(read_predictions(writer.finish()).columns(), min_group_size=10)
    reference = None if kind == "reference" else "digits"
    writer.close(
        Result(
            status="ok",
            model=model,
            model_digest=model_digest,
            shift=shift,
            shift_digest=shift_digest,
            kind=kind,
            support="in" if kind == "reference" else "out",
            reference=reference,
            family="standard",
            training_data=("digits",),
            severity=severity,
            n=len(labels),
            metrics=metrics.metrics,
            worst_group=metrics.worst_group.label if metrics.worst_group else None,
            groups=tuple(group.to_json() for group in metrics.groups),
        )
    )
