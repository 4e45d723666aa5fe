"""Errors that are the user's to mend: one clear message, exit code 2, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input, or data that is not there.

    Args:
        message: what was expected and what came.
        hint: the way out: a command to run, a file to supply, a value to change.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive a process boundary without this.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[UserError], message: str, hint: str | None) -> UserError:
    return kind(message, hint=hint)


class UnknownNameError(UserError):
    """A name that no registry knows."""


class DataNotFoundError(UserError):
    """A data set that is not on this machine."""


class CorruptDataError(UserError):
    """A file that is there but is not what its source promises."""


class LabelSpaceError(UserError):
    """A model whose classes do not cover those of a shift."""


class WeightsError(UserError):
    """Weights that are missing, damaged, of another architecture, or that want to run code."""


class ResultsError(UserError):
    """A results folder or file that cannot be read or written."""


class FitError(UserError):
    """Too few models, no spread, or accuracies that no line can be fitted to."""
