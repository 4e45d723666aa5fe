"""Predictions of a model that ran elsewhere, as a cell like any other.

They are scored by the code that scores a run here; what they do not tell (probabilities, the five best) is
absent from the result, not made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.answer_files import AnswerFile, Chunk, open_answers
from benchmark.class_words import Columns, Words, columns_for
from benchmark.planning import Cell, Contestant
from benchmark.predictions import score, score_classes
from benchmark.store import Store
from benchmark.track import Elsewhere, Track
from models_zoo.spec import Family, ModelSpec, Preprocess
from models_zoo.training_data import official
from shifts.class_maps import NEVER, best_accepted
from shifts.data import Shift, load_examples
from shifts.digest import digest
from shifts.errors import CorruptDataError, ResultsError, UserError
from shifts.local import read_record, recorded_content
from shifts.spec import SOURCES, ShiftSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.predictions import Columns as Rows
    from benchmark.result import Result

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/+-]{0,99}")
SHOWN = 4
SUM_TOLERANCE = 1e-3  # of the probabilities of a row: they were rounded when they were written


def import_predictions(
    path: Path,
    *,
    model: str,
    shift: ShiftSpec,
    store: Store,
    family: Family = "unknown",
    training_data: Sequence[str] = (),
    classes: str | None = None,
    partial: bool = False,
    data_dir: Path | None = None,
) -> tuple[Path, Result]:
    """Score a file of answers and write the cell of the model on the shift.

    The model is who its user says it is: predictions on other shifts under the same name are its, too, so
    that its effective robustness can be told. Other answers on the same shift are refused.

    Args:
        path: CSV or Parquet (``benchmark.answer_files``).
        model: its name, free.
        classes: what columns or numbers of classes count in, where that is ambiguous: ``"shift"`` or a label
            space.
        partial: accept answers to some of the images; the result says so.

    Returns:
        The folder of the cell, and the result.

    Raises:
        UserError: the file does not answer for the shift's images; says which line, id or class.
        DataNotFoundError: the images, and with them ids and labels, are not on this machine.
    """
    if not NAME.fullmatch(model):
        raise UserError(f"a model cannot be called {model!r}", hint="letters, digits, . _ - + : / and blanks")
    file = open_answers(path)
    content = recorded_content(SOURCES.get(shift.source), shift.split, data_dir=data_dir)
    opened = Shift(shift, load_examples(shift.source, shift.split, data_dir=data_dir), content=content)
    reader = _Reader(file, opened, classes=classes)
    rows, given = reader.read()
    notes = [*_record_notes(shift, data_dir)]
    identity = opened.digest
    if not given.all():
        _check_missing(file, opened, given, partial=partial)
        rows = {name: values[given] for name, values in rows.items()}
        identity = digest({"shift": identity, "answered": rows["example_id"].tolist()})
        notes.append(f"partial: answers to {int(given.sum())} of {len(opened)} images")
        opened = opened.cut(np.flatnonzero(given))
    if reader.elsewhere:
        notes.append(f"{reader.elsewhere} answers in the file are about other images of the source")
    spec = ModelSpec(
        name=model,
        title=f"predictions made elsewhere ({file.kind})",
        label_space=reader.columns.label_space if reader.columns else shift.label_space,
        head=reader.columns.head if reader.columns else None,
        preprocess=Preprocess(),
        family=family,
        training_data=tuple(official(name) for name in training_data),
        loader="",
        arguments={"predictions": file.digest(), "answers": file.kind},
        licence="unknown",
        citation="unknown",
        source="predictions made elsewhere",
        suite=shift.reference or shift.name,
    )
    model_digest = digest({"predictions of": model})
    cell = Cell(
        contestant=Contestant(spec=spec, digest=model_digest, weights=None),
        model_digest=model_digest,
        shift=shift,
        shift_digest=identity,
        content=content,
        notes=("the model ran elsewhere; nothing is known of how the images were prepared", *notes),
        folder=store.cell(model, model_digest, shift=shift.name, shift_digest=identity),
    )
    _check_free(store, cell, str(spec.arguments["predictions"]))
    timing: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    if not given.all():
        timing["answered"] = int(given.sum())  # such a result is no rival of a full one
    return cell.folder, _written(cell, opened, rows, timing)


def _written(cell: Cell, shift: Shift, rows: Rows, timing: dict[str, Any]) -> Result:
    track = Track(cell, Elsewhere(device_name="elsewhere"), shift)
    if track.failure is None:
        kept = track.writer.done  # rows of an import that was interrupted
        track.writer.append({name: values[kept:] for name, values in rows.items()})
    result = track.close(timing)
    if track.failure is not None:
        raise track.failure
    return result


def _record_notes(shift: ShiftSpec, data_dir: Path | None) -> Iterator[str]:
    source = SOURCES.get(shift.source)
    record = None if source.bundled else read_record(source.name, data_dir=data_dir)
    if record is not None:
        from benchmark.planning import copy_notes

        yield from copy_notes(record)


def _check_missing(file: AnswerFile, shift: Shift, given: NDArray[np.bool_], *, partial: bool) -> None:
    absent = [shift.example_ids[row] for row in np.flatnonzero(~given).tolist()]
    if partial and shift.spec.unit is None and given.any():
        return
    why = (
        ""
        if not partial or not given.any()
        else f"; {shift.spec.name!r} counts sets of images, none may lack"
    )
    raise CorruptDataError(
        f"{file.path} has no answer for {len(absent)} of the {len(shift)} images of {shift.spec.name!r}: "
        f"{_some(absent)}{why}",
        hint="--partial scores what is there and says so" if not partial else "give the answers for all",
    )


def _check_free(store: Store, cell: Cell, content: str) -> None:
    known = store.finished(cell.folder)
    if known is None:
        return
    before = known.provenance.get("model", {}).get("arguments", {}).get("predictions")
    if before != content:
        raise ResultsError(
            f"other predictions of {known.model!r} on {known.shift!r} were imported into {cell.folder}",
            hint="give the model another --model name, or remove that folder",
        )


class _Reader:
    """Puts the answers of a file into the order of the shift, scored."""

    def __init__(self, file: AnswerFile, shift: Shift, *, classes: str | None) -> None:
        self.file, self.shift = file, shift
        self.columns: Columns | None = None
        self.elsewhere = 0
        self._declared = classes
        self._exact, self._names = _index(shift.example_ids)
        self._others = set(shift.base.ids) - set(self._exact) if len(shift.base.ids) > len(shift) else set()
        self._words: Words | None = None
        if file.kind == "classes":
            self._words = Words(shift.spec, label_space=shift.spec.label_space, numbers=classes)

    def read(self) -> tuple[Rows, NDArray[np.bool_]]:
        """The columns of predictions with a row for every example, and which rows were answered."""
        rows: Rows = {}
        line = np.zeros(len(self.shift), dtype=np.int64)
        for chunk in self.file.chunks():
            place, kept = self._places(chunk, line)
            if not len(place):
                continue
            for name, values in self._scored(chunk, place, kept).items():
                if name not in rows:
                    rows[name] = np.empty((len(self.shift), *values.shape[1:]), dtype=values.dtype)
                rows[name][place] = values
        return rows, line > 0

    def _places(self, chunk: Chunk, line: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the shift that a chunk is about, and which of its rows these are."""
        place, kept = [], []
        for offset, name in enumerate(chunk.ids):
            number = chunk.first + offset
            row = self._row(name, number)
            if row is None:
                self.elsewhere += 1
                continue
            if line[row]:
                raise self.file.fault(
                    number, f"id {name!r} was answered before, in {self.file.unit} {line[row]}"
                )
            line[row] = number
            place.append(row)
            kept.append(offset)
        return np.array(place, dtype=np.int64), np.array(kept, dtype=np.int64)

    def _row(self, name: str, number: int) -> int | None:
        if name in self._exact:
            return self._exact[name]
        if name in self._others:
            return None  # an image of the source, not of this shift
        rows = self._names.get(_stem(name), ())
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise self.file.fault(
                number,
                f"id {name!r} may be {_some([self.shift.example_ids[row] for row in rows])}",
            )
        raise self.file.fault(
            number,
            f"id {name!r} is none of {self.shift.spec.name!r}, whose ids look like "
            f"{self.shift.example_ids[0]!r}",
        )

    def _scored(self, chunk: Chunk, place: NDArray[np.int64], kept: NDArray[np.int64]) -> Rows:
        shift = self.shift
        of_rows: dict[str, Any] = {
            "ids": [shift.example_ids[row] for row in place.tolist()],
            "groups": shift.groups[place],
            "group_names": list(shift.group_columns),
        }
        labels = shift.labels[place]
        accepted = None if shift.accepted is None else [shift.accepted[row] for row in place.tolist()]
        if not isinstance(chunk.values, np.ndarray):
            top = self._classes(chunk, kept)
            if accepted is not None:
                labels = np.array(
                    [_first_accepted(*pair) for pair in zip(top.tolist(), accepted, strict=True)]
                )
            return score_classes(top, labels, num_classes=shift.num_classes, **of_rows)
        values = chunk.values[kept]
        if self.columns is None:
            self.columns = columns_for(
                shift.spec, values.shape[1], names=self.file.classes, declared=self._declared
            )
        if self.file.kind == "probabilities":
            values = self._as_logits(values, chunk.first + kept)
        answers = self.columns.convert(values)
        if self.file.kind == "logits":
            answers = answers.astype(np.float32)  # as every model here gives them
        if accepted is not None:
            labels = best_accepted(answers.astype(np.float32), accepted)
        return score(answers, labels, **of_rows)

    def _as_logits(self, values: NDArray[np.float64], numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Logarithms: the one choice of logits up to a constant, whose softmax the probabilities are."""
        off = ((values < 0) | (values > 1)).any(axis=1) | (np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE)
        if off.any():
            bad = int(np.flatnonzero(off)[0])
            raise self.file.fault(
                int(numbers[bad]),
                f"its {values.shape[1]} values are no probabilities: they lie in "
                f"[{values[bad].min():.4g}, {values[bad].max():.4g}] and sum to {values[bad].sum():.6g}",
            )
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(values), float(NEVER))

    def _classes(self, chunk: Chunk, kept: NDArray[np.int64]) -> NDArray[np.int64]:
        assert self._words is not None, "made for a file of classes"
        width = 0
        top = []
        for offset in kept.tolist():
            words = chunk.values[offset]
            try:
                places = [self._words.place(word) for word in words]
            except UserError as error:
                fault = self.file.fault(chunk.first + offset, error.message)
                raise type(error)(fault.message, hint=error.hint or fault.hint) from error
            width = width or len(places)
            if (
                len(places) != width
                or len(set(places)) != width
                or width not in (1, min(5, self.shift.num_classes))
            ):
                raise self.file.fault(
                    chunk.first + offset, f"{len(places)} best classes, not 1 or 5 different ones"
                )
            top.append(places)
        return np.array(top, dtype=np.int64)


def _index(ids: Sequence[str]) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Rows by id, and by the file's name in it."""
    names: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        names.setdefault(_stem(name), []).append(row)
    return {name: row for row, name in enumerate(ids)}, names


def _stem(name: str) -> str:
    """The file's name without folders and without the ending of an image."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"\.(jpe?g|png|bmp|webp|gif|tiff?)$", "", last, flags=re.IGNORECASE)


def _first_accepted(top: Sequence[int], accepted: Sequence[int]) -> int:
    return next((one for one in top if one in accepted), accepted[0])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
