"""What a number was measured with."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models_zoo.spec import ModelSpec

PACKAGES = (
    "robustbench-shift",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "scikit-learn",
    "pyarrow",
)


def provenance(*, device: str, precision: str, compiled: int | None = None) -> dict[str, Any]:
    """Everything about this environment that may move a number; the same for the same environment.

    Args:
        device: as torch names it, with the name of an accelerator.
        precision: of the forward pass.
        compiled: version of the way it was compiled (``models_zoo.compiling``), None where it was not.
    """
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git(),
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "precision": precision,
        **({} if compiled is None else {"compiled": compiled}),
    }


def model_card(
    spec: ModelSpec, *, weights: str | None, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What was evaluated, as plain data, so that a stored result can say it without the registry.

    Args:
        weights: SHA-256 of the weights file.
        origin: where the file came from.
    """
    kept = ("title", "family", "label_space", "training_data", "licence", "citation", "source", "parameters")
    return {
        **{name: getattr(spec, name) for name in kept},
        "training_data": list(spec.training_data),
        "preprocess": dataclasses.asdict(spec.preprocess),
        "arguments": dict(spec.arguments),
        "weights": weights,
        "weights_origin": None if origin is None else dict(origin),
        "reading": dataclasses.asdict(spec.reading),
        "head": spec.head,
        "version": spec.version,
    }


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def _git() -> dict[str, Any] | None:
    """Revision and dirty flag when the package runs from its checkout, None when it is installed."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        revision = _run(root, "rev-parse", "HEAD")
        return {"revision": revision, "dirty": bool(_run(root, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(root: Path, *arguments: str) -> str:
    # Looking must not write: a plain `git status` takes the lock of the index to refresh it.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()
