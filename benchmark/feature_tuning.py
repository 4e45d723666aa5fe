"""A last layer fitted to features from elsewhere, and how it does on others: the model is a black box.

So Chen et al. (arXiv 2309.17002, section 5) tune models of which only features can be had: files of cached
features, or the embeddings that a service answers with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.feature_files import FeatureFile, read_feature_file
from benchmark.metrics import accuracy
from benchmark.spectrum import FEWEST, Spectrum, spectrum
from models_zoo.tuning.applying import Applied, apply_head, save_head
from models_zoo.tuning.heads import FeatureSet, head_fit_of
from models_zoo.tuning.methods import METHODS
from shifts.data import Rows
from shifts.errors import CorruptDataError, UnknownNameError, UserError
from shifts.perturbations.selections import fraction

if TYPE_CHECKING:
    from torch import nn

    from benchmark.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tested:
    """How a fitted layer does on a file of features.

    Attributes:
        applied: logits and tuned features.
        accuracy: None where the file has no labels.
        spectrum: of the tuned features, centred; None where there are too few of them.
    """

    file: FeatureFile
    applied: Applied
    accuracy: Estimate | None
    spectrum: Spectrum | None

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain JSON values."""
        return {
            "features": str(self.file.path),
            "n": len(self.applied.logits),
            "accuracy": None if self.accuracy is None else self.accuracy.to_json(),
            "spectrum": None if self.spectrum is None else self.spectrum.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """A last layer that was fitted, and its tests.

    Attributes:
        method: its name in ``models_zoo.tuning.methods``.
        parameters: where they are not the method's defaults.
        share: of the examples of each class; ``n`` of them in all.
        classes: C.
    """

    method: str
    parameters: Mapping[str, Any]
    seed: int
    share: float
    n: int
    classes: int
    head: nn.Module
    tests: tuple[Tested, ...]

    @property
    def record(self) -> dict[str, Any]:
        """What it was fitted by."""
        names = ("method", "parameters", "seed", "share", "n", "classes")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        """Everything but the layer, as plain JSON values."""
        return {**self.record, "tests": [one.to_json() for one in self.tests]}

    def write(self, folder: Path) -> Path:
        """Write the layer and its answers into a folder of its own; gives that folder.

        The answers are in the form that a submission takes in: one row an example, with its id and logits.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = folder / f"{self.method}-{self.share:g}"
        target.mkdir(parents=True, exist_ok=True)
        save_head(self.head, target / "head.safetensors", record=self.record)
        for number, one in enumerate(self.tests, start=1):
            columns: dict[str, Any] = {"example_id": pa.array(_ids(one.file), type=pa.string())}
            if one.file.labels is not None:
                columns["label"] = one.file.labels
            columns["prediction"] = one.applied.logits.argmax(axis=1)
            flat = pa.array(one.applied.logits.reshape(-1))
            columns["logits"] = pa.FixedSizeListArray.from_arrays(flat, self.classes)
            pq.write_table(pa.table(columns), target / f"answers-{number}-{one.file.path.stem}.parquet")
        return target


def tuned(
    given: FeatureFile,
    others: Sequence[FeatureFile],
    *,
    methods: Sequence[str] = ("nmtune",),
    shares: Sequence[float] = (1.0,),
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Tuned]:
    """Fit every method to every share of a file, and apply what comes out to others.

    Args:
        given: features with labels.
        others: features to answer on.
        methods: names in ``models_zoo.tuning.methods``.
        changes: of the methods' parameters.

    Raises:
        UserError: a method or parameter that is not known, features that do not fit together, a share out of
            (0, 1], or a fit that failed.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UnknownNameError(f"there is no method {unknown[0]!r}", hint=f"methods: {', '.join(METHODS)}")
    for share in shares:
        data = training_features(given, share=share, seed=seed)
        for other in others:
            _check_alike(other, data)
        for name in methods:
            parameters = {**METHODS[name].fit.parameters, **(changes or {})}
            way = head_fit_of(dataclasses.replace(METHODS[name].fit, parameters=parameters))
            head = way.build(data.features.shape[1], data.classes)
            way.fit(head, data, seed=seed)
            yield Tuned(
                method=name,
                parameters=parameters,
                seed=seed,
                share=share,
                n=len(data.labels),
                classes=data.classes,
                head=head,
                tests=tuple(_tested(head, other) for other in others),
            )


def read_labelled(path: Path, labels: Path | None) -> FeatureFile:
    """A file of features, with labels from a second file where one is given.

    Args:
        labels: a ``.npy`` array of N whole numbers from 0.

    Raises:
        UserError, CorruptDataError: as ``read_feature_file``; labels of another number or kind.
    """
    found = read_feature_file(path)
    if labels is None:
        return found
    try:
        values = np.load(labels, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CorruptDataError(
            f"{labels} is no readable array of labels: {error}", hint="numpy.save('labels.npy', labels)"
        ) from error
    n = len(found.values)
    what = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "several arrays"
    if (
        what not in {f"{kind} ({n},)" for kind in ("int64", "int32", "int16", "int8", "uint8")}
        or values.min() < 0
    ):
        raise CorruptDataError(
            f"{labels} holds {what} for the {n} feature vectors of {path}",
            hint="one whole number from 0 for each",
        )
    return dataclasses.replace(found, labels=values.astype(np.int64))


def training_features(file: FeatureFile, *, share: float, seed: int) -> FeatureSet:
    """A share of a file to fit to: stratified by class, smaller shares within larger ones.

    Raises:
        UserError: no labels, a share out of (0, 1], or a class without an example.
    """
    if file.labels is None:
        raise UserError(
            f"{file.path} has no labels to fit to", hint="put an array 'labels' into it, or give --labels"
        )
    if not 0.0 < share <= 1.0:
        raise UserError(f"a share lies in (0, 1], not {share}", hint="0.1 is a tenth")
    present, classes = np.unique(file.labels), int(file.labels.max()) + 1
    if not 2 <= len(present) == classes:
        raise UserError(
            f"{file.path} has examples of {len(present)} classes and labels up to {classes - 1}",
            hint="two classes or more, numbered from 0 without gaps",
        )
    rows = Rows(ids=_ids(file), labels=file.labels, num_classes=classes, seed=seed)
    kept = fraction(rows, share=share, seed=seed)
    return FeatureSet(features=np.array(file.values[kept]), labels=file.labels[kept], classes=classes)


def _check_alike(file: FeatureFile, data: FeatureSet) -> None:
    dim = data.features.shape[1]
    if file.values.shape[1] != dim:
        raise UserError(
            f"{file.path} holds vectors of {file.values.shape[1]} features, those fitted to have {dim}",
            hint="take the features of one and the same model",
        )
    if file.labels is not None and file.labels.max() >= data.classes:
        raise UserError(
            f"{file.path} has the label {int(file.labels.max())}, and {data.classes} classes were fitted to",
            hint="number the classes alike in all files",
        )


def _tested(head: nn.Module, file: FeatureFile) -> Tested:
    applied = apply_head(head, file.values)
    right = None if file.labels is None else accuracy(applied.logits.argmax(axis=1), file.labels)
    shape = spectrum(applied.tuned, ids=_ids(file)) if len(applied.tuned) >= FEWEST else None
    return Tested(file=file, applied=applied, accuracy=right, spectrum=shape)


def _ids(file: FeatureFile) -> tuple[str, ...]:
    """The ids of the examples; where there are none their places."""
    return file.ids or tuple(map(str, range(len(file.values))))
