"""The named weights once more, on examples that nobody could foresee.

Which examples is decided by the bundle's digest and by a word that was drawn when the bundle was put on the
board, so predictions cannot have been made for them alone. The images have to be on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.estimate import Estimate
from benchmark.intervals import clopper_pearson
from benchmark.planning import Contestant
from benchmark.predictions import score
from benchmark.provenance import provenance
from leaderboard.board import Board, BoardEntry
from leaderboard.entry import EntryShift
from leaderboard.report import Tier
from models_zoo.loading import load_spec
from models_zoo.preprocessing import for_cropped, prepare
from shifts.class_maps import best_accepted, in_shift_classes
from shifts.data import Shift, hash_rank, load_examples
from shifts.digest import SHORT, digest
from shifts.errors import ResultsError
from shifts.labels import ANY
from shifts.local import recorded_content
from shifts.spec import SHIFTS, SOURCES

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_VERSION = 1
# Other hardware and libraries move a logit in its last bits, which turns near-ties; more than one answer in a
# hundred they do not turn.
LEAST_AGREEMENT = 0.99
# Median difference in confidence; float16 and bfloat16 runs are within it.
MOST_DIFFERENCE = 0.01
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftAgreement:
    """One shift run again.

    Attributes:
        agreement: share of the examples with the entry's prediction, Clopper-Pearson interval.
        difference: median absolute difference in confidence.
        differing: the first few ids with another prediction.
    """

    shift: str
    agreement: Estimate
    difference: float
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Named weights run again and compared with an entry's predictions.

    Attributes:
        salt: what chose the examples: SHA-256 over the bundle's digest and the nonce of the log.
        agreement: over all shifts.
        tier: what it gives the entry; None where the predictions did not come out again.
    """

    entry: str
    bundle: str
    salt: str
    weights: str | None
    whole: bool
    shifts: tuple[ShiftAgreement, ...]
    agreement: Estimate
    tier: Tier | None
    environment: Mapping[str, Any]

    def to_json(self) -> str:
        """The text of its record."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields["agreement"] = self.agreement.to_json()
        fields["shifts"] = [
            {
                "shift": one.shift,
                "agreement": one.agreement.to_json(),
                "difference": one.difference,
                "differing": list(one.differing),
            }
            for one in self.shifts
        ]
        fields["environment"] = dict(self.environment)
        return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, indent=1, allow_nan=False) + "\n"


def salt_of(standing: BoardEntry) -> str:
    """What decides the examples: known to nobody before the bundle was on the board."""
    added = next(line for line in standing.events if line.event == "add")
    return digest({"bundle": standing.entry.bundle, "nonce": added.nonce})


def reproduce(
    board: Board,
    name: str,
    contestant: Contestant,
    *,
    n: int | None = 200,
    data_dir: Path | None = None,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Reproduction:
    """Run an entry's model again and compare.

    Args:
        name: id of the entry.
        contestant: the model with the weights at hand.
        n: examples of each shift; None for all of them.
        progress: called with the name of each shift before it is run.

    Raises:
        ResultsError: the model at hand is not the entry's.
        DataNotFoundError: the images are not on this machine.
    """
    standing = board.get(name)
    entry, salt = standing.entry, salt_of(standing)
    _refuse_others(standing, contestant)
    shifts: list[ShiftAgreement] = []
    environment: Mapping[str, Any] = {}
    classifiers: dict[str, Any] = {}
    for one in entry.shifts:
        if progress is not None:
            progress(one.shift)
        spec = SHIFTS.get(one.shift)
        space = spec.label_space if contestant.spec.label_space == ANY else ""
        if space not in classifiers:
            classifiers[space] = load_spec(
                contestant.spec,
                contestant.weights,
                label_space=space or None,
                device=device,
                precision=contestant.precision,
            )
        shifts.append(_again(board, entry.id, one, classifiers[space], salt=salt, n=n, data_dir=data_dir))
        environment = provenance(device=classifiers[space].device_name, precision=contestant.precision)
    whole = all(one.agreement.n == measured.n for one, measured in zip(shifts, entry.shifts, strict=True))
    # Every shift has to agree: a forgery of one shift must not hide among the others.
    good = all(one.agreement.value >= LEAST_AGREEMENT and one.difference <= MOST_DIFFERENCE for one in shifts)
    tier: Tier = "reproduced" if whole else "spot-reproduced"
    return Reproduction(
        entry=entry.id,
        bundle=entry.bundle,
        salt=salt,
        weights=contestant.weights_digest,
        whole=whole,
        shifts=tuple(shifts),
        agreement=clopper_pearson(
            sum(round(one.agreement.value * one.agreement.n) for one in shifts),
            sum(one.agreement.n for one in shifts),
        ),
        tier=tier if good else None,
        environment=environment,
    )


def _refuse_others(standing: BoardEntry, contestant: Contestant) -> None:
    """A model with weights is known by them; one without by all that moves its logits."""
    entry = standing.entry
    if entry.model.weights is not None:
        if contestant.weights_digest != entry.model.weights:
            raise ResultsError(
                f"the weights at hand ({(contestant.weights_digest or 'none')[:SHORT]}) are not those of "
                f"{entry.id} ({entry.model.weights[:SHORT]})",
                hint=f"give the file with SHA-256 {entry.model.weights}: --weights FILE",
            )
        return
    for one in entry.shifts:
        found = contestant.digest_in(SHIFTS.get(one.shift).label_space)
        if found != one.model_digest:
            raise ResultsError(
                f"{contestant.spec.name}@{found[:SHORT]} is not the model of {entry.id}, which was measured "
                f"as {entry.model.name}@{one.model_digest[:SHORT]} on {one.shift}"
            )


def _again(
    board: Board,
    entry: str,
    one: EntryShift,
    classifier: Any,
    *,
    salt: str,
    n: int | None,
    data_dir: Path | None,
) -> ShiftAgreement:
    spec = SHIFTS.get(one.shift)
    content = recorded_content(SOURCES.get(spec.source), spec.split, data_dir=data_dir)
    shift = Shift(spec, load_examples(spec.source, spec.split, data_dir=data_dir), content=content)
    if shift.digest != one.shift_digest:
        raise ResultsError(
            f"the copy of {spec.source!r} on this machine is not the data that {entry} was measured on"
        )
    stored = board.answers(entry, one.shift)
    assert stored is not None, "an entry has predictions on all its shifts"
    order = hash_rank(shift.example_ids, "reproduce", salt, one.shift)
    chosen = np.sort(order if n is None else order[:n])
    said, confidence = _predict(shift, classifier, chosen)
    same = said == stored.top5[chosen, 0]
    difference = np.abs(confidence - stored.top5_probability[chosen, 0])
    return ShiftAgreement(
        shift=one.shift,
        agreement=clopper_pearson(int(same.sum()), len(chosen)),
        difference=float(np.median(difference)),
        differing=tuple(shift.example_ids[row] for row in chosen[~same][:5].tolist()),
    )


def _predict(
    shift: Shift, classifier: Any, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Prediction and confidence on some rows of a shift, by the same steps as an evaluation."""
    said, confidence = [], []
    for start in range(0, len(chosen), BATCH):
        index = chosen[start : start + BATCH]
        position = shift.position[index]
        images = shift.perturb([shift.base.image(int(row)) for row in position.tolist()], position)
        prepared = prepare(images, for_cropped(classifier.spec.preprocess, shift.spec.cropped))
        answers = in_shift_classes(classifier.logits(prepared), shift.spec, head=classifier.spec.label_space)
        labels = shift.labels[index]
        if shift.accepted is not None:
            labels = best_accepted(answers, [shift.accepted[row] for row in index.tolist()])
        columns = score(
            answers,
            labels,
            ids=[shift.example_ids[row] for row in index.tolist()],
            groups=shift.groups[index],
            group_names=list(shift.group_columns),
        )
        said.append(columns["prediction"])
        confidence.append(columns["confidence"])
    return np.concatenate(said).astype(np.int64), np.concatenate(confidence).astype(np.float64)
