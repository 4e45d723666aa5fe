"""Two processes train as one: the same weights, one writer, stopped and resumed together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models_zoo.processes import Processes
from models_zoo.recipe import STATE
from models_zoo.spec import MODELS
from models_zoo.training import train
from tests.models_zoo.run_together import RUNS, main

ROOT = Path(__file__).resolve().parents[2]


def started(order: list[str], cache: Path) -> list[subprocess.Popen[str]]:
    """Two processes with what torchrun tells each; without its rendezvous, which takes a minute offline."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "ROBUSTBENCH_SHIFT_CACHE": str(cache), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", "WORLD_SIZE": "2",
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, *order],
            env={**os.environ, **told, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Standard output of each; all have ended well."""
    try:
        said = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], said
    return [out for out, _ in said]


def test_shares_are_a_partition_of_a_batch() -> None:
    for number in (0, 1, 7, 64):
        shares = [Processes(rank=rank, count=3).share(number) for rank in range(3)]
        assert [place for share in shares for place in range(number)[share]] == list(range(number))


def test_one_process_changes_nothing() -> None:
    alone, rows = Processes(), torch.ones(3, 2)
    assert alone.first and alone.joined(rows, 3) is rows
    assert alone.add_up([], torch.tensor(2.0), stop=True) == (torch.tensor(2.0), True)


def test_two_processes_train_as_one_stop_together_and_go_on(trained_cache: Path, tmp_path: Path) -> None:
    """In one, because every process takes seconds to start: trainings of RUNS, then one that is stopped."""
    spec, folder = MODELS.get("digits-mlp-w16-f10"), tmp_path / "two"
    folder.mkdir()
    command = ["train", spec.name, "--json"]
    script = str(Path(__file__).with_name("run_together.py"))
    processes = started([script, str(folder), *command, "--save-every", "0"], tmp_path)
    deadline = time.monotonic() + 240
    while not list(tmp_path.rglob(STATE)):
        assert processes[0].poll() is None and time.monotonic() < deadline, processes[0].communicate()
        time.sleep(0.005)
    processes[1].send_signal(signal.SIGTERM)  # not the one that saves
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [130, 130]

    (tmp_path / "one").mkdir()
    main(tmp_path / "one")
    for name in RUNS:
        one, two = (load_file(where / f"{name}.safetensors") for where in (tmp_path / "one", folder))
        for key, tensor in one.items():
            torch.testing.assert_close(two[key], tensor, rtol=1e-4, atol=1e-6, msg=f"{name}: {key}")

    (state,) = tmp_path.rglob(STATE)
    with safe_open(state, framework="pt") as file:
        begun = json.loads(file.metadata()["robustbench_shift"])
    assert begun["how"]["processes"] == 2
    assert begun["step"] > 0
    out, nothing = ended(started(["-m", "benchmark.cli", *command], tmp_path))
    assert not nothing, "the first one tells"
    told = json.loads(out)
    assert not state.exists()
    with safe_open(told["weights"], framework="pt") as file:
        assert json.loads(file.metadata()["robustbench_shift"])["processes"] == 2
    alone = load_file(train(spec))
    for key, tensor in load_file(told["weights"]).items():
        torch.testing.assert_close(tensor, alone[key], rtol=1e-3, atol=1e-4)
