"""``list models``: the project's own by family; of a library, what is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

# Variants of one scratch model that differ in width, share of the data or epochs: digits-cnn-w16-f25.
_VARIANT = re.compile(r"(?P<stem>.+?)(-[a-z]\d+)+")
_FAMILIES = (
    "standard",
    "more-data",
    "zero-shot",
    "robustness-intervention",
    "adversarial",
    "low-accuracy",
    "unknown",
)


def model_rows(pattern: str | None) -> list[dict[str, Any]]:
    """All that is known offline of the models whose names match, by family."""
    from models_zoo.spec import MODELS

    found = sorted(MODELS.entries(pattern), key=lambda spec: _FAMILIES.index(spec.family))
    return [
        {
            "name": spec.name,
            "title": spec.title,
            "family": spec.family,
            "classes": spec.label_space,
            "parameters": spec.parameters,
            "input": _input(spec),
            "training_data": list(spec.training_data),
            "licence": spec.licence,
            "weights": weights_state(spec),
            "suite": spec.suite,
        }
        for spec in found
    ]


def libraries() -> list[dict[str, Any]]:
    """Libraries whose models are listed only when they are asked for; imports and makes nothing."""
    from models_zoo.library_index import LIBRARIES, ready
    from models_zoo.spec import MODELS

    rows: list[dict[str, Any]] = []
    for prefix in MODELS.prefixes():
        name = prefix.rstrip(":")
        if name not in LIBRARIES:
            rows.append({"name": name, "version": None, "models": len(MODELS.library(prefix))})
            continue
        index = ready(name)
        rows.append(
            {
                "name": name,
                "version": index and index.version,
                "models": index and sum("." in key or ":" in key for key in index.entries),
            }
        )
    return rows


def print_models(rows: list[dict[str, Any]], pattern: str | None) -> None:
    """The table: of the project's own models with their titles, of a library's with its data and licence."""
    from benchmark.cli.terminal import columns, out

    if pattern is None or ":" not in pattern:
        shown = _without_variants(rows) if pattern is None else rows
        header: tuple[str, ...] = ("name", "title", "family", "classes", "parameters", "weights", "suite")
    else:
        shown = rows
        header = ("name", "family", "parameters", "input", "training data", "licence", "classes", "weights")
    lines = [[_cell(row[name.replace(" ", "_")]) for name in header] for row in shown]
    columns(header, lines)
    out().print(f"[dim]{len(rows):,} models; robustbench-shift show NAME tells all about one[/]")
    if pattern is None:
        for library in libraries():
            held = "" if library["models"] is None else f": weights of {library['models']:,} models"
            version = f" {library['version']}" if library["version"] else ""
            name = library["name"]
            out().print(f"[dim]{name}{version}{held}; robustbench-shift list models '{name}:*'[/]")


def weights_state(spec: ModelSpec) -> str:
    """``ready``, or what it takes: ``train`` (by its recipe), ``fetch``, or ``own`` (--weights FILE)."""
    if spec.recipe is not None:
        from models_zoo.recipe import is_trained

        return "ready" if is_trained(spec) else "train"
    if spec.weights is None:
        return "ready"
    from models_zoo.spec import HubFile, LocalFile

    if isinstance(spec.weights, LocalFile):
        return "ready"
    if isinstance(spec.weights, HubFile):
        from models_zoo.hub import was_fetched

        return "ready" if was_fetched(spec.weights) else "fetch"
    from models_zoo.weights import weights_folder

    if (weights_folder(spec) / spec.weights.filename).is_file():
        return "ready"
    return "fetch" if spec.weights.urls else "own"


def _input(spec: ModelSpec) -> list[int] | None:
    """Height and width of what the network sees; None where it takes any."""
    if spec.preprocess.crop is not None:
        return list(spec.preprocess.crop)
    return list(spec.preprocess.resize) if isinstance(spec.preprocess.resize, tuple) else None


def _without_variants(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models of one stem and several variants as one line."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        variant = _VARIANT.fullmatch(row["name"]) if row["weights"] in ("train", "ready") else None
        key = (variant["stem"], "variants") if variant else (row["name"], "")
        groups.setdefault(key, []).append(row)
    shown = []
    for (stem, _), members in groups.items():
        if len(members) < 3:
            shown += members
            continue
        states = sorted({row["weights"] for row in members})
        merged = {"name": f"{stem}-* ({len(members)})", "parameters": None, "weights": "/".join(states)}
        shown.append({**members[0], **merged})
    return shown


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value / 1e6:.1f} M" if value >= 100_000 else f"{value:,}"
    if isinstance(value, list):
        return " × ".join(map(str, value)) if value and isinstance(value[0], int) else ", ".join(value)
    return "–" if value is None else str(value)
