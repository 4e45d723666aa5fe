"""A measured number with its interval and the examples behind it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shifts.errors import ResultsError

# What rounding may move a bound past the value, e.g. the lower Wilson bound of 0 of n.
_SLACK = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, its confidence interval and how both came about; fractions, never percent.

    Attributes:
        value: the point estimate.
        low, high: bounds of the two-sided interval; ``low <= value <= high``.
        level: confidence level of the interval, in (0, 1).
        method: how the interval was made (``"wilson"``, ``"student-t"``, ...).
        n: examples behind the value.

    Raises:
        ValueError: a number is not finite, the bounds do not enclose the value, n is below 1.

    >>> Estimate(value=0.8, low=0.49, high=0.943, method="wilson", n=10).to_json()["n"]
    10
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    method: str
    n: int

    def __post_init__(self) -> None:
        # NumPy scalars come in; plain numbers are what JSON and comparisons want.
        for name in ("value", "low", "high", "level"):
            number = float(getattr(self, name))
            if not math.isfinite(number):
                raise ValueError(f"{name} of an estimate is {number}")
            object.__setattr__(self, name, number)
        if int(self.n) != self.n or self.n < 1:
            raise ValueError(f"an estimate needs n >= 1 examples, not {self.n}")
        object.__setattr__(self, "n", int(self.n))
        if not 0 < self.level < 1:
            raise ValueError(f"level {self.level} is not between 0 and 1")
        if not self.low - _SLACK <= self.value <= self.high + _SLACK:
            raise ValueError(
                f"the interval [{self.low}, {self.high}] does not contain the value {self.value}"
            )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, unrounded."""
        return {  # spelled out: of thousands of results that is most of the time
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "method": self.method,
            "n": self.n,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Estimate:
        """The estimate that ``to_json`` wrote.

        Raises:
            ResultsError: a field is missing, unknown or of a wrong type, or the numbers contradict
                each other.
        """
        if document.keys() != _FIELDS:
            unknown, missing = sorted(set(document) - _FIELDS), sorted(_FIELDS - set(document))
            wrong = [f"unknown field {name!r}" for name in unknown] + [
                f"no field {name!r}" for name in missing
            ]
            raise ResultsError(f"not an estimate: {', '.join(wrong)}", hint="re-score the stored predictions")
        for name in _NUMBERS:
            if isinstance(document[name], bool) or not isinstance(document[name], (int, float)):
                raise ResultsError(f"not an estimate: {name} is {document[name]!r}, expected a number")
        if not isinstance(document["method"], str):
            raise ResultsError(f"not an estimate: method is {document['method']!r}, expected text")
        try:
            return cls(**document)
        except (ValueError, OverflowError) as error:
            raise ResultsError(f"not an estimate: {error}") from error

    @classmethod
    def known(cls, value: float, low: float, high: float, *, level: float, method: str, n: int) -> Estimate:
        """An estimate of numbers that one was made of before: nothing is looked at again."""
        made = object.__new__(cls)
        for setter, part in zip(_SETTERS, (value, low, high, level, method, n), strict=True):
            setter(made, part)
        return made


_FIELDS = {field.name for field in dataclasses.fields(Estimate)}
_NUMBERS = _FIELDS - {"method"}
# The slots of a frozen class can be filled by their descriptors alone.
_SETTERS = tuple(getattr(Estimate, field.name).__set__ for field in dataclasses.fields(Estimate))
