"""One pass: the images once, every perturbation once, every model; predictions streamed to disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmark.claiming import claimed
from benchmark.memory import Fitting
from benchmark.planning import Cell, Pass
from benchmark.reading import Chunk, Reader, Wanted, workers_for
from benchmark.store import finished_result
from benchmark.track import Stream, Track, contained, places_of, rows_of, streams_of
from models_zoo.loading import load_spec
from models_zoo.preprocessing import prepare
from shifts.data import Examples, Shift, load_examples
from shifts.labels import ANY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.result import Result
    from models_zoo.classifier import Classifier
    from models_zoo.spec import Preprocess

    Positions = NDArray[np.int64]

Progress = Callable[[int, int], None]
Notice = Callable[[str], None]
BATCH_SIZE = 256
PATIENCE = 0.5  # seconds between two looks whether another process is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run; nothing here moves a number beyond the last bits of a float.

    Attributes:
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
        batch_size: images in one forward pass.
        workers: threads that decode ahead of the models; None takes as many as the cores suggest.
        keep_logits: store float16 logits beside the predictions.
        data_dir: where local copies lie, if not in the cache.
        image_cache: True keeps prepared images for the next run, False neither keeps nor takes any; None
            takes what is kept, and keeps what several models have seen.
    """

    device: str = "auto"
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    keep_logits: bool = False
    data_dir: Path | None = None
    image_cache: bool | None = None


def run_pass(
    work: Pass, *, options: Options, progress: Progress | None = None, notice: Notice | None = None
) -> Iterator[Result]:
    """Run the cells of a pass and yield their results as they are written.

    A failed cell becomes a result with status ``error``; the others go on. Cells that another process is
    measuring in the same folder come last: with its result, or measured here if it has given up.

    Args:
        progress: called with (rows done, rows in all), a row being one image for one model.
        notice: called with a sentence for the user where the run has to wait.

    Raises:
        UserError: the images cannot be opened at all.
    """
    left = list(work.cells)
    waited = False
    while left:
        with claimed(left) as ours:
            found = {cell.folder: result for cell in ours if (result := finished_result(cell.folder))}
            yield from found.values()
            if missing := [cell for cell in ours if cell.folder not in found]:
                yield from _measured(replace(work, cells=tuple(missing)), options=options, progress=progress)
        taken = {cell.folder for cell in ours}
        left = [cell for cell in left if cell.folder not in taken]
        if left and not ours:
            if notice is not None and not waited:
                notice(f"another process is measuring {len(left)} of the evaluations: waiting for it")
            waited = True
            time.sleep(PATIENCE)


def _measured(work: Pass, *, options: Options, progress: Progress | None) -> Iterator[Result]:
    """Measure the cells of a pass, all of them claimed."""
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    examples = load_examples(work.source, work.split, data_dir=options.data_dir)
    tracks = open_tracks(work.cells, examples, options=options)
    fitting = answer(tracks, examples, content=work.cells[0].content, options=options, progress=progress)
    timing = {"started": started, "pass_seconds": round(time.perf_counter() - clock, 3)}
    for track in tracks:
        cut = None if track.failure is not None else fitting.largest(track.classifier)
        yield track.close(timing if cut is None else {**timing, "batch_size": cut})


def answer(
    tracks: Sequence[Track],
    examples: Examples,
    *,
    content: str,
    options: Options,
    progress: Progress | None = None,
    grid: Positions | None = None,
) -> Fitting:
    """Let the models answer for every row that the tracks still need.

    Args:
        content: the content digest of the examples.
        grid: as for ``Reader.chunks``.
    """
    streams, fitting = streams_of(tracks), Fitting()
    reader = _reader(streams, examples, content=content, options=options)
    try:
        _evaluate(tracks, reader, streams, options=options, fitting=fitting, progress=progress, grid=grid)
    except BaseException:
        # Ctrl-C and the like: what was measured since the last shard stays, too.
        for track in tracks:
            with contained([track]):
                track.flush()
        raise
    finally:
        reader.close()
    return fitting


def _reader(streams: Sequence[Stream], examples: Examples, *, content: str, options: Options) -> Reader:
    """What the streams need of the images: decoded for perturbations, prepared for the models otherwise."""
    live = [track for stream in streams for track in stream.tracks]
    several = len({id(track.classifier) for track in live}) > 1
    forms: dict[Preprocess, list[Wanted]] = {}
    for stream in streams:
        for geometry, models in () if stream.perturbed else stream.geometries.items():
            forms.setdefault(geometry, []).append(rows_of([track for one in models for track in one]))
    return Reader(
        examples,
        content=content,
        decoded=Wanted.union([rows_of(stream.tracks) for stream in streams if stream.perturbed]),
        geometries={geometry: Wanted.union(parts) for geometry, parts in forms.items()},
        cached=options.image_cache is not False,
        fill=several if options.image_cache is None else options.image_cache,
    )


def _evaluate(
    tracks: Sequence[Track],
    reader: Reader,
    streams: Sequence[Stream],
    *,
    options: Options,
    fitting: Fitting,
    progress: Progress | None,
    grid: Positions | None = None,
) -> None:
    """The loop. A failure inside a block ends the cells the block works for, and no other."""
    total = sum(track.rows_left for track in tracks)
    live = [track.classifier.device_name for stream in streams for track in stream.tracks]
    for chunk in reader.chunks(options.batch_size, workers=options.workers or workers_for(live), grid=grid):
        for stream in streams:
            stream.refuse(chunk.positions, chunk.broken)
            with contained(stream.tracks):
                for models, batch, positions in _batches(stream, chunk):
                    for of_model in models:
                        _predict(of_model, batch, positions, fitting=fitting, options=options)
        if progress is not None:
            progress(total - sum(track.rows_left for track in tracks), total)
        if all(track.failure is not None for track in tracks):
            return  # nobody is left to read images for


def _batches(stream: Stream, chunk: Chunk) -> Iterator[tuple[list[list[Track]], torch.Tensor, Positions]]:
    """The models of a stream by geometry, each time with what they see and the rows it belongs to."""
    rows = places_of(stream.tracks, chunk.positions)
    if not len(rows):
        return
    seen = None
    if stream.perturbed:
        seen = stream.shift.perturb([chunk.images[row] for row in rows.tolist()], chunk.positions[rows])
    for geometry, models in stream.geometries.items():
        tracks = [track for of_model in models for track in of_model]
        own = chunk.positions[places_of(tracks, chunk.positions) if seen is None else rows]
        if not len(own):
            continue
        with contained(tracks):
            batch = chunk.batch(geometry, own) if seen is None else prepare(seen, geometry)
            yield models, batch, own


def _predict(
    tracks: Sequence[Track], batch: torch.Tensor, positions: Positions, *, fitting: Fitting, options: Options
) -> None:
    """One forward pass for all cells of a model that see this batch."""
    live = [track for track in tracks if track.failure is None]
    if not live:
        return
    with contained(live):
        logits = fitting.logits(live[0].classifier, batch)
        for track in live:
            with contained([track]):
                track.take(logits, positions, keep_logits=options.keep_logits)


def open_tracks(
    cells: Sequence[Cell],
    examples: Examples,
    *,
    options: Options,
    load: Callable[..., Classifier] = load_spec,
    shift_of: Callable[[Cell], Shift] | None = None,
) -> list[Track]:
    """Open what the cells need; cells share models and shifts, and their failures.

    Args:
        load: called as ``models_zoo.loading.load_spec``.
        shift_of: gives a cell's shift, or a part of it; None opens it whole.
    """
    classifiers: dict[tuple[str, str], Classifier | Exception] = {}
    shifts: dict[str, Shift | Exception] = {}
    tracks = []
    for cell in cells:
        spec = cell.contestant.spec
        space = cell.shift.label_space if spec.label_space == ANY else ""
        key = (cell.model_digest, space)
        if key not in classifiers:
            classifiers[key] = _attempt(
                load,
                spec,
                cell.contestant.weights,
                label_space=space or None,
                device=options.device,
                precision=cell.contestant.precision,
            )
        if shift_of is not None:
            tracks.append(Track(cell, classifiers[key], _attempt(shift_of, cell)))
            continue
        if cell.shift_digest not in shifts:
            shifts[cell.shift_digest] = _attempt(Shift, cell.shift, examples, content=cell.content)
        tracks.append(Track(cell, classifiers[key], shifts[cell.shift_digest]))
    return tracks


def _attempt(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return make(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - becomes the result of the cells that need this, and only theirs
        return error
