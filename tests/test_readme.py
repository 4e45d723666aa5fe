"""Every command and every file of the README is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from models_zoo.loading import build_model
from shifts.data import load_shift
from tests.conftest import DEFAULT_DATA

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)
LINES = [line[2:] for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]
# Installing is what the continuous integration does first, with these very lines.
INSTALLS = [line for line in LINES if line.startswith("pip install")]
COMMANDS = [line.removeprefix("pip install -e . && ") for line in LINES if "robustbench-shift" in line]
NEED_DATA = "cifar10_test_jpeg.npz"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README speaks of, and an installed package with its plug-ins."""
    folder = tmp_path_factory.mktemp("readme")
    for kind, block in BLOCKS:
        if kind == "python":
            (folder / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
    (toml,) = [block for kind, block in BLOCKS if kind == "toml"]
    info = folder / "readme_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: readme-plugin\nVersion: 1.0\n")
    points = toml.replace("[project.entry-points.robustbench_shift]", "[robustbench_shift]").replace('"', "")
    (info / "entry_points.txt").write_text(points)
    from safetensors.torch import save_file

    state = build_model("cifar10-resnet20", device="cpu").network.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "mine.safetensors")
    own_data(folder)
    data = Path(os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", DEFAULT_DATA)) / "cifar10" / NEED_DATA
    if data.is_file():
        (folder / NEED_DATA).symlink_to(data)
    return folder


def own_data(folder: Path) -> None:
    """The digits of the test split, inverted: a folder of images and a table of labels."""
    shift = load_shift("digits")
    (folder / "photos").mkdir()
    lines = ["path,label"]
    for index, name in enumerate(shift.example_ids):
        Image.fromarray(255 - shift.item(index)).save(folder / "photos" / f"{name}.png")
        lines.append(f"{name}.png,{shift.labels[index]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_readme_has_its_two_commands() -> None:
    assert "pip install -e . && robustbench-shift eval --model digits-cnn" in LINES
    assert "pip install -e '.[dev]' && pytest" in LINES
    assert len(INSTALLS) == 2
    assert len(COMMANDS) >= 10
    assert (ROOT / "benchmark" / "figures" / "digits.png").is_file()


def test_every_command_runs(place: Path, _shared_cache: Path) -> None:
    environment = {
        **os.environ,
        "ROBUSTBENCH_SHIFT_CACHE": str(_shared_cache),
        "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]),
    }
    for command in COMMANDS:
        needs = NEED_DATA in command or "cifar10-jpeg75" in command
        if needs and not (place / NEED_DATA).exists():
            continue
        program, *arguments = shlex.split(command)
        assert program == "robustbench-shift"
        done = subprocess.run(
            [sys.executable, "-m", "benchmark.cli", *arguments],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (place / "digits.png").stat().st_size > 10_000
    assert (place / "table.csv").is_file()
