"""A cell while it runs: which rows it still needs, its writer, its failure."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.chunks import Wanted, geometry_of
from benchmark.faults import describe
from benchmark.metrics import evaluate
from benchmark.planning import Cell
from benchmark.predictions import Header, read_predictions, score
from benchmark.provenance import model_card, provenance
from benchmark.result import Result
from benchmark.store import CellWriter
from models_zoo.heads import lacking
from models_zoo.preprocessing import for_cropped
from models_zoo.training_data import overlap_warnings
from shifts.class_maps import best_accepted, in_shift_classes
from shifts.data import Shift
from shifts.digest import digest
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.lineup import Entrant
    from models_zoo.spec import Preprocess

    Pixels = NDArray[np.uint8]
    Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A model that answered in another process or program: what its cells record of it."""

    device_name: str
    notes: tuple[str, ...] = ()


class Track:
    """One cell in progress.

    Args:
        opened: the model, or the error that opening it gave.
        shift: likewise.

    Attributes:
        failure: set when the cell cannot be finished; it then takes no more rows.
    """

    opened: Entrant | Elsewhere
    shift: Shift
    writer: CellWriter

    def __init__(self, cell: Cell, opened: Entrant | Elsewhere | Exception, shift: Shift | Exception) -> None:
        self.cell = cell
        self.failure: Exception | None = None
        self._first = self._next = 0
        if isinstance(opened, Exception):
            self.failure = opened
            return
        if isinstance(shift, Exception):
            self.failure = shift
            return
        self.opened, self.shift = opened, shift
        with contained([self]):
            self.writer = CellWriter(cell.folder, self._header(), total=len(shift))
            self._first = self._next = self.writer.done

    @property
    def entrant(self) -> Entrant:
        """The model, to be asked."""
        assert not isinstance(self.opened, Elsewhere), "its answers were not asked for here"
        return self.opened

    def _header(self) -> Header:
        one = self.cell.contestant
        return Header(
            model=one.spec.name,
            model_digest=self.cell.model_digest,
            shift=self.shift.spec.name,
            shift_digest=self.cell.shift_digest,
            num_classes=self.shift.num_classes,
            group_columns={name: column.names for name, column in self.shift.group_columns.items()},
            provenance=provenance(device=self.opened.device_name, **one.mode),
        )

    @property
    def positions_left(self) -> Positions:
        """Rows of the source that the cell still needs."""
        return self.shift.position[self._next :]

    @property
    def rows_left(self) -> int:
        return 0 if self.failure is not None else len(self.shift) - self._next

    def pending(self, positions: Positions) -> Positions:
        """Of a batch of the source's rows, the places of those that this cell still needed when it began."""
        if self.failure is not None:
            return np.empty(0, dtype=np.int64)
        return np.searchsorted(positions, self.shift.position[self._rows(positions)])

    def _rows(self, positions: Positions) -> slice:
        """Rows of the cell in a batch; others may be on their way to ``take``."""
        bounds = np.searchsorted(self.shift.position, (positions[0], positions[-1] + 1))
        first, last = (max(int(bound), self._first) for bound in bounds)
        return slice(first, last)

    def take(self, logits: NDArray[np.float32], positions: Positions, *, keep_logits: bool) -> None:
        """Score the rows of this cell among the logits of a batch and hand them to the writer.

        Args:
            logits: float32 (B, M) for the rows ``positions`` (B,) of the source.
        """
        place = self.pending(positions)
        if not len(place):
            return  # the batch was read for other cells
        rows = self._rows(positions)
        assert rows.start == self._next, "batches come in order"
        index = np.arange(rows.start, rows.stop)
        answers = in_shift_classes(logits[place], self.shift.spec, head=self.cell.contestant.spec.label_space)
        labels = self.shift.labels[index]
        if self.shift.accepted is not None:
            labels = best_accepted(answers, [self.shift.accepted[row] for row in index.tolist()])
        columns = score(
            answers,
            labels,
            ids=[self.shift.example_ids[row] for row in index.tolist()],
            groups=self.shift.groups[index],
            group_names=list(self.shift.group_columns),
            keep_logits=keep_logits,
        )
        self.writer.append(columns)
        self._next += len(place)

    def flush(self) -> None:
        """Write the rows that wait for a full shard."""
        if hasattr(self, "writer"):
            self.writer.flush()

    def close(self, timing: Mapping[str, Any]) -> Result:
        """Finish the files and give the result, which says ``error`` when the cell failed."""
        if self.failure is None:
            with contained([self]):
                result = self._measured(timing)
                self.writer.close(result)
                return result
        with contained([self]):
            self.flush()
        result = self._result(status="error", error=describe(self.failure), provenance=dict(timing))
        try:
            from benchmark.store import write_result

            write_result(self.cell.folder, result)
        except (OSError, UserError):
            pass  # the disk that made the cell fail may refuse this, too; the caller still gets the result
        return result

    def _measured(self, timing: Mapping[str, Any]) -> Result:
        predictions = read_predictions(self.writer.finish())
        spec, model = self.shift.spec, self.cell.contestant
        measured = evaluate(
            predictions.columns(),
            min_group_size=spec.min_group_size,
            group_weights=spec.group_weights,
            further=spec.metrics,
            unit=spec.unit,
        )
        return self._result(
            status="ok",
            n=len(predictions),
            metrics=measured.metrics,
            worst_group=measured.worst_group.label if measured.worst_group else None,
            groups=tuple(group.to_json() for group in measured.groups),
            warnings=(*self._warnings(), *measured.notes),
            provenance={
                **predictions.header.provenance,
                "model": model_card(model.spec, weights=model.weights_digest, origin=model.origin),
                "seed": self.shift.spec.seed,
                "limit": self.shift.spec.limit,
                "content": self.cell.content,
                **timing,
            },
        )

    def _warnings(self) -> Iterator[str]:
        if self.shift.spec.limit is not None:
            yield f"limited: {len(self.shift)} examples, a fixed pseudo-random choice"
        yield from self.cell.notes
        yield from self.opened.notes
        model = self.cell.contestant.spec
        if unknown := lacking(model.head, self.shift.spec, label_space=model.label_space):
            yield unknown
        yield from overlap_warnings(self.cell.contestant.spec.training_data, self.shift.spec)

    def _result(self, **fields: Any) -> Result:
        shift, model = self.cell.shift, self.cell.contestant.spec
        return Result(
            model=model.name,
            model_digest=self.cell.model_digest,
            shift=shift.name,
            shift_digest=self.cell.shift_digest,
            kind=shift.kind,
            support=shift.support,
            reference=shift.reference,
            family=model.family,
            training_data=model.training_data,
            severity=shift.severity,
            **fields,
        )


@dataclass(slots=True)
class Stream:
    """Cells that see the same pixels: one perturbation of the source's images.

    Attributes:
        geometries: the cells by what their models have done to an image, and among those by model.
    """

    shift: Shift
    tracks: list[Track] = field(default_factory=list)
    geometries: dict[Preprocess, list[list[Track]]] = field(default_factory=dict)

    @property
    def perturbed(self) -> bool:
        return bool(self.shift.spec.perturbations)

    @property
    def on_device(self) -> bool:
        """Whether the images are perturbed where the models are."""
        return self.perturbed and self.tracks[0].cell.on_device

    def perturb_there(self, images: Sequence[Pixels], positions: Positions) -> list[Any]:
        """Perturbed images of some rows: tensors uint8 (H, W, 3) on the models' device."""
        from shifts.perturbations.on_device import perturb_on

        device = self.tracks[0].entrant.device
        rows = self.shift.rows(positions)
        return list(
            perturb_on("cpu" if device is None else device, self.shift.spec.perturbations, images, rows)
        )

    def refuse(self, positions: Positions, broken: Mapping[int, Exception]) -> None:
        """Let the cells fail that need an image of the batch which cannot be read."""
        for track in self.tracks if broken else ():
            hit = np.intersect1d(track.pending(positions), list(broken))
            if len(hit):
                track.failure = broken[int(hit[0])]


def places_of(tracks: Sequence[Track], positions: Positions) -> Positions:
    """Places in a batch of the source's rows that some of the cells need, rising."""
    wanted = np.zeros(len(positions), dtype=np.bool_)
    for track in tracks:
        wanted[track.pending(positions)] = True
    return np.flatnonzero(wanted)


def rows_of(tracks: Sequence[Track]) -> Wanted:
    """Rows of the source that cells need."""
    return Wanted.union(
        [
            Wanted(now=track.positions_left, ever=track.shift.position)
            for track in tracks
            if track.failure is None
        ]
    )


def streams_of(tracks: Sequence[Track]) -> list[Stream]:
    """Group cells by what they can share: pixels, then geometry, then the forward pass."""
    streams: dict[str, Stream] = {}
    for track in tracks:
        if track.failure is None:
            streams.setdefault(_pixels(track.shift), Stream(track.shift)).tracks.append(track)
    for stream in streams.values():
        geometries: dict[Preprocess, dict[int, list[Track]]] = {}
        for track in stream.tracks:
            own = for_cropped(track.entrant.spec.preprocess, stream.shift.spec.cropped)
            models = geometries.setdefault(geometry_of(own), {})
            models.setdefault(id(track.entrant), []).append(track)
        stream.geometries = {geometry: list(models.values()) for geometry, models in geometries.items()}
    return list(streams.values())


def _pixels(shift: Shift) -> str:
    """Equal for shifts whose images of the same row are equal."""
    spec = shift.spec
    by_label = any(perturbation.uses_labels for perturbation in spec.perturbations)
    return digest(
        {
            "perturbations": [
                {"function": one.function, "parameters": one.parameters} for one in spec.perturbations
            ],
            "seed": spec.seed if spec.perturbations else None,
            "classes": spec.class_indices if by_label else None,
            "num_classes": shift.num_classes if spec.perturbations else None,
            "cropped": spec.cropped,  # decides what a model does with them
        }
    )


@contextmanager
def contained(tracks: Sequence[Track]) -> Iterator[None]:
    """A failure in the block is the failure of these cells and of no other."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - recorded as the result of the cells it belongs to
        # The frames of the failed call hold its tensors: what ran out of memory would keep it all.
        traceback.clear_frames(error.__traceback__)
        for track in tracks:
            track.failure = track.failure or error
