"""The split of PACS by style: verdicts from numbers, and the whole of it small on real images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.plots.halves import halves_figure
from benchmark.studies.support_natural import STYLES, means, table, verdicts


def numbers(shares: dict[str, list[float]]) -> dict[str, Any]:
    def one(share: float) -> dict[str, Any]:
        return {
            "in_support": {at: {"value": share} for at in ("0.2", "0.1")},
            "auroc": {"value": 0.9},
            "reference_in_support": {"value": 1.0},
            "n_shift": 100,
            "n_reference": 50,
        }

    rows = [{"seed": i, "styles": {style: one(shares[style][i]) for style in STYLES}} for i in range(3)]
    return {"seeds": rows, "means": means(rows)}


def test_the_verdicts_follow_the_numbers() -> None:
    def outcomes(art: list[float], sketch: list[float]) -> list[str]:
        made = numbers({"art": art, "cartoon": art, "sketch": sketch})
        assert len(table(made).rows) == len(STYLES)
        return [one.outcome for one in verdicts(made)]

    assert outcomes([0.5, 0.6, 0.55], [0.0, 0.01, 0.0]) == ["reproduced"] * 2
    assert outcomes([0.1, 0.11, 0.1], [0.5, 0.51, 0.5]) == ["not reproduced"] * 2
    assert outcomes([0.1, 0.9, 0.0], [0.0, 0.2, 0.0]) == ["within noise"] * 2


def test_an_empty_half_is_drawn_as_one() -> None:
    images = [np.zeros((8, 8, 3), dtype=np.uint8)] * 3
    figure = halves_figure({"a/b": (images, []), "a/c": (images[:1], images)})
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles == [
        "a/b: in support",
        "a/b: out of support (none)",
        "a/c: in support",
        "a/c: out of support",
    ]


def test_the_study_runs_on_real_images(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = real_data / "pacs" / "pacs_subset.tar"
    ask = ["study", "support-split", "--suite", "pacs", "--smoke", "--json", "-o", str(tmp_path)]
    assert run([*ask, "--results", str(tmp_path / "results")]) == 2, "the images are not here yet"
    assert "data add pacs" in capsys.readouterr().err
    assert run(["data", "add", "pacs", str(archive), "--partial"]) == 0
    capsys.readouterr()
    assert run([*ask, "--results", str(tmp_path / "results")]) == 0
    document = json.loads(capsys.readouterr().out)
    for row in document["numbers"]["seeds"]:
        assert row["styles"]["sketch"]["auroc"]["value"] > 0.95, "a sketch has no colour"
        assert row["styles"]["sketch"]["in_support"]["0.2"]["value"] < 0.2
    for name in ("support-split", "support-split-examples"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
