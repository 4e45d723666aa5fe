"""What the open_clip library holds, as a table that is read without the library: importing it takes seconds.

The table of one version of the library comes with the package; for another installed version it is made
once, in a process of its own, and kept in the cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shifts.local import cache_home, write_atomic

SHIPPED = Path(__file__).resolve().parent / "sources" / "data" / "open_clip.json"
SCHEMA = 1
PATIENCE = 300  # seconds; the import takes a few


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A pair of towers.

    Attributes:
        name: the library's spelling.
        size: height and width of the input.
        quick_gelu: whether its transformers compute with QuickGELU; says nothing about a tower of timm.
        tokenizer: repository of the Hub that holds the tokenizer, or None for the library's own.
        text_network: repository that describes the text tower, or None where the library does.
        parameters: of the image tower; None where nobody counted.
    """

    name: str
    size: tuple[int, int]
    quick_gelu: bool = False
    tokenizer: str | None = None
    text_network: str | None = None
    parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights for an architecture.

    Attributes:
        hub: ``"owner/name/"``, or with a file name behind it.
        url: of the original file, or empty; some hold the file's SHA-256 or its first digits.
        resize_mode: ``"shortest"``, ``"squash"`` or ``"longest"``.
        quick_gelu: whether they were trained with QuickGELU.
    """

    tag: str
    hub: str
    url: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    resize_mode: str
    quick_gelu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Architectures and weights by lower-case name; ``pretrained`` by architecture, then by tag."""

    version: str
    architectures: Mapping[str, Architecture]
    pretrained: Mapping[str, Mapping[str, Pretrained]]


@cache
def index() -> Index:
    """The table of the installed version; that of another version where it cannot be made."""
    try:
        installed = version("open_clip_torch")
    except PackageNotFoundError:
        installed = None
    shipped = _read(SHIPPED)
    if installed in (None, shipped["version"]):
        return _index(shipped)
    path = cache_home() / "index" / f"open_clip-{installed}.json"
    try:
        made = _read(path)
    except (OSError, ValueError, KeyError):
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "models_zoo.open_clip_index", str(path)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            made = _read(path)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError):
            return _index(shipped)
    return _index(made)


def _read(path: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if raw["schema_version"] != SCHEMA:
        raise ValueError(f"{path} has another schema")
    return raw


def _index(raw: Mapping[str, Any]) -> Index:
    def pretrained(row: dict[str, Any]) -> Pretrained:
        return Pretrained(**{**row, "mean": tuple(row["mean"]), "std": tuple(row["std"])})

    return Index(
        version=raw["version"],
        architectures={
            row["name"].lower(): Architecture(**{**row, "size": tuple(row["size"])})
            for row in raw["architectures"]
        },
        pretrained={
            name.lower(): {row["tag"]: pretrained(row) for row in rows}
            for name, rows in raw["pretrained"].items()
        },
    )


def make(*, count: bool = False) -> str:
    """The table of the library as it is installed, as JSON with one entry a line; imports the library.

    Args:
        count: count the parameters of every image tower (minutes) instead of taking over the known counts.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    counted = (
        {row["name"]: row.get("parameters") for row in _read(SHIPPED)["architectures"]} if not count else {}
    )
    architectures, pretrained = [], {}
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        size = config["vision_cfg"].get("image_size", 224)
        text = config["text_cfg"]
        architecture = Architecture(
            name=name,
            size=tuple(size) if isinstance(size, (list, tuple)) else (size, size),
            quick_gelu=config.get("quick_gelu", False),
            tokenizer=text.get("hf_tokenizer_name") or None,
            text_network=text.get("hf_model_name") or None,
            parameters=_count(config) if count else counted.get(name),
        )
        architectures.append(_given(architecture))
        rows = []
        for tag in open_clip.list_pretrained_tags_by_model(name):
            found = get_pretrained_cfg(name, tag)
            kept = {key: found[key] for key in ("url", "mean", "std", "interpolation", "resize_mode")}
            quick = found.get("quick_gelu", False)
            rows.append(_given(Pretrained(tag=tag, hub=found["hf_hub"], quick_gelu=quick, **kept)))
        if rows:
            pretrained[name] = rows
    lines = [f' "architectures": [\n{_lines(architectures, 2)}\n ]', _tables(pretrained)]
    head = f' "schema_version": {SCHEMA},\n "version": {json.dumps(open_clip.__version__)}'
    return "{\n" + ",\n".join([head, *lines]) + "\n}\n"


def _given(entry: Architecture | Pretrained) -> dict[str, Any]:
    return {key: value for key, value in asdict(entry).items() if value not in (None, False)}


def _lines(rows: list[dict[str, Any]], indent: int) -> str:
    return ",\n".join(" " * indent + json.dumps(row) for row in rows)


def _tables(pretrained: Mapping[str, list[dict[str, Any]]]) -> str:
    tables = [f"  {json.dumps(name)}: [\n{_lines(rows, 3)}\n  ]" for name, rows in pretrained.items()]
    return ' "pretrained": {\n' + ",\n".join(tables) + "\n }"


def _count(config: dict[str, Any]) -> int:
    """Parameters of the image tower, built without memory."""
    import torch
    from open_clip.model import _build_vision_tower

    config["vision_cfg"]["timm_model_pretrained"] = False
    with torch.device("meta"):
        tower = _build_vision_tower(
            config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False)
        )
    return sum(parameter.numel() for parameter in tower.parameters())


if __name__ == "__main__":  # python -m models_zoo.open_clip_index FILE [--count]
    write_atomic(Path(sys.argv[1]), make(count="--count" in sys.argv))
