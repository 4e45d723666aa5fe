"""Passes as jobs of Slurm: the script, and jobs that really run on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.cli import run
from benchmark.result import RESULT
from benchmark.store import PREDICTIONS

pytest.importorskip("submitit", reason="the extra [slurm] is not installed")

CHOSEN = ["eval", "-m", "constant", "-s", "digits", "-s", "digits/pad", "--batch-size", "64", "--no-check"]
SLURM = ["--executor", "slurm"]


def files(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob(PREDICTIONS)}


def test_a_dry_run_prints_the_script_and_submits_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["partition=gpu", "account=lab", "time=90", "gpus=1", "cpus=8", "mem=32", "jobs=2", "dry-run"]
    given = [argument for option in options for argument in ("-x", option)]
    assert run([*CHOSEN, *SLURM, *given, "--results", str(tmp_path / "results")]) == 0
    lines = capsys.readouterr().out.splitlines()
    for wanted in (
        "#SBATCH --array=0-1%2",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=lab",
        "#SBATCH --time=90",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=32GB",
        "#SBATCH --job-name=robustbench-shift",
    ):
        assert wanted in lines
    jobs = [line for line in lines if line.startswith("job ")]
    assert jobs[0] == "job 0: digits/test, rows 0 to 127, 2 evaluations of constant"
    assert {line[:6] for line in jobs} == {"job 0:", "job 1:"}
    assert not list(tmp_path.rglob(RESULT))
    assert not (tmp_path / "slurm-jobs").exists()


@pytest.mark.parametrize(("cluster", "store"), [("local", "path"), ("debug", "memory")])
def test_jobs_give_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str, store: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.slurm_executor.LOOK", 0.2)
    assert run([*CHOSEN, "--results", str(tmp_path / "local")]) == 0
    results = str(tmp_path / "jobs") if store == "path" else f"memory://{tmp_path.name}/jobs"
    given = ["-x", f"cluster={cluster}", "-x", "jobs=2"]
    assert run([*CHOSEN, *SLURM, *given, "--results", results]) == 0
    found = tmp_path / "jobs"
    if store == "memory":
        from benchmark.store import open_store

        found = open_store(Path(results)).root
    assert len(files(tmp_path / "local")) == 2
    assert files(found) == files(tmp_path / "local")
    assert not list(found.rglob("shards"))
    for path in found.rglob(RESULT):
        assert json.loads(path.read_text())["provenance"]["executor"] == "slurm"


def test_a_machine_without_slurm_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CHOSEN, *SLURM, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no jobs can be submitted from here" in said
    assert "-x dry-run" in said
