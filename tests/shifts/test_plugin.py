"""A package of somebody else's registers shifts and models by the entry-point group ``robustbench_shift``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, SOURCES, ImageSource, ShiftSpec
from models_zoo.spec import MODELS, ModelSpec, Preprocess

LABEL_SPACES.register(LabelSpace(name="shade", class_names=("dark", "light")))
SOURCES.register(ImageSource(
    name="their-greys", title="greys", label_space="shade", counts={"test": (30, 30)}, licence="CC0-1.0",
    citation="them", homepage="https://example.org", loader="their_package.greys:load", bundled=True,
    content={"test": CONTENT},
))
SHIFTS.register(
    ShiftSpec(name="their-greys", title="greys", kind="reference", support="in", source="their-greys",
              split="test", label_space="shade", groups=("class",)),
)
MODELS.register(ModelSpec(
    name="their-model", title="mean of the pixels", label_space="shade", preprocess=Preprocess(),
    family="standard", training_data=(), loader="their_package.greys:model", licence="MIT", citation="them",
    source="them", suite="their-greys",
))


def load(root, split):
    import numpy as np
    from shifts.data import Examples
    images = np.repeat(np.arange(60, dtype=np.uint8) * 4, 8 * 8 * 3).reshape(60, 8, 8, 3)
    return Examples(payloads=images, labels=(np.arange(60) >= 30).astype(np.int64),
                    ids=[f"grey-{row}" for row in range(60)])


def model(spec, *, weights, label_space, device, precision="float32"):
    import torch
    from models_zoo.classifier import TorchClassifier

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(1, 2)
            self.head.weight.data = torch.tensor([[-1.0], [1.0]])
            self.head.bias.data = torch.tensor([0.0, -2 * 118 / 255])

        def forward(self, images):
            return self.head(images.mean((1, 2, 3))[:, None])

    network = Mean()
    return TorchClassifier(spec, network, head=network.head, device=device, precision=precision)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as an installer leaves it: the package and its metadata."""
    package, metadata = tmp_path / "their_package", tmp_path / "their_package-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").touch()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[robustbench_shift]\ngreys = their_package.greys\n")
    (package / "greys.py").write_text(f"CONTENT = ''\n{MODULE}")
    code = "from shifts.local import content_digest; from their_package.greys import load; "
    content = python(tmp_path, code + "print(content_digest(load(None, 'test')))")
    (package / "greys.py").write_text(f"CONTENT = {content.strip()!r}\n{MODULE}")
    return tmp_path


def python(site: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "benchmark.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_its_shift_and_model_are_listed_and_evaluated(site: Path, tmp_path: Path) -> None:
    listed = json.loads(command(site, "list", "shifts", "their*", "--json").stdout)["shifts"]
    assert [row["name"] for row in listed] == ["their-greys"]
    assert listed[0]["ready"] is True
    assert (
        json.loads(command(site, "list", "models", "their*", "--json").stdout)["models"][0]["classes"]
        == "shade"
    )
    done = command(site, "eval", "--model", "their-model", "--results", str(tmp_path / "results"), "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert row["shift"] == "their-greys"
    assert row["metrics"]["accuracy"]["value"] == 1.0
    verified = command(site, "data", "verify", "their-greys")
    assert verified.returncode == 0
    made = command(site, "show", "their-greys/unseen-tint", "--json")
    assert json.loads(made.stdout)["shift"]["reference"] == "their-greys"


def test_one_that_cannot_be_imported_is_named(site: Path) -> None:
    (site / "their_package" / "greys.py").write_text("import nowhere_to_be_found\n")
    done = command(site, "list", "shifts")
    assert done.returncode == 2
    assert "the plug-in 'greys' (their_package.greys) cannot be imported" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_given_twice_is_named(site: Path) -> None:
    path = site / "their_package" / "greys.py"
    path.write_text(
        path.read_text().replace('name="their-greys", title="greys", kind', 'name="digits", title="x", kind')
    )
    done = command(site, "list", "shifts")
    assert done.returncode == 2
    assert "two different shifts are registered under the name 'digits'" in done.stderr
