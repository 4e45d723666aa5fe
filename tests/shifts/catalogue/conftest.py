"""CIFAR-10 in small as if it were the whole set, and a copy of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shifts.spec import SOURCES, ImageSource
from tests.shifts import cifar_layouts as layouts
from tests.shifts.sources.copies import declare


@pytest.fixture
def data() -> layouts.Small:
    return layouts.small()


@pytest.fixture
def source(data: layouts.Small, monkeypatch: pytest.MonkeyPatch) -> ImageSource:
    """CIFAR-10 as if the small set were the whole one."""
    whole = SOURCES.get("cifar10")
    counts = {
        "test": tuple(np.bincount(data.test_labels, minlength=10).tolist()),
        "train": tuple(np.bincount(data.train_labels, minlength=10).tolist()),
    }
    return declare(monkeypatch, whole, counts=counts, files=(), hub=None)


@pytest.fixture
def copy(tmp_path: Path, data: layouts.Small) -> Path:
    return layouts.write_binary(tmp_path / "mine", data)
