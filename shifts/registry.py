"""A named collection that finds its own entries and answers a wrong name with a right one."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Generic, Protocol, TypeVar

from shifts.errors import UnknownNameError, UserError
from shifts.lazy import uncollected

PLUGIN_GROUP = "robustbench_shift"


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries by name, discovered on first use.

    Args:
        kind: the singular noun used in messages ("model", "shift").
        package: its modules are imported at the first look-up; each registers what it declares.
    """

    def __init__(self, kind: str, *, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._resolvers: list[Callable[[str], T | None]] = []
        self._listers: list[Callable[[], Iterable[T]]] = []
        self._libraries: dict[str, Callable[[], Iterable[T]]] = {}
        self._discovered = package is None

    def register(self, *entries: T) -> None:
        """Add entries; a name can be given away only once (two equal entries are one)."""
        for entry in entries:
            known = self._entries.setdefault(entry.name, entry)
            if known != entry:
                raise UserError(
                    f"two different {self.kind}s are registered under the name {entry.name!r}",
                    hint="rename one of them, or uninstall the plug-in that brings it",
                )

    def add_resolver(
        self,
        resolve: Callable[[str], T | None],
        *,
        listing: Callable[[], Iterable[T]] | None = None,
        prefix: str | None = None,
    ) -> None:
        """Add a function that makes an entry out of a name (``timm:resnet50``) or returns None.

        Args:
            resolve: called with names that are not registered.
            listing: the entries of this kind worth showing in ``list``.
            prefix: of a library that holds hundreds, the beginning of all its names; they are listed and
                searched only for a name or pattern that begins so.
        """
        self._resolvers.append(resolve)
        if listing is not None and prefix is None:
            self._listers.append(listing)
        elif listing is not None and prefix is not None:
            self._libraries[prefix] = listing

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UnknownNameError: with the nearest names and the command that lists them all.
        """
        found = self.find(name)
        if found is not None:
            return found
        names = [entry.name for entry in (self.library(name) or self)]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(repr(match) for match in near)}?" if near else ""
        raise UnknownNameError(
            f"unknown {self.kind} {name!r}{meant}", hint=f"robustbench-shift list {self.kind}s"
        )

    def find(self, name: str) -> T | None:
        """The entry of that name, or None."""
        self._discover()
        if name in self._entries:
            return self._entries[name]
        for resolve in self._resolvers:
            found = resolve(name)
            if found is not None:
                return found
        return None

    def registered(self) -> list[T]:
        """The entries that were registered, without those that resolvers make."""
        self._discover()
        return list(self._entries.values())

    def names(self, pattern: str | None = None) -> list[str]:
        """Names in order of registration that match a shell pattern.

        ``digits/*`` matches at any depth; a pattern without wildcards also matches what lies below
        it, so that ``digits/gaussian-noise`` means its five severities.
        """
        return [entry.name for entry in self.entries(pattern)]

    def entries(self, pattern: str | None = None) -> list[T]:
        """The entries whose names match a pattern, as for ``names``."""
        if pattern is None:
            return list(self)
        return [entry for entry in (*self, *self.library(pattern)) if matches(entry.name, pattern)]

    def prefixes(self) -> list[str]:
        """How the names begin that are listed only when they are asked for."""
        self._discover()
        return list(self._libraries)

    def library(self, pattern: str) -> list[T]:
        """The entries of the library whose prefix a name or a pattern begins with; none without one."""
        self._discover()
        return [
            entry
            for prefix, list_all in self._libraries.items()
            if pattern.startswith(prefix)
            for entry in list_all()
        ]

    def select(self, patterns: Iterable[str]) -> list[T]:
        """Entries for several patterns, each once, in the order asked; one without a match is an error."""
        chosen: dict[str, T] = {}
        for pattern in patterns:
            exact = [pattern] if pattern in self else self.names(pattern)
            if not exact:
                self.get(pattern)  # a resolver may know it; otherwise this raises with the nearest names
                exact = [pattern]
            chosen.update((name, self.get(name)) for name in exact)
        return list(chosen.values())

    def __contains__(self, name: str) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        self._discover()
        seen = dict(self._entries)
        for lister in self._listers:
            for entry in lister():
                seen.setdefault(entry.name, entry)
        return iter(list(seen.values()))

    def _discover(self) -> None:
        if self._discovered or self._package is None:
            return
        self._discovered = True
        with uncollected():
            package = importlib.import_module(self._package)
            for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
                importlib.import_module(f"{self._package}.{module.name}")
        load_plugins()


_plugins_loaded = False


def load_plugins() -> None:
    """Import every installed module of the entry-point group; each registers its own shifts and models."""
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    from importlib.metadata import entry_points

    for point in entry_points(group=PLUGIN_GROUP):
        try:
            point.load()
        except ImportError as error:
            raise UserError(
                f"the plug-in {point.name!r} ({point.value}) cannot be imported: {error}",
                hint="mend or uninstall the package that provides it",
            ) from error


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches a shell pattern, or lies below a plain one."""
    if any(mark in pattern for mark in "*?["):
        return fnmatchcase(name, pattern)
    return name == pattern or name.startswith(pattern.rstrip("/") + "/")


def resolve(reference: str) -> Callable[..., Any]:
    """The object that ``"package.module:attribute"`` names, imported now and not before.

    >>> resolve("math:sqrt")(9.0)
    3.0
    """
    module, _, attribute = reference.partition(":")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target  # type: ignore[no-any-return]  # what the reference names
