"""The command on a trained model and on files of features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.features import features as features_of
from benchmark.planning import contestant
from benchmark.spectrum import singular_value_entropy
from models_zoo.spec import MODELS
from models_zoo.training import train
from shifts.data import load_shift
from tests.benchmark.test_spectrum import by_numpy, draw


def saved(folder: Path, name: str, *, n: int = 200, seed: int = 0, prefix: str = "image") -> str:
    path = folder / name
    np.savez(
        path, features=draw(n, 12, seed=seed).astype(np.float32), ids=[f"{prefix}-{i}" for i in range(n)]
    )
    return str(path)


def test_the_command_gives_the_numbers_of_the_definition(
    trained_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["spectrum", "--model", "digits-cnn", "--shift", "digits", "--shift", "digits/unseen-tint"]
    assert run([*ask, "-o", str(tmp_path / "spectrum.png"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (tmp_path / "spectrum.png").stat().st_size > 10_000
    assert [one["name"] for one in found["spectra"]] == ["digits", "digits/unseen-tint"]
    spec = MODELS.get("digits-cnn")
    values = features_of(contestant(spec, weights=train(spec)), load_shift("digits")).values
    expected = singular_value_entropy(by_numpy(np.array(values), "samples", True))
    first = found["spectra"][0]
    assert first["sve"]["value"] == pytest.approx(expected, abs=1e-5)
    assert first["n"] == 597 and first["dim"] == values.shape[1]
    assert run(ask) == 0
    text = capsys.readouterr().out
    assert "centred over: samples" in text and f"{expected:.3f}" in text


def test_a_shift_stands_beside_its_reference(
    trained_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["spectrum", "-m", "digits-cnn", "-s", "digits/unseen-tint", "-s", "digits/label-shift", "--pair"]
    assert run([*ask, "--limit", "150", "--centre", "none", "--no-normalise", "--json"]) == 0
    tinted, labels = json.loads(capsys.readouterr().out)["pairs"]
    assert tinted["paired"] and tinted["reference_name"] == "digits"
    assert not labels["paired"] and labels["shift"]["n"] == labels["reference"]["n"]
    assert tinted["difference"]["sve"]["value"] == pytest.approx(
        tinted["shift"]["sve"]["value"] - tinted["reference"]["sve"]["value"]
    )
    assert run([*ask, "-o", str(tmp_path / "pair.pdf")]) == 0
    assert "(the same examples)" in capsys.readouterr().out


def test_features_from_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = saved(tmp_path, "a.npz")
    second, other = saved(tmp_path, "b.npz", seed=1), saved(tmp_path, "c.npz", n=90, prefix="other")
    assert (
        run(["spectrum", "--features", first, "--features", second, "--interval", "bootstrap", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert [one["n"] for one in found["spectra"]] == [200, 200] and found["model"] is None
    assert found["spectra"][0]["sve"]["method"] == "bootstrap of 40 parts"
    files = [part for path in (first, second, other) for part in ("--features", path)]
    assert run(["spectrum", *files, "--pair", "--json"]) == 0
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert [one["paired"] for one in pairs] == [True, False]
    assert [one["reference"]["n"] for one in pairs] == [200, 90]
    assert run(["spectrum", "--features", first, "--limit", "50"]) == 0
    assert "few examples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--model digits-cnn", "give --model and --shift"),
        ("--shift digits", "give --model and --shift"),
        ("--model digits-cnn --shift digits --pair", "is a reference itself"),
        ("--model digits-cnn --shift digist", "did you mean"),
        ("--model digits-cnn --shift digits --centre mean", "--centre is one of"),
        ("--model digits-cnn --shift digits -o spectrum.gif", "a figure ends in"),
        ("--features none.npy", "not there"),
        ("--features a.npz --pair", "twice or more"),
    ],
)
def test_mistakes_are_named(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spectrum", *arguments.split()]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", "").split())
