"""Passes on a Ray cluster of two and three nodes on this machine: the same bytes, whoever dies."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.result import RESULT
from benchmark.store import PREDICTIONS

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
SHIFTS = ["-s", "digits", "-s", "digits/pad", "-s", "digits/unseen-tint", "--batch-size", "64"]
# `hold` waits, on a cluster, as long as there is a file of that name beside the module.
NETWORKS = """
import os, time
from pathlib import Path
import torch
from torch import nn

HERE = Path(__file__).parent

class Network(nn.Module):
    def __init__(self, fault=None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn((48, 10), generator=torch.Generator().manual_seed(0)))
        self.fault = fault

    def forward(self, images):
        if self.fault == "raise":
            raise RuntimeError("this network always fails")
        if self.fault == "die":
            os._exit(1)
        while self.fault == "hold" and (HERE / "hold").exists():
            import ray
            (HERE / ray.get_runtime_context().get_node_id()).touch()
            time.sleep(0.05)
        return nn.functional.adaptive_avg_pool2d(images, 4).flatten(1) @ self.weight

def plain(): return Network()
def hold(): return Network("hold")
def failing(): return Network("raise")
def dying(): return Network("die")

for make in (plain, hold, failing, dying):
    make.label_space = "digits"
    make.preprocess = {}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("ray")
    (root / "ray_nets.py").write_text(NETWORKS)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))


@pytest.fixture(scope="module")
def cluster(world: Path) -> Iterator[Any]:
    """Two nodes; the workers find the networks where the driver does."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", OMP_NUM_THREADS="1")
    os.environ["ROBUSTBENCH_SHIFT_CACHE"] = str(world / "cache")
    nodes = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    nodes.add_node(**NODE)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    os.environ.clear()
    os.environ.update(before)


def models(*names: str) -> list[str]:
    return [argument for name in names for argument in ("-m", name)]


def measure(results: Path, *arguments: str) -> int:
    return run(["eval", *SHIFTS, "--no-check", "--results", str(results), *arguments])


def files(results: Path, name: str = PREDICTIONS) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob(name)}


def timeless(text: bytes) -> dict[str, Any]:
    """A result without what two runs may differ in."""
    found: dict[str, Any] = json.loads(text)
    for name in ("started", "pass_seconds", "executor"):
        found["provenance"].pop(name, None)
    return found


def test_a_cluster_gives_the_bytes_of_one_process_and_a_rerun_runs_nothing(
    cluster: Any, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = models("constant", "python:ray_nets:plain")
    assert measure(world / "local", *two) == 0
    assert measure(world / "cluster", *two, "--executor", "ray") == 0
    assert len(files(world / "local")) == 6
    assert files(world / "cluster") == files(world / "local")
    here, there = (files(world / name, RESULT) for name in ("local", "cluster"))
    assert {name: timeless(text) for name, text in there.items()} == {
        name: timeless(text) for name, text in here.items()
    }
    assert not [*(world / "cluster").rglob("shards"), *(world / "cluster").rglob("*.lock")]
    times = {path: path.stat().st_mtime_ns for path in (world / "cluster").rglob("*")}
    capsys.readouterr()
    assert measure(world / "cluster", *two, "--executor", "ray", "-x", "address=nowhere:1") == 0
    assert {path: path.stat().st_mtime_ns for path in (world / "cluster").rglob("*")} == times


def test_a_model_that_fails_and_one_that_ends_its_worker_fail_alone(
    cluster: Any,
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmark.queueing.LOSSES", 2)
    three = models("python:ray_nets:plain", "python:ray_nets:failing", "python:ray_nets:dying")
    assert measure(tmp_path, *three, "--executor", "ray", "--json") == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    failed = {fault["type"]: fault for fault in document["faults"]}
    assert failed["RuntimeError"]["message"] == "this network always fails"
    assert failed["RuntimeError"]["count"] == 3
    assert "the worker was lost 2 times" in failed["WorkerLostError"]["message"]
    assert {cell["model"] for cell in failed["WorkerLostError"]["cells"]} == {"python:ray_nets:dying"}
    assert {row["status"] for row in document["results"] if row["model"] == "python:ray_nets:plain"} == {"ok"}
    assert "its work is given out again" in shown.err
    whole = files(world / "local")
    assert {name: whole[name] for name in files(tmp_path)} == files(tmp_path)
    assert len(files(tmp_path)) == 3


def test_a_node_that_dies_in_the_middle_changes_nothing(cluster: Any, world: Path, tmp_path: Path) -> None:
    third = cluster.add_node(**NODE)
    chosen = models("python:ray_nets:hold", "constant")
    assert measure(tmp_path / "local", *chosen) == 0
    hold, begun = world / "hold", world / third.node_id
    hold.touch()

    def kill() -> None:
        deadline = time.monotonic() + 120
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(third, allow_graceful=False)
        hold.unlink()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert measure(tmp_path / "cluster", *chosen, "--executor", "ray") == 0
    finally:
        killer.join()
    assert begun.exists(), "it was at work when it died"
    assert files(tmp_path / "cluster") == files(tmp_path / "local")
    assert not list((tmp_path / "cluster").rglob("shards"))


def test_without_a_setting_a_worker_takes_a_gpu_or_a_node() -> None:
    from benchmark.ray_executor import RaySettings, shape

    nodes = [{"Alive": True, "Resources": {"CPU": 16.0}}, {"Alive": True, "Resources": {"CPU": 64.0}}]
    assert shape(nodes, RaySettings()) == (16, 0.0, 5)
    gpus = [*nodes, {"Alive": True, "Resources": {"CPU": 64.0, "GPU": 8.0}}]
    assert shape(gpus, RaySettings()) == (8, 1.0, 8)
    assert shape(gpus, RaySettings(gpus=0.5, cpus=2)) == (2, 0.5, 16)
    assert shape(gpus, RaySettings(gpus=0, cpus=4, workers=3)) == (4, 0, 3)
    assert shape([{"Alive": False, "Resources": {"CPU": 4.0}}], RaySettings()) == (1, 0.0, 1)


def test_a_worker_whose_versions_differ_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark import ray_fleet
    from benchmark.provenance import provenance
    from benchmark.worker import Greeting

    said: list[str] = []
    ended: list[str] = []
    fleet = ray_fleet.Fleet.__new__(ray_fleet.Fleet)
    fleet.environment, fleet.workers, fleet.dismissed = None, [], []
    fleet._notice, fleet._told = said.append, set()
    here = provenance(device="cpu", precision="")
    other = {**here, "versions": {**here["versions"], "torch": "1.0"}}
    greetings = {
        "a": Greeting(node="a", environment=other, lacking={}),
        "b": Greeting(node="b", environment=here, lacking={("cifar10", "test"): "not on this machine"}),
        "c": Greeting(node="c", environment={**here, "device": "cuda (some GPU)"}, lacking={}),
    }
    monkeypatch.setattr(ray_fleet.ray, "get", greetings.__getitem__)
    monkeypatch.setattr(ray_fleet, "_end", ended.append)
    fleet._coming = dict.fromkeys(greetings, "actor")
    for ref in greetings:
        fleet._welcome(ref)
    assert [worker.node for worker in fleet.workers] == ["b"]
    assert "the node 'a' has torch 1.0, not" in said[0]
    assert "the node 'b' does not measure on cifar10: not on this machine" in said[1]
    assert "the node 'c' has device cuda (some GPU), not cpu" in said[2]
    assert len(ended) == 2


def test_weights_that_a_node_does_not_see_come_through_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark import ray_actor, ray_fleet
    from benchmark.pieces import Piece
    from benchmark.planning import contestant, plan
    from benchmark.store import Store
    from models_zoo.spec import MODELS
    from models_zoo.weights import weights_digest
    from shifts.spec import SHIFTS

    file = tmp_path / "driver" / "weights.pth"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    chosen = contestant(MODELS.get("digits-cnn"), weights=file)
    (work,) = plan([chosen], [SHIFTS.get("digits")], store=Store(tmp_path / "results")).passes
    nothing = (np.empty(0, dtype=np.int64),)
    piece = Piece(
        source="digits", split="test", group=0, cells=work.cells, rows=nothing[0], todo=nothing, losses=0
    )
    objects: dict[str, bytes] = {}
    fleet = ray_fleet.Fleet.__new__(ray_fleet.Fleet)
    fleet._shipped = {}
    monkeypatch.setattr(
        ray_fleet.ray, "put", lambda data: objects.setdefault("reference", data) and "reference"
    )
    monkeypatch.setattr(ray_actor.ray, "get", objects.__getitem__)

    class Measures:
        def measure(self, piece: Piece, *, weights: Any) -> Any:
            return [weights(cell.contestant) for cell in piece.cells]

    actor = ray_actor.Actor.__new__(ray_actor.Actor)
    actor._worker = Measures()  # type: ignore[assignment]
    assert actor.measure(piece, {}) == [file], "the node sees the driver's file"
    elsewhere = file.rename(tmp_path / "moved.pth")
    wanted = actor.measure(piece, {})
    assert wanted == ray_actor.Wanted(weights=(str(chosen.weights_digest),))
    elsewhere.rename(file)
    fleet._ship(piece, wanted)
    file.write_bytes(b"something else under the same path")
    (path,) = actor.measure(piece, fleet._shipped)
    assert path.read_bytes() == b"weights"
    assert weights_digest(path) == chosen.weights_digest
    assert actor.measure(piece, {}) == [path], "it is kept on the node"
