"""Stored predictions by model and shift: what ``compare``, ``agreement`` and the plots start from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.heads import latest
from benchmark.predictions import Predictions, read_predictions
from benchmark.result import Result
from benchmark.store import PREDICTIONS, Store, has_predictions
from shifts.digest import SHORT
from shifts.errors import ResultsError, UnknownNameError
from shifts.registry import matches
from shifts.spec import SHIFTS


def measured(store: Store) -> list[tuple[Path, Result]]:
    """Every finished cell of a results folder, one for each model and shift.

    Raises:
        ResultsError: there is none.
    """
    found = finished(latest(store.results()))
    if not found:
        raise ResultsError(
            f"there are no finished evaluations in {store.place}",
            hint="robustbench-shift eval --model digits-cnn",
        )
    return found


def finished(results: Iterable[tuple[Path, Result]]) -> list[tuple[Path, Result]]:
    """Those that were measured and have their predictions."""
    return [
        (folder, result) for folder, result in results if result.status == "ok" and has_predictions(folder)
    ]


def cell(found: Sequence[tuple[Path, Result]], model: str, shift: str) -> tuple[Path, Result]:
    """The cell of a model, by ``name`` or ``name@digest``, on a shift.

    Raises:
        UnknownNameError: nothing of this name was evaluated.
        ResultsError: not on this shift, or several models of this name were.
    """
    name, _, digest = model.partition("@")
    of_model = [pair for pair in found if pair[1].model == name and pair[1].model_digest.startswith(digest)]
    if not of_model:
        known = sorted({pair[1].model for pair in found})
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        raise UnknownNameError(
            f"no model {model!r} among the results",
            hint=f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known[:20])}",
        )
    cells = [pair for pair in of_model if pair[1].shift == shift]
    if not cells:
        raise ResultsError(
            f"{model} is not evaluated on {shift!r}",
            hint=f"robustbench-shift eval --model {name} --shift {shift}",
        )
    if len(cells) > 1:
        listed = ", ".join(f"{name}@{pair[1].model_digest[:SHORT]}" for pair in cells)
        raise ResultsError(f"there are several models called {name!r}", hint=f"say which: {listed}")
    return cells[0]


def shifts_of(found: Sequence[tuple[Path, Result]], patterns: Sequence[str]) -> list[str]:
    """Names of the evaluated shifts that match, in the order of the patterns.

    Raises:
        UnknownNameError: a pattern that matches none.
    """
    known = sorted({result.shift for _, result in found})
    chosen: dict[str, None] = {}
    for pattern in patterns:
        # A name is that shift alone; only where nothing is called so is it the beginning of others.
        hits = [pattern] if pattern in known else [name for name in known if matches(name, pattern)]
        if not hits:
            near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.5)
            raise UnknownNameError(
                f"no evaluated shift is called {pattern!r}",
                hint=f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known[:20])}",
            )
        chosen.update(dict.fromkeys(hits))
    return list(chosen)


def unit_of(shift: str) -> str | None:
    """The column whose values a registered shift counts instead of examples, or None."""
    spec = SHIFTS.find(shift)
    return None if spec is None else spec.unit


def answers(
    found: Sequence[tuple[Path, Result]], reference: str, shift: str, *, models: Sequence[str] = ("*",)
) -> tuple[list[Result], dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Predictions of all models that were evaluated on both, over the examples that all of them have.

    Args:
        found: from ``measured``.
        reference, shift: names.
        models: patterns of the models to take.

    Returns:
        The models' results on the shift, and for both names the predictions int64 (M, N) with labels (N,).
    """
    by_model: dict[str, dict[str, tuple[Path, Result]]] = {}
    for folder, result in found:
        if result.shift in (reference, shift) and any(matches(result.model, one) for one in models):
            by_model.setdefault(result.model_digest, {})[result.shift] = (folder, result)
    both = [cells for cells in by_model.values() if len(cells) == 2]
    both.sort(key=lambda cells: (cells[shift][1].model, cells[shift][1].model_digest))
    stacked = {}
    for name in (reference, shift):
        files = [read_predictions(cells[name][0] / PREDICTIONS) for cells in both]
        stacked[name] = _common(files) if files else (np.zeros((0, 0), np.int64), np.zeros(0, np.int64))
    return [cells[shift][1] for cells in both], stacked


def _common(files: Sequence[Predictions]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = list(files[0].example_ids)
    if all(list(one.example_ids) == first for one in files[1:]):
        return np.stack([one.prediction for one in files]), files[0].labels
    shared = set(first).intersection(*(one.example_ids for one in files[1:]))
    order = [example for example in first if example in shared]
    rows = []
    for one in files:
        place = {example: row for row, example in enumerate(one.example_ids)}
        rows.append(one.prediction[[place[example] for example in order]])
    place = {example: row for row, example in enumerate(first)}
    return np.stack(rows), files[0].labels[[place[example] for example in order]]
