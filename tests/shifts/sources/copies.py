"""Helpers of the source tests: small images, small copies, and sources declared as small as these."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shifts.registry import resolve
from shifts.spec import SOURCES, ImageSource


def noise(*shape: int, seed: int = 7) -> NDArray[np.uint8]:
    """Random pixels, the same at every call."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@cache
def encoded(seed: int, *, size: int = 12, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A small image file; every seed gives other pixels."""
    stream = io.BytesIO()
    Image.fromarray(noise(size, size, 3, seed=seed)).convert(mode).save(stream, kind)
    return stream.getvalue()


def write_images(root: Path, names: Sequence[str], *, size: int = 12, mode: str = "RGB") -> None:
    """One image file under each name, the format by its suffix."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "JPEG" if path.suffix in (".jpg", ".jpeg") else "PNG"
        path.write_bytes(encoded(seed, size=size, kind=kind, mode="RGB" if kind == "JPEG" else mode))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A table with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def declare(monkeypatch: pytest.MonkeyPatch, source: ImageSource, **changes: object) -> ImageSource:
    """The source with some fields changed, for this test."""
    changed = dataclasses.replace(source, **changes)  # type: ignore[arg-type]  # names of fields, whatever their types
    monkeypatch.setitem(SOURCES._entries, source.name, changed)
    return changed


def declare_small(monkeypatch: pytest.MonkeyPatch, name: str, root: Path, *splits: str) -> ImageSource:
    """Make the copy at ``root`` the whole of a source: its counts count as published, and no hash does."""
    source = SOURCES.get(name)
    load = resolve(source.loader)
    counts = {
        split: tuple(np.bincount(load(root, split).labels, minlength=len(source.counts[split])).tolist())
        for split in splits or source.counts
    }
    return declare(monkeypatch, source, counts=counts, totals={}, files=(), hub=None)


def truncate(path: Path) -> None:
    """Cut a file to half its size."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
