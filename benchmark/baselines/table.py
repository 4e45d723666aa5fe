"""What a baseline holds: rows of accuracies, which models make the line, and the lines themselves."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from benchmark.lines import MIN_MODELS, BaselineFit, BaselinePoint, Method, fit_baseline
from benchmark.scales import Scale
from shifts.errors import FitError, UnknownNameError

KindOfNumber = Literal["measured", "claimed"]
Choice = Literal["measured", "claimed", "any"]

FILE_NAME = re.compile(r"(?P<name>[a-z0-9]+(?:[.-][a-z0-9]+)*)-v(?P<version>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """The accuracy of one model on one shift.

    Attributes:
        model: the model's name in the publication.
        library_key: how a library loads it (``timm:resnet50.a1_in1k``), or empty.
        shift: name of the shift or reference.
        protocol: what else moves the number (classes kept, prompts), in words; one line has one protocol
            on either axis.
        accuracy: top-1, a fraction in [0, 1].
        n: examples behind it, or None where the publisher does not say.
        family: as in ``ModelSpec``.
        training_data: names of the data sets it was trained on.
        kind_of_number: ``"measured"`` by the publisher from predictions, or ``"claimed"`` (copied from a
            paper's table).
        publisher, revision: who says so, and in which revision of the source.
        note: free text.
    """

    model: str
    library_key: str = ""
    shift: str
    protocol: str = ""
    accuracy: float
    n: int | None = None
    family: str
    training_data: tuple[str, ...] = ()
    kind_of_number: KindOfNumber
    publisher: str = ""
    revision: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not self.model or not self.shift:
            raise ValueError("a row needs a model and a shift")
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy {self.accuracy} is not a fraction in [0, 1]")
        if self.n is not None and self.n < 1:
            raise ValueError(f"n is {self.n}")
        if self.kind_of_number not in get_args(KindOfNumber):
            raise ValueError(f"kind_of_number {self.kind_of_number!r} is neither measured nor claimed")
        if any(not name or ";" in name for name in self.training_data):
            raise ValueError("training data are names without semicolons")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRule:
    """Which models make the line unless told otherwise.

    Attributes:
        families: only these; empty for all.
        min_reference_accuracy: models below it stay out; None for no limit.
        exclude_substrings: models with one of these in their name stay out.
    """

    families: tuple[str, ...] = ()
    min_reference_accuracy: float | None = None
    exclude_substrings: tuple[str, ...] = ()

    def reasons(self, points: Iterable[BaselinePoint]) -> dict[str, str]:
        """Model → why it stays out, by family and name; the accuracy is left to the fit."""
        found = {}
        for point in points:
            marks = [mark for mark in self.exclude_substrings if mark in point.model]
            if self.families and point.family not in self.families:
                found[point.model] = f"family {point.family} is not {' or '.join(self.families)}"
            elif marks:
                found[point.model] = f"name contains {marks[0]!r}"
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A published set of accuracies.

    Attributes:
        name, version: together the identifier, ``<name>-v<version>``.
        source, revision: where the numbers come from, and in which state.
        default_members: which models make the line.
        regenerate: the command that makes the files again.
        references: the shifts that serve as the x axis.
        precedence: of several baselines that have a pair, the one with the highest is the default.
        folder: where a user's own results lie; None for a published baseline.
        rows: sorted by model, shift, protocol and kind of number.
    """

    name: str
    version: int
    title: str
    source: str
    revision: str
    licence: str
    citation: str
    default_members: MemberRule = MemberRule()
    regenerate: str
    references: tuple[str, ...]
    precedence: int = 0
    folder: str | None = None
    rows: tuple[BaselineRow, ...]
    _by_shift: Mapping[str, list[BaselineRow]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not FILE_NAME.fullmatch(f"{self.name}-v{self.version}"):
            raise ValueError(f"{self.identifier!r} is not of the form name-v1, in lower case with dashes")
        keys = [row_key(row) for row in self.rows]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"two rows for {', '.join(part for part in twice if part)}")
        object.__setattr__(self, "rows", tuple(sorted(self.rows, key=row_key)))
        by_shift: dict[str, list[BaselineRow]] = {}
        for row in self.rows:
            by_shift.setdefault(row.shift, []).append(row)
        object.__setattr__(self, "_by_shift", by_shift)

    @property
    def identifier(self) -> str:
        """``<name>-v<version>``, or ``results:<folder>`` for a user's own results; as results quote it."""
        return f"{self.name}-v{self.version}" if self.folder is None else f"results:{self.folder}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return tuple(sorted({row.model for row in self.rows}))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every (reference, shift) on which four models or more have an accuracy on both, sorted."""
        models = {shift: {row.model for row in rows} for shift, rows in self._by_shift.items()}
        return tuple(
            (reference, shift)
            for reference in sorted(set(self.references) & set(models))
            for shift in sorted(set(models) - {reference})
            if len(models[reference] & models[shift]) >= MIN_MODELS
        )

    def points(
        self,
        reference: str,
        shift: str,
        *,
        kind_of_number: Choice | None = None,
        protocol: str | None = None,
        reference_protocol: str | None = None,
    ) -> tuple[BaselinePoint, ...]:
        """The models that have an accuracy on both, all families, sorted by name.

        Args:
            reference, shift: names of the two axes.
            kind_of_number: ``"measured"`` or ``"claimed"`` keeps those numbers; ``"any"`` mixes them, a
                model's measured number before its claimed one; None takes the kind there is.
            protocol, reference_protocol: which rows of the shift and of the reference; None takes the one
                there is.

        Raises:
            UnknownNameError: no row for the reference or the shift.
            FitError: measured and claimed numbers, or several protocols, would mix on one axis unasked.
        """
        axes = (
            self._axis(reference, protocol=reference_protocol, kind=kind_of_number),
            self._axis(shift, protocol=protocol, kind=kind_of_number),
        )
        both = set.intersection(*({row.model for row in axis} for axis in axes))
        used = [[row for row in axis if row.model in both] for axis in axes]
        kinds = {row.kind_of_number for axis in used for row in axis}
        if kind_of_number is None and len(kinds) > 1:
            raise FitError(
                f"{self.identifier} has measured and claimed accuracies for {reference} and {shift}, "
                "which do not mix in one line",
                hint="ask for kind_of_number 'measured' or 'claimed', or for 'any' to mix them",
            )
        for axis, name in zip(used, (reference, shift), strict=True):
            protocols = sorted({row.protocol for row in axis})
            if len(protocols) > 1:
                raise FitError(
                    f"{self.identifier} has accuracies on {name} under several protocols",
                    hint=f"choose one of {', '.join(repr(protocol) for protocol in protocols)}",
                )
        # Sorted so that where both kinds were asked for, a measured number replaces a claimed one.
        on_reference, on_shift = (
            {row.model: row for row in sorted(axis, key=lambda row: row.kind_of_number)} for axis in used
        )
        return tuple(
            BaselinePoint(
                model=model,
                reference_accuracy=on_reference[model].accuracy,
                reference_n=on_reference[model].n,
                shift_accuracy=on_shift[model].accuracy,
                shift_n=on_shift[model].n,
                family=on_shift[model].family,
            )
            for model in sorted(both)
        )

    def fit(
        self,
        reference: str,
        shift: str,
        *,
        scale: Scale = "probit",
        method: Method = "least-squares",
        members: MemberRule | None = None,
        exclude: Mapping[str, str] | None = None,
        kind_of_number: Choice | None = None,
        protocol: str | None = None,
        reference_protocol: str | None = None,
    ) -> BaselineFit:
        """The line through the default members, or those of another rule.

        Args:
            reference, shift, kind_of_number, protocol, reference_protocol: as for ``points``.
            scale, method: as for ``fit_baseline``.
            members: None for the baseline's own rule.
            exclude: model → reason, further models that stay out (e.g. trained on the shift's images).

        Raises:
            UnknownNameError, FitError: as ``points`` and ``fit_baseline`` do.
        """
        rule = self.default_members if members is None else members
        points = self.points(
            reference,
            shift,
            kind_of_number=kind_of_number,
            protocol=protocol,
            reference_protocol=reference_protocol,
        )
        return fit_baseline(
            points,
            reference=reference,
            shift=shift,
            scale=scale,
            method=method,
            min_reference_accuracy=rule.min_reference_accuracy,
            exclude={**rule.reasons(points), **(exclude or {})},
            baseline=self.identifier,
        )

    def _axis(self, shift: str, *, protocol: str | None, kind: Choice | None) -> list[BaselineRow]:
        rows = self._by_shift.get(shift)
        if not rows:
            raise unknown(f"shift of {self.identifier}", shift, sorted(self._by_shift))
        chosen = [row for row in rows if protocol is None or row.protocol == protocol]
        if not chosen:
            raise unknown(f"protocol for {shift}", protocol or "", sorted({row.protocol for row in rows}))
        return [row for row in chosen if kind in (None, "any", row.kind_of_number)]


def row_key(row: BaselineRow) -> tuple[str, str, str, str]:
    """What must differ between two rows."""
    return (row.model, row.shift, row.protocol, row.kind_of_number)


def unknown(kind: str, name: str, known: Sequence[str]) -> UnknownNameError:
    """The error for a name that is not known, with the names that look like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return UnknownNameError(f"no {kind} is called {name!r}", hint=f"did you mean {' or '.join(near)}?")
    listed = ", ".join(known[:20]) or "none"
    return UnknownNameError(f"no {kind} is called {name!r}", hint=f"there are: {listed}")
