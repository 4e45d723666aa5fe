"""A run that is killed at any moment loses at most a shard, and the same command finishes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.cli import run
from benchmark.result import RESULT
from benchmark.store import PREDICTIONS
from models_zoo.loading import build_model
from shifts.labels import LABEL_SPACES

PER_CLASS = 600


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 small images in class folders, added as a partial CIFAR-10, and random weights."""
    root = tmp_path_factory.mktemp("killed")
    draw = np.random.default_rng(0)
    for name in LABEL_SPACES.get("cifar10").class_names:
        folder = root / "images" / "test" / name
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}-{number:04d}.png")
    torch.manual_seed(0)
    torch.save(build_model("cifar10-resnet20", device="cpu").network.state_dict(), root / "weights.pth")
    return root


def command(world: Path, results: Path) -> list[str]:
    chosen = ["eval", "--model", "cifar10-resnet20", "--weights", str(world / "weights.pth")]
    chosen += ["-s", "cifar10", "--data-dir", str(world / "data"), "--batch-size", "64"]
    return [*chosen, "--results", str(results)]


@pytest.fixture(scope="module")
def finished(world: Path) -> bytes:
    """Predictions of a run that nobody disturbed."""
    os.environ["ROBUSTBENCH_SHIFT_OFFLINE"] = "1"
    added = ["add", "cifar10", str(world / "images"), "--partial", "--data-dir", str(world / "data")]
    assert run(["data", *added]) == 0
    assert run(command(world, world / "whole")) == 0
    (path,) = (world / "whole").rglob(PREDICTIONS)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("sent", "shards", "code"),
    [(signal.SIGKILL, 1, -9), (signal.SIGKILL, 3, -9), (signal.SIGINT, 2, 130), (signal.SIGTERM, 1, 130)],
)
def test_killed_and_run_again(
    world: Path, finished: bytes, tmp_path: Path, sent: signal.Signals, shards: int, code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.cli", *command(world, tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A test run in the background of a script inherits that Ctrl-C is ignored; the child must not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.rglob("shards/*.parquet"))) < shards:
        assert process.poll() is None, f"it ended before it could be killed: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(sent)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code
    if code == 130:
        assert "run the same command again" in complaint
        assert "Traceback" not in complaint
    assert not list(tmp_path.rglob(RESULT))
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*.parquet")}
    assert len(kept) >= shards
    assert run(command(world, tmp_path)) == 0
    (path,) = tmp_path.rglob(PREDICTIONS)
    assert path.read_bytes() == finished
    assert not list(tmp_path.rglob("shards"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_partial_copy_says_so(world: Path, finished: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(world, world / "whole")) == 0
    assert "partial: the local copy" in capsys.readouterr().out


def test_an_image_broken_after_it_was_added_fails_its_cell_by_name(
    world: Path, finished: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = world / "images" / "test" / "frog" / "frog-0007.png"
    original, times = broken.read_bytes(), broken.stat()
    try:
        broken.write_bytes(original[: len(original) // 2].ljust(len(original), b"\0"))
        os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert run(command(world, tmp_path)) == 2
        assert "frog-0007" in capsys.readouterr().err
        assert not list(tmp_path.rglob(PREDICTIONS))
        os.utime(broken)
        assert run(command(world, tmp_path)) == 2
        assert "changed since 'cifar10' was checked" in " ".join(capsys.readouterr().err.split())
    finally:
        broken.write_bytes(original)
        os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run(command(world, tmp_path)) == 0
    (path,) = tmp_path.rglob(PREDICTIONS)
    assert path.read_bytes() == finished
