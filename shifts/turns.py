"""The four turns of an image, and what its classes are called then. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

TURNS = ("upright", "turned left", "upside down", "turned right")


def turned_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of turned classes, in the order of the labels ``4 · class + quarters``.

    >>> turned_names(("six",))
    ('six upright', 'six turned left', 'six upside down', 'six turned right')
    """
    return tuple(f"{name} {turn}" for name in classes for turn in TURNS)
