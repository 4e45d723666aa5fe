"""Features of a model on a shift: streamed, and kept so that they are computed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models_zoo.loading import load_spec
from models_zoo.preprocessing import for_cropped, prepare
from shifts.data import Shift
from shifts.digest import SHORT
from shifts.labels import ANY
from shifts.local import cache_home

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmark.planning import Contestant
    from models_zoo.classifier import Classifier

BATCH_SIZE = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What a model sees in the examples of a shift.

    Attributes:
        values: float32 (N, D), in memory-mapped form.
        ids: N strings; labels: int64 (N,).
        model_digest, shift_digest: what they were computed from.
    """

    values: NDArray[np.float32]
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    model_digest: str
    shift_digest: str


def stream(
    classifier: Classifier, shift: Shift, *, batch_size: int = BATCH_SIZE, progress: Progress | None = None
) -> Iterator[NDArray[np.float32]]:
    """Features batch by batch, float32 (B, D), in the order of the shift.

    Raises:
        UserError: the model has no features.
    """
    preprocess = for_cropped(classifier.spec.preprocess, shift.spec.cropped)
    done = 0
    for batch in shift.batches(batch_size):
        values = classifier.features(prepare(batch.images, preprocess))
        yield values
        done += len(values)
        if progress is not None:
            progress(done, len(shift))


def features(
    one: Contestant,
    shift: Shift,
    *,
    device: str = "auto",
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Features:
    """All features of a shift, computed now unless they are kept in the cache.

    They are written to disk as they come and read as a memory map: memory stays flat as the shift grows.

    Raises:
        UserError: the model has no features.
    """
    space = shift.spec.label_space
    model_digest = one.digest_in(space)
    folder = cache_home() / "features" / f"{model_digest[:SHORT]}-{shift.digest[:SHORT]}"
    known = {"model_digest": model_digest, "shift_digest": shift.digest, "n": len(shift)}
    if not _intact(folder, known):
        classifier = load_spec(
            one.spec,
            one.weights,
            label_space=space if one.spec.label_space == ANY else None,
            device=device,
            precision=one.precision,
        )
        _write(folder, known, stream(classifier, shift, batch_size=batch_size, progress=progress))
    return Features(
        values=np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False),
        ids=tuple(shift.example_ids),
        labels=shift.labels,
        model_digest=model_digest,
        shift_digest=shift.digest,
    )


def _intact(folder: Path, known: dict[str, object]) -> bool:
    with suppress(OSError, ValueError, KeyError):
        record = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        size = record.pop("bytes")
        record.pop("sha256")
        return bool(record == known and (folder / "features.npy").stat().st_size == size)
    return False


def _write(folder: Path, known: dict[str, object], batches: Iterator[NDArray[np.float32]]) -> None:
    """Rows are appended behind a header of the final shape; the record that makes them valid comes last."""
    from shifts.local import write_atomic

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.json").unlink(missing_ok=True)
    part = folder / "features.npy.part"
    checksum = hashlib.sha256()
    with part.open("wb") as file:
        first = True
        for values in batches:
            if first:
                header = {
                    "descr": "<f4", "fortran_order": False, "shape": (known["n"], values.shape[1])
                }  # fmt: skip
                np.lib.format.write_array_header_1_0(file, header)
                first = False
            data = np.ascontiguousarray(values, dtype="<f4").tobytes()
            checksum.update(data)
            file.write(data)
    part.replace(folder / "features.npy")
    size = (folder / "features.npy").stat().st_size
    write_atomic(
        folder / "features.json", json.dumps({**known, "bytes": size, "sha256": checksum.hexdigest()})
    )
