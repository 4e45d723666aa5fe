"""An entry of the board: what verification computed of one submission, as one JSON file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.estimate import Estimate
from leaderboard.manifest import Manifest, ModelCard, read_dataclass
from models_zoo.training_data import overlap_warnings
from shifts.digest import SHORT
from shifts.errors import ResultsError

if TYPE_CHECKING:
    from leaderboard.verify import Scored

SCHEMA_VERSION = 1
ENTRY = "entry.json"  # the file it lies in


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryShift:
    """One shift of an entry; every number computed here, from the predictions.

    Attributes:
        shift, shift_digest, content, model_digest: what was measured on what, as in the manifest.
        kind, support, reference, severity: as the shift was declared then.
        metrics: name → estimate, or None where the metric does not apply.
        worst_group: which group ``worst_group_accuracy`` is about.
        warnings: ``"contaminated: ..."`` and what else a reader has to know.
    """

    shift: str
    shift_digest: str
    content: str
    model_digest: str
    kind: str
    support: str
    reference: str | None
    severity: int | None
    n: int
    metrics: Mapping[str, Estimate | None]
    worst_group: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def accuracy(self) -> Estimate:
        """Top-1 accuracy; every entry has it."""
        found = self.metrics["accuracy"]
        assert found is not None, "verification asks for an accuracy"
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A submission that was admitted; never changed afterwards.

    Attributes:
        id: ``<model>--<suite>--<first 8 digits of the bundle's digest>``.
        added: day, ``YYYY-MM-DD``.
        bundle: digest of the bundle.
        accepted: flagged lint → why it was admitted all the same.
        supersedes: id of the entry that this one replaces.
    """

    id: str
    added: str
    suite: str
    suite_digest: str
    protocol_digest: str
    bundle: str
    model: ModelCard
    shifts: tuple[EntryShift, ...]
    accepted: Mapping[str, str] = field(default_factory=dict)
    supersedes: str | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The file's text, one shift to a line."""
        head = {name: getattr(self, name) for name in self.__slots__ if name != "shifts"}
        head = {"schema_version": head.pop("schema_version"), **head, "model": dataclasses.asdict(self.model)}
        lines = ",\n".join("  " + _compact(_shift_json(one)) for one in self.shifts)
        start = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        return f'{start},\n "shifts": [\n{lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str | bytes) -> Entry:
        """Read an entry.

        Raises:
            ResultsError: of a newer version, or not an entry.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ResultsError(f"the entry is not JSON: {error}") from error
        version = document.get("schema_version", 0) if isinstance(document, dict) else 0
        if version > SCHEMA_VERSION:
            raise ResultsError(
                f"the entry has schema {version}, this version reads up to {SCHEMA_VERSION}",
                hint="upgrade robustbench-shift",
            )
        entry: Entry = read_dataclass(cls, document, "entry")
        return entry

    def on(self, shift: str) -> EntryShift | None:
        """What was measured on a shift, or None."""
        return next((one for one in self.shifts if one.shift == shift), None)


def make_entry(
    manifest: Manifest,
    scored: Sequence[Scored],
    *,
    bundle: str,
    added: str,
    accepted: Mapping[str, str] | None = None,
) -> Entry:
    """The entry of a submission whose checks have all passed; its numbers are the recomputed ones."""
    from leaderboard.submission import slug

    return Entry(
        id=f"{slug(manifest.model.name)}--{slug(manifest.suite)}--{bundle[:SHORT]}",
        added=added,
        suite=manifest.suite,
        suite_digest=manifest.suite_digest,
        protocol_digest=manifest.protocol_digest,
        bundle=bundle,
        model=manifest.model,
        shifts=tuple(_shift(one, manifest.model) for one in scored),
        accepted=dict(accepted or {}),
        supersedes=manifest.supersedes,
    )


def _shift(one: Scored, card: ModelCard) -> EntryShift:
    marks = overlap_warnings(card.training_data, one.spec)
    return EntryShift(
        shift=one.spec.name,
        shift_digest=one.claim.shift_digest,
        content=one.claim.content,
        model_digest=one.claim.model_digest,
        kind=one.spec.kind,
        support=one.spec.support,
        reference=one.spec.reference,
        severity=one.spec.severity,
        n=len(one.answers),
        metrics=one.metrics.metrics,
        worst_group=one.metrics.worst_group.label if one.metrics.worst_group is not None else None,
        warnings=(*marks, *one.metrics.notes),
    )


def _shift_json(one: EntryShift) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in one.__slots__}
    found["metrics"] = {
        name: None if estimate is None else estimate.to_json() for name, estimate in one.metrics.items()
    }
    return found


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
