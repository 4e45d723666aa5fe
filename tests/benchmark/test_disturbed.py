"""What goes wrong while a run is under way: finished shards survive, and the rerun gives the same bytes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.cli import run
from benchmark.result import RESULT
from benchmark.store import PREDICTIONS, ROWS_PER_SHARD
from shifts.labels import LABEL_SPACES

PER_CLASS = 260
TOTAL = 10 * PER_CLASS
BATCH = 64
# Rounded, so that its answers are the same in batches of any size; it misbehaves as the environment says.
NETWORK = """
import os, time
from pathlib import Path
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn((48, 10), generator=draw))
        self.seen = 0

    def forward(self, images):
        fault, (after, path) = os.environ.get("FAULT"), os.environ.get("WHERE", "0:").split(":", 1)
        self.seen += len(images)
        if fault == "memory" and len(images) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if fault == "count":
            with open(path, "a") as log:
                log.write(f"{os.getpid()} {len(images)}\\n")
        if fault == "vanish" and os.path.exists(path):
            os.rename(path, path + ".gone")
        if fault == "hang" and self.seen > int(after):
            time.sleep(600)
        pooled = nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
        logits = torch.round((pooled.double() @ self.weight.double()) * 4096) / 4096
        return logits * float("nan") if fault == "nan" and self.seen > int(after) else logits.float()

def make():
    return Network()

make.label_space = "cifar10"
make.preprocess = {}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,600 small images in class folders, and a network of the user's own."""
    root = tmp_path_factory.mktemp("disturbed")
    draw = np.random.default_rng(0)
    for name in LABEL_SPACES.get("cifar10").class_names:
        folder = root / "images" / "test" / name
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{number:04d}.png", compress_level=1)
    (root / "disturbed_nets.py").write_text(NETWORK)
    return root


@pytest.fixture(autouse=True)
def _here(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)


def command(world: Path, results: Path) -> list[str]:
    chosen = ["eval", "--model", "python:disturbed_nets:make", "-s", "cifar10", "--batch-size", str(BATCH)]
    return [*chosen, "--data-dir", str(world / "data"), "--results", str(results)]


@pytest.fixture
def finished(world: Path, _here: None) -> bytes:
    """Predictions of a run that nobody disturbed."""
    if not (world / "data").exists():
        added = ["add", "cifar10", str(world / "images"), "--partial", "--data-dir", str(world / "data")]
        assert run(["data", *added]) == 0
        assert run(command(world, world / "whole")) == 0
    return stored(world / "whole")


def stored(results: Path) -> bytes:
    (path,) = results.rglob(PREDICTIONS)
    return path.read_bytes()


def shards(results: Path) -> list[Path]:
    return sorted(results.rglob("shards/*.parquet"))


def leftovers(results: Path) -> list[Path]:
    return [*shards(results), *results.rglob("*.tmp"), *results.rglob("*.lock")]


def start(
    world: Path, results: Path, *, before: Callable[[], None] | None = None, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark.cli", *command(world, results)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=world,
        env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        preexec_fn=before,
    )


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not what():
        assert process.poll() is None, f"it ended too early: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_on_one_folder_wait_for_a_third_and_take_over_when_it_dies(
    world: Path, finished: bytes, tmp_path: Path
) -> None:
    results, log = tmp_path / "results", tmp_path / "log"
    first = start(world, results, FAULT="hang", WHERE=f"{ROWS_PER_SHARD + 2 * BATCH}:")
    wait_for(lambda: bool(shards(results)), first)
    others = [start(world, results, FAULT="count", WHERE=f"0:{log}") for _ in range(2)]
    for other in others:
        assert other.stderr is not None
        assert "another process is measuring 1 of the evaluations" in other.stderr.readline()
    assert not log.exists()
    first.kill()
    first.communicate()
    kept = sum(ROWS_PER_SHARD for _ in shards(results))
    assert kept == ROWS_PER_SHARD
    for other in others:
        out, err = other.communicate(timeout=240)
        assert other.returncode == 0, err
        assert "python:disturbed_nets:make" in out, "each shows the result, whoever measured it"
    counted = [line.split() for line in log.read_text().splitlines()]
    assert len({process for process, _ in counted}) == 1
    assert sum(int(rows) for _, rows in counted) == TOTAL - kept
    assert stored(results) == finished
    assert not leftovers(results)


@pytest.mark.parametrize("how", ["a file system of its own", "files that may not grow"])
def test_a_full_disk_is_told_once_and_keeps_the_shards(
    world: Path, finished: bytes, tmp_path: Path, how: str
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    size = len(finished)
    if how == "files that may not grow":
        limit = int(0.8 * size)

        def before() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = start(world, results, before=before)
        assert _complaints(process) == 1
        assert len(shards(results)) >= 2
        assert run(command(world, results)) == 0
        assert stored(results) == finished
        assert not leftovers(results)
    else:
        room = int(1.5 * size * ROWS_PER_SHARD / TOTAL)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(results)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no file system can be mounted here")
        try:
            process = start(world, results)
            assert _complaints(process) == 1
            assert len(shards(results)) == 1
            subprocess.run(["mount", "-o", "remount,size=64m", str(results)], check=True)
            assert run(command(world, results)) == 0
            assert stored(results) == finished
        finally:
            subprocess.run(["umount", str(results)], check=True)


def _complaints(process: subprocess.Popen[str]) -> int:
    _, err = process.communicate(timeout=240)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    return err.count("make room or choose another --results folder")


def test_a_model_that_gives_nan_fails_alone_and_keeps_its_shard(
    world: Path,
    finished: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FAULT", "nan")
    monkeypatch.setenv("WHERE", "1500:")
    assert run([*command(world, tmp_path), "--model", "constant", "--json"]) == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert {row["model"]: row["status"] for row in document["results"]} == {
        "python:disturbed_nets:make": "error",
        "constant": "ok",
    }
    (fault,) = document["faults"]
    assert (fault["type"], fault["count"], fault["recovered"]) == ("FloatingPointError", 1, False)
    assert "1 of 2 evaluations failed" in shown.err
    assert "--precision float32" in shown.err
    assert len(shards(tmp_path)) == 2  # a full one and what was good after it
    monkeypatch.delenv("FAULT")
    assert run(command(world, tmp_path)) == 0
    (path,) = (path for path in tmp_path.rglob(PREDICTIONS) if "constant" not in str(path))
    assert path.read_bytes() == finished
    assert not leftovers(tmp_path)


def test_a_batch_without_room_is_halved_and_the_run_goes_on(
    world: Path,
    finished: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FAULT", "memory")
    assert run([*command(world, tmp_path), "--json"]) == 0
    shown = capsys.readouterr()
    assert stored(tmp_path) == finished
    (path,) = tmp_path.rglob(RESULT)
    assert json.loads(path.read_text())["provenance"]["batch_size"] == BATCH // 2
    (fault,) = json.loads(shown.out)["faults"]
    assert (fault["recovered"], fault["hint"]) == (True, f"--batch-size {BATCH // 2} saves the attempts")
    assert "evaluations failed" not in shown.err
    assert run(command(world, tmp_path)) == 0
    assert "no room" not in capsys.readouterr().err, "of this run, not of one before it"


def test_a_worker_whose_file_vanishes_fails_the_cell_by_name(
    world: Path,
    finished: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    last = sorted((world / "images" / "test" / "truck").iterdir())[-1]
    assert sorted((world / "images" / "test").iterdir())[-1].name == "truck"
    monkeypatch.setenv("FAULT", "vanish")
    monkeypatch.setenv("WHERE", f"0:{last}")
    try:
        assert run(command(world, tmp_path)) == 2
    finally:
        last.with_name(f"{last.name}.gone").rename(last)
    shown = capsys.readouterr().err
    assert last.name in shown
    assert "put the file back" in shown
    assert len(shards(tmp_path)) == 3
    monkeypatch.delenv("FAULT")
    assert run(command(world, tmp_path)) == 0
    assert stored(tmp_path) == finished
