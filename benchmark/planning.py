"""Which cells are missing, and which of them can share one read of the images. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.ordering import in_order
from benchmark.result import Result
from benchmark.store import Store
from models_zoo.compiling import VERSION as COMPILER
from models_zoo.prompts import prompts_for
from models_zoo.spec import ModelSpec
from shifts.digest import digest
from shifts.errors import LabelSpaceError
from shifts.labels import ANY
from shifts.local import is_ready, recorded_content
from shifts.perturbations.on_device import VERSION, has_twin
from shifts.spec import SHIFTS, SOURCES, ShiftSpec

if TYPE_CHECKING:
    from shifts.local import Record

COMPILED = "run through torch.compile: logits differ in their last bits from those of the plain network"
NVJPEG = "decoded by nvJPEG: pixels differ from those that published numbers were measured on"
ON_DEVICE = "perturbed on the device: a few values in ten thousand differ from the reference by a level"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A model with the weights it will be run with.

    Attributes:
        digest: over everything that can move a logit, but for the classes a zero-shot model is asked about.
        weights: the file, or None for a model without one.
        weights_digest: its SHA-256.
        origin: where the file came from, as plain data.
        precision, compiled: how it will be run; they are in the digest.
    """

    spec: ModelSpec
    digest: str
    weights: Path | None
    weights_digest: str | None = None
    origin: Mapping[str, Any] | None = None
    precision: str = "float32"
    compiled: bool = False

    @property
    def mode(self) -> dict[str, Any]:
        """How it is run, as the provenance of its results says it."""
        return {"precision": self.precision, **({"compiled": COMPILER} if self.compiled else {})}

    def digest_in(self, label_space: str) -> str:
        """The digest with class names and prompts in it, where the model answers in any classes."""
        if self.spec.label_space != ANY:
            return self.digest
        prompts = prompts_for(self.spec, label_space)
        return digest(
            {"model": self.digest, "class_names": prompts.class_names, "templates": prompts.templates}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model on one shift, and where its files go.

    Attributes:
        notes: on the local copy of the images, on how they are perturbed and how the model is run.
        on_device: perturb where the model runs (``shifts.perturbations.on_device``).
        nvjpeg: decode on the GPU (``benchmark.gpu_decoding``).
    """

    contestant: Contestant
    model_digest: str
    shift: ShiftSpec
    shift_digest: str
    content: str
    notes: tuple[str, ...]
    folder: Path
    on_device: bool = False
    nvjpeg: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Cells over the same split of the same source: its images are read once for all of them."""

    source: str
    split: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``finished`` holds what is on disk already, by cell; ``passes`` what has to run."""

    cells: tuple[Cell, ...]
    finished: dict[Path, Result]
    passes: tuple[Pass, ...]


def contestant(
    spec: ModelSpec, *, weights: Path | None, precision: str = "float32", compiled: bool = False
) -> Contestant:
    """Fix the weights of a model, and how it is run. The file must be there: train or fetch it first."""
    from models_zoo.weights import weights_digest, weights_origin

    content = None if weights is None else weights_digest(weights)
    identity = spec.digest(content)
    if precision != "float32":
        identity = digest({"model": identity, "precision": precision})
    if compiled:
        identity = digest({"model": identity, "compiled": COMPILER})
    return Contestant(
        spec=spec,
        digest=identity,
        weights=weights,
        weights_digest=content,
        origin=None if weights is None else weights_origin(spec, weights),
        precision=precision,
        compiled=compiled,
    )


def with_references(shifts: Iterable[ShiftSpec], *, data_dir: Path | None = None) -> list[ShiftSpec]:
    """The shifts, each after its reference where that is at hand: effective robustness needs it."""
    wanted: dict[str, ShiftSpec] = {}
    for shift in shifts:
        if shift.reference is not None:
            reference = SHIFTS.get(shift.reference)
            if is_ready(SOURCES.get(reference.source), reference.split, data_dir=data_dir):
                wanted.setdefault(reference.name, replace(reference, limit=shift.limit))
        wanted.setdefault(shift.name, shift)
    return list(wanted.values())


def fits(model: ModelSpec, shift: ShiftSpec) -> bool:
    """Whether the model's classes are those of the shift, or can be pooled into them."""
    pooled = () if shift.pooling is None else (shift.pooling.label_space,)
    return model.label_space in (ANY, shift.label_space, *pooled)


def check_label_space(model: ModelSpec, shift: ShiftSpec) -> None:
    """Refuse a model whose head does not know the shift's classes, before an image is read.

    Raises:
        LabelSpaceError: names both label spaces; or the user's own class names are not one for each class.
        UserError: the user's own templates are none.
    """
    if model.label_space == ANY:
        prompts_for(model, shift.label_space)
    if not fits(model, shift):
        raise LabelSpaceError(
            f"{model.name!r} answers in the classes of {model.label_space!r}, "
            f"{shift.name!r} asks for those of {shift.label_space!r}",
            hint=f"the model's own suite is {model.suite!r}; list shifts shows the classes of each shift",
        )


def perturbed_on_device(shift: ShiftSpec) -> bool:
    """Whether a device would do something of the shift's perturbations itself."""
    return any(has_twin(perturbation) for perturbation in shift.perturbations)


def copy_notes(record: Record) -> tuple[str, ...]:
    """What a reader of a result has to know of the local copy."""
    partial = "partial: the local copy of the images has fewer examples than published, or other ones"
    return (*([partial] if record.partial else []), *record.notes)


def plan(
    contestants: Sequence[Contestant],
    shifts: Sequence[ShiftSpec],
    *,
    store: Store,
    data_dir: Path | None = None,
    skip_unfit: bool = False,
    on_device: bool = False,
    nvjpeg: bool = False,
) -> Plan:
    """Cells of every model on every shift, without those that are finished on disk.

    Args:
        skip_unfit: leave out pairs whose label spaces do not fit instead of refusing them: for models that
            each come with a suite of their own.
        on_device: perturb images on the models' device; what differs by that has digests of its own.
        nvjpeg: decode files on the GPU; likewise, for all sources that are not bundled.

    Raises:
        LabelSpaceError: a model does not fit a shift.
        DataNotFoundError: a shift's images are not on this machine.
    """
    from shifts.local import read_record

    cells: list[Cell] = []
    for shift in shifts:
        fitting = [one for one in contestants if not skip_unfit or fits(one.spec, shift)]
        for one in fitting:
            check_label_space(one.spec, shift)
        source = SOURCES.get(shift.source)
        content = recorded_content(source, shift.split, data_dir=data_dir)
        record = None if source.bundled else read_record(source.name, data_dir=data_dir)
        identity, there = shift.digest(content), on_device and perturbed_on_device(shift)
        if there:
            identity = digest({"shift": identity, "on_device": VERSION})
        if by_gpu := nvjpeg and not source.bundled:
            identity = digest({"shift": identity, "decoder": "nvjpeg"})
        notes = () if record is None else copy_notes(record)
        notes = (*notes, *([ON_DEVICE] if there else []), *([NVJPEG] if by_gpu else []))
        cells += [
            Cell(
                contestant=one,
                model_digest=(model_digest := one.digest_in(shift.label_space)),
                shift=shift,
                shift_digest=identity,
                content=content,
                notes=(*notes, *([COMPILED] if one.compiled else [])),
                folder=store.cell(one.spec.name, model_digest, shift=shift.name, shift_digest=identity),
                on_device=there,
                nvjpeg=by_gpu,
            )
            for one in fitting
        ]
    finished = {cell.folder: found for cell in cells if (found := store.finished(cell.folder)) is not None}
    missing = in_order(cell for cell in cells if cell.folder not in finished)
    passes = tuple(
        Pass(source=group[0].shift.source, split=group[0].shift.split, cells=tuple(group))
        for group in missing
    )
    return Plan(cells=tuple(cells), finished=finished, passes=passes)
