"""Shared fixtures: an isolated cache, the folder with real test data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# The test processes share the cores: threads of each would only get into each other's way. Processes that
# tests start inherit it; it has to be said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _isolated_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache or opens a socket to a hub."""
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_OFFLINE", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data for tests; skips where it is not there."""
    folder = Path(os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", DEFAULT_DATA))
    if not folder.is_dir():
        pytest.skip(f"real test data is not at {folder}; set ROBUSTBENCH_SHIFT_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def _shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture
def trained_cache(_shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for all tests that ask for it, so that a scratch model is trained once."""
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(_shared_cache))
    return _shared_cache
