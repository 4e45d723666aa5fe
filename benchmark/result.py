"""The measured outcome of one model on one shift, and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmark.estimate import Estimate
from shifts.errors import ResultsError

SCHEMA_VERSION = 1
RESULT = "result.json"  # the file it lies in


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Plain data; knows no registry.

    Attributes:
        status: ``"ok"``, or ``"error"`` with its cause in ``error``.
        training_data: what the model has seen, as declared when it was measured.
        kind, support, reference: of the shift, as declared when it was measured.
        n: examples.
        metrics: name → estimate, or None where the metric does not apply.
        worst_group: which group ``worst_group_accuracy`` is about, with its size: ``"class=8 (n=54)"``.
        groups: accuracy of each group, as ``benchmark.metrics.GroupAccuracy.to_json``.
        warnings: what a reader has to know: partial data, a limit, small groups.
        provenance: versions, git revision, device, precision, seed, start and duration.
        error: ``{"type", "message", "hint", "user"}`` of a failed cell.
    """

    status: Literal["ok", "error"]
    model: str
    model_digest: str
    shift: str
    shift_digest: str
    kind: str
    support: str
    reference: str | None
    family: str
    training_data: tuple[str, ...]
    severity: int | None = None
    n: int = 0
    metrics: Mapping[str, Estimate | None] = field(default_factory=dict)
    worst_group: str | None = None
    groups: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The file's text: numbers unrounded, keys in the order of the fields, each group on a line."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields["metrics"] = {
            name: None if estimate is None else estimate.to_json() for name, estimate in self.metrics.items()
        }
        fields = {"schema_version": fields.pop("schema_version"), **fields}
        parts = (f'"{name}": {_LAYOUTS.get(name, _indented)(value)}' for name, value in fields.items())
        return "{\n " + ",\n ".join(parts) + "\n}"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: Path, groups: bool = True) -> Result:
        """Read a result file.

        Args:
            text: of the file, or its bytes in UTF-8.
            where: the file, for messages.
            groups: False leaves them out.

        Raises:
            ResultsError: written by a newer version, cut short, or with unknown fields.
        """
        try:
            raw = json.loads(text)
            if raw["schema_version"] > SCHEMA_VERSION:
                raise ResultsError(
                    f"{where} was written by a newer version (result schema {raw['schema_version']}, "
                    f"this one reads up to {SCHEMA_VERSION})",
                    hint="upgrade robustbench-shift, or choose another --results folder",
                )
            raw["metrics"] = {
                name: None if estimate is None else Estimate.from_json(estimate)
                for name, estimate in raw["metrics"].items()
            }
            if not groups:
                raw["groups"] = ()
            for name in ("groups", "warnings", "training_data"):
                raw[name] = tuple(raw[name])
            return cls(**raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultsError(
                f"{where} is not a readable result: {error}",
                hint=f"remove {where.parent} and evaluate again",
            ) from error

    @property
    def accuracy(self) -> Estimate | None:
        """Top-1 accuracy, None for a failed cell."""
        return self.metrics.get("accuracy")


def _indented(value: Any) -> str:
    """A field's text; no line break stands in JSON but between its parts."""
    return json.dumps(value, indent=1, allow_nan=False).replace("\n", "\n ")


def _by_line(groups: Sequence[Mapping[str, Any]]) -> str:
    """Text of a thousand groups, which is ten times as fast to write as with each value on a line."""
    lines = (json.dumps(group, allow_nan=False) for group in groups)
    return "[\n  " + ",\n  ".join(lines) + "\n ]" if groups else "[]"


_LAYOUTS: Mapping[str, Callable[[Any], str]] = {"groups": _by_line}
