"""One pass: the images once, every perturbation once, every model; predictions streamed to disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.batches import batches_of
from benchmark.chunks import Wanted
from benchmark.claiming import claimed
from benchmark.gpu_decoding import GpuDecoder
from benchmark.lineup import Entrant, Lineup
from benchmark.planning import Cell, Pass
from benchmark.reading import Reader, workers_for
from benchmark.store import finished_result
from benchmark.track import Stream, Track, contained, rows_of, streams_of
from benchmark.turns import Turns
from models_zoo.devices import pick_device
from models_zoo.loading import load_spec
from shifts.data import Examples, Shift, load_examples
from shifts.digest import digest
from shifts.errors import UserError
from shifts.labels import ANY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.result import Result
    from models_zoo.spec import Preprocess

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]

Models = dict[tuple[str, str], Entrant | Exception]
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
        model_memory: bytes of weights that may be in memory at once, None for half of what is free.
    """

    device: str = "auto"
    batch_size: int = BATCH_SIZE
    workers: int | None = None
    keep_logits: bool = False
    data_dir: Path | None = None
    image_cache: bool | None = None
    model_memory: int | None = None


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
    lineup = lineup_for(options)
    with ThreadPoolExecutor(1, thread_name_prefix="images") as pool:
        # The files of a large source are looked up while weights are read.
        opening = pool.submit(load_examples, work.source, work.split, data_dir=options.data_dir)
        models = open_models(work.cells, lineup=lineup, options=options)
        examples = opening.result()
    tracks = open_tracks(work.cells, examples, models)
    turns = answer(
        tracks,
        examples,
        lineup=lineup,
        content=work.cells[0].content,
        options=options,
        progress=progress,
    )
    timing = {"started": started, "pass_seconds": round(time.perf_counter() - clock, 3)}
    for track in tracks:
        yield track.close({**timing, **({} if track.failure is not None else turns.cost(track.entrant))})


def lineup_for(options: Options) -> Lineup:
    """An empty line-up; where the device is not there, the models say so one by one."""
    try:
        device = pick_device(options.device)
    except UserError:
        device = "cpu"
    return Lineup(room=options.model_memory, device=device)


def answer(
    tracks: Sequence[Track],
    examples: Examples,
    *,
    lineup: Lineup,
    content: str,
    options: Options,
    progress: Progress | None = None,
    grid: Positions | None = None,
) -> Turns:
    """Let the models answer for every row that the tracks still need.

    Args:
        content: the content digest of the examples.
        grid: as for ``Reader.chunks``.
    """
    streams = streams_of(tracks)
    groups = lineup.groups({id(one): one for one in _entrants(streams)}.values())
    turns = Turns(lineup, groups, keep_logits=options.keep_logits)
    reader = _reader(streams, examples, content=content, options=options)
    try:
        _evaluate(tracks, reader, streams, turns, options=options, progress=progress, grid=grid)
    except BaseException:
        # Ctrl-C and the like: what was measured since the last shard stays, too.
        turns.close()
        for track in tracks:
            with contained([track]):
                track.flush()
        raise
    finally:
        turns.close()
        reader.close()
    return turns


def _entrants(streams: Sequence[Stream]) -> list[Entrant]:
    return [track.entrant for stream in streams for track in stream.tracks]


def _reader(streams: Sequence[Stream], examples: Examples, *, content: str, options: Options) -> Reader:
    """What the streams need of the images: decoded for perturbations, prepared for the models otherwise."""
    live = _entrants(streams)
    several = len(set(map(id, live))) > 1
    gpu = next((one.gpu for one in live if one.gpu is not None), None)
    decoder = None
    if any(track.cell.nvjpeg for stream in streams for track in stream.tracks):
        decoder = GpuDecoder(gpu)
        content = digest({"content": content, "decoder": decoder.version})
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
        pin=gpu is not None,
        decoder=decoder,
    )


def _evaluate(
    tracks: Sequence[Track],
    reader: Reader,
    streams: Sequence[Stream],
    turns: Turns,
    *,
    options: Options,
    progress: Progress | None,
    grid: Positions | None = None,
) -> None:
    """The loop. A failure inside a block ends the cells the block works for, and no other."""
    total = sum(track.rows_left for track in tracks)
    workers = options.workers or workers_for(one.device_name for one in _entrants(streams))
    for chunk in reader.chunks(options.batch_size, workers=workers, grid=grid):
        for stream in streams:
            stream.refuse(chunk.positions, chunk.broken)
            with contained(stream.tracks):
                for models, batch, positions in batches_of(stream, chunk):
                    turns.take(models, batch, positions)
        if progress is not None:
            progress(total - sum(track.rows_left for track in tracks), total)
        if all(track.failure is not None for track in tracks):
            return  # nobody is left to read images for
    turns.finish()
    if progress is not None:
        progress(total - sum(track.rows_left for track in tracks), total)


def open_models(cells: Sequence[Cell], *, lineup: Lineup, options: Options) -> Models:
    """The models of cells, or why one cannot be opened.

    Args:
        lineup: takes the models, or has them from before.
    """
    models: Models = {}
    for cell in cells:
        one = cell.contestant
        key = _model_of(cell)
        if key not in models:
            load = partial(
                load_spec,
                one.spec,
                one.weights,
                label_space=key[1] or None,
                device=options.device,
                precision=one.precision,
            )
            models[key] = _attempt(lineup.enter, key, load, weights=one.weights, compiled=one.compiled)
    return models


def _model_of(cell: Cell) -> tuple[str, str]:
    """A model as it is opened for a cell: those for any label space take that of the shift."""
    return cell.model_digest, cell.shift.label_space if cell.contestant.spec.label_space == ANY else ""


def open_tracks(
    cells: Sequence[Cell],
    examples: Examples,
    models: Models,
    *,
    shift_of: Callable[[Cell], Shift] | None = None,
) -> list[Track]:
    """Open what the cells need; cells share models and shifts, and their failures.

    Args:
        models: of all of them, from ``open_models``.
        shift_of: gives a cell's shift, or a part of it; None opens it whole.
    """
    shifts: dict[str, Shift | Exception] = {}
    tracks = []
    for cell in cells:
        model = models[_model_of(cell)]
        if shift_of is not None:
            tracks.append(Track(cell, model, _attempt(shift_of, cell)))
            continue
        if cell.shift_digest not in shifts:
            shifts[cell.shift_digest] = _attempt(Shift, cell.shift, examples, content=cell.content)
        tracks.append(Track(cell, model, shifts[cell.shift_digest]))
    return tracks


def _attempt(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return make(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - becomes the result of the cells that need this, and only theirs
        return error
