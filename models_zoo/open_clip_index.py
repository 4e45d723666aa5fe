"""What the open_clip library holds, from its table (``models_zoo.library_index``), without the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from models_zoo import library_index

LIBRARY = "open_clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights for an architecture.

    Attributes:
        hub: ``"owner/name/"``, or with a file name behind it.
        url: of the original file, or empty; some hold the file's SHA-256 or its first digits.
        resize_mode: ``"shortest"``, ``"squash"`` or ``"longest"``.
        quick_gelu: whether they were trained with QuickGELU.
    """

    tag: str
    hub: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    resize_mode: str
    url: str = ""
    quick_gelu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A pair of towers.

    Attributes:
        name: the library's spelling.
        size: height and width of the input.
        quick_gelu: whether its transformers compute with QuickGELU; says nothing about a tower of timm.
        tokenizer: repository of the Hub that holds the tokenizer, or None for the library's own.
        text_network: repository that describes the text tower, or None where the library does.
        parameters: of the image tower; None where nobody counted.
        pretrained: published weights by tag; those trained with QuickGELU under the architecture with it.
    """

    name: str
    size: tuple[int, int]
    quick_gelu: bool = False
    tokenizer: str | None = None
    text_network: str | None = None
    parameters: int | None = None
    pretrained: Mapping[str, Pretrained]


def architectures(*, shipped: bool = False) -> Mapping[str, Architecture]:
    """The architectures of the installed version by lower-case name; the table is made where it is not there.

    Args:
        shipped: those of the version whose table comes with the package, which takes no time.

    Raises:
        UserError: the library is not installed, or its table cannot be made.
    """
    return _typed(_table(shipped).version, shipped=shipped)


def version() -> str:
    """The version of the library that the table is of."""
    return library_index.index(LIBRARY).version


@cache
def _typed(_version: str, *, shipped: bool) -> Mapping[str, Architecture]:
    found: dict[str, dict[str, Any]] = {}
    for key, entry in _table(shipped).entries.items():
        name, _, tag = key.partition(":")
        if tag:
            told = {**entry, "mean": tuple(entry["mean"]), "std": tuple(entry["std"])}
            found[name]["pretrained"][tag] = Pretrained(tag=tag, **told)
        else:
            found[name] = {**entry, "name": name, "size": tuple(entry["size"]), "pretrained": {}}
    return {name.lower(): Architecture(**fields) for name, fields in found.items()}


def _table(shipped: bool) -> library_index.Index:
    return library_index.shipped(LIBRARY) if shipped else library_index.index(LIBRARY)
