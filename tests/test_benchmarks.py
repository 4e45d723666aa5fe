"""Every script under tests/benchmarks still runs, at its smallest size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [
    path for path in sorted((ROOT / "tests" / "benchmarks").glob("*.py")) if "\ndef main(" in path.read_text()
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_script_runs_and_writes_its_figures(script: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(script), "--smoke", "--json", str(figures)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert isinstance(json.loads(figures.read_text(encoding="utf-8")), dict)


def test_the_scripts_are_found() -> None:
    assert {"evaluation", "startup", "training"} <= {path.stem for path in SCRIPTS}
