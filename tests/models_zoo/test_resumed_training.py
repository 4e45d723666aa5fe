"""Trainings that are stopped anywhere and go on: the same weights as of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from models_zoo.recipe import Recipe, trained_file, training_folder
from models_zoo.spec import MODELS
from models_zoo.train_state import STATE, read_state
from models_zoo.training import Options, train
from shifts.errors import WeightsError
from tests.models_zoo.tiny_trainings import NOISE, QUICK, model, recipe, stage


def vit(**changes: object) -> Recipe:
    """Dropped paths, a moving average, two stages, kept epochs: all that a state has to carry."""
    network = "models_zoo.networks.vision_transformer:SmallViT"
    sizes = {"side": 16, "patch": 8, "width": 16, "depth": 2, "heads": 2, "drop_path": 0.3}
    first = stage(epochs=2, augment=NOISE)
    second = stage(epochs=4, augment=NOISE, fresh_head=True, ema=0.9, warmup_epochs=1, clip=1.0)
    return recipe(first, second, network=network, arguments=sizes, keep=(2, 3), **changes)


class Stopped(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("after", [7, 25, 45])
def test_stopped_anywhere_and_resumed(after: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = model(vit())
    whole = train(spec, options=QUICK).read_bytes()
    epochs = [path.read_bytes() for path in sorted(training_folder(spec).glob("epoch-*"))]
    assert len(epochs) == 2
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path))

    def stop(done: int, total: int) -> None:
        assert total == 60
        if done == after + 1:
            raise Stopped

    with pytest.raises(Stopped):
        train(spec, options=Options(save_every=0), progress=stop)
    folder = training_folder(spec)
    state = read_state(folder, how={"device": "cpu", "precision": "float32", "microbatch": None})
    assert state is not None
    assert (state.stage, state.step) == (0 if after <= 20 else 1, after if after <= 20 else after - 20)
    reports: list[int] = []
    target = train(spec, options=QUICK, progress=lambda done, _: reports.append(done))
    assert reports[0] == after + 1, "what was done is not done again"
    assert target.read_bytes() == whole
    assert [path.read_bytes() for path in sorted(folder.glob("epoch-*"))] == epochs
    assert not (folder / STATE).exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_a_process_is_killed_and_the_command_repeated(
    sent: signal.Signals, code: int, trained_cache: Path, tmp_path: Path
) -> None:
    spec = MODELS.get("digits-mlp-w16-f10")
    whole = train(spec).read_bytes()
    order = [sys.executable, "-m", "benchmark.cli", "train", spec.name, "--save-every", "0"]
    process = subprocess.Popen(
        order,
        env={**os.environ, "ROBUSTBENCH_SHIFT_CACHE": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob(STATE)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.send_signal(sent)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code, complaint
    assert "Traceback" not in complaint
    (state,) = tmp_path.rglob(STATE)
    assert not list(tmp_path.rglob(trained_file(spec).name)), "it was finished before it could be stopped"
    assert safe_open(state, framework="pt").metadata() is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path))
        assert train(spec).read_bytes() == whole
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_state_of_another_kind_or_a_damaged_one_is_refused() -> None:
    spec = model(recipe(stage(epochs=3)))

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        train(spec, options=Options(save_every=0), progress=stop)
    with pytest.raises(WeightsError, match=r"begun with .*precision float32"):
        train(spec, options=Options(precision="bfloat16"))
    path = training_folder(spec) / STATE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a state") as caught:
        train(spec)
    assert "--again" in str(caught.value.hint)
