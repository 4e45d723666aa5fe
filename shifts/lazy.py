"""A quick start: names of a package that are imported when first used, declarations made without a break."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` (PEP 562).

    Args:
        package: its ``__name__``.
        homes: name → module that defines it.

    >>> exports("shapes", {"sqrt": "math"})("sqrt")(9.0)
    3.0
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage within the block, whose many objects stay; it takes as long as making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
