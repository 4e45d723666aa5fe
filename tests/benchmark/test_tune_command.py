"""``tune``: every file layout, the same numbers from the answers it writes, and what it refuses."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from benchmark.answer_files import open_answers
from benchmark.cli import run
from benchmark.feature_files import read_feature_file
from benchmark.feature_tuning import training_features
from benchmark.spectrum import singular_value_entropy, singular_values
from models_zoo.tuning.mlp_tuning import TransformedHead

CENTRES = np.random.default_rng(0).normal(size=(3, 8))


def sample(n: int, *, seed: int, moved: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    return (CENTRES[labels] + draw.normal(size=(n, 8)) + moved).astype(np.float32), labels


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, n, moved in (("train", 240, 0.0), ("id", 90, 0.0), ("ood", 60, 1.0)):
        values, labels = sample(n, seed=n, moved=moved)
        np.savez(tmp_path / f"{name}.npz", features=values, labels=labels)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]
    assert run(["tune", *arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["tune", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_layers_answers_and_numbers_agree(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "out"
    document = told(
        capsys, "-f", str(files / "train.npz"), "-t", str(files / "id.npz"), "-t", str(files / "ood.npz"),
        "-m", "lbfgs", "-m", "nmtune", "--seed", "2", "-o", str(out),
    )  # fmt: skip
    assert json.loads((out / "tune.json").read_text()) == document
    assert [one["method"] for one in document["results"]] == ["lbfgs", "nmtune"]
    of_nmtune = document["results"][1]
    values, labels = sample(60, seed=60, moved=1.0)
    head = TransformedHead(8, 3).eval()
    with safe_open(out / "nmtune-1" / "head.safetensors", framework="pt") as file:
        head.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        assert json.loads(file.metadata()["robustbench_shift"])["seed"] == 2
    with torch.no_grad():
        tuned = head.tuned(torch.from_numpy(values))
        logits = head.classifier(tuned).numpy()
    (answers,) = list(open_answers(out / "nmtune-1" / "answers-2-ood.parquet").chunks())
    np.testing.assert_allclose(answers.values, logits, rtol=1e-5)  # type: ignore[arg-type]
    test = of_nmtune["tests"][1]
    assert test["accuracy"]["value"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert test["accuracy"]["low"] < test["accuracy"]["value"] < test["accuracy"]["high"]
    entropy = singular_value_entropy(singular_values(tuned.numpy()))
    assert test["spectrum"]["sve"]["value"] == pytest.approx(entropy, rel=1e-5)
    plain = singular_value_entropy(singular_values(values))
    of_probe = document["results"][0]["tests"][1]["spectrum"]["sve"]["value"]
    assert of_probe == pytest.approx(plain), "a probe leaves the features"
    assert run(["tune", "-f", str(files / "train.npz"), "-m", "lp"]) == 0
    assert "240 (100 %)" in capsys.readouterr().out


def test_every_layout_gives_the_same_numbers(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values, labels = sample(240, seed=240)
    np.save(files / "train.npy", values)
    np.save(files / "y.npy", labels.astype(np.int32))
    save_file({"embeddings": values, "labels": labels}, files / "train.safetensors")
    pq.write_table(pa.table({"features": list(values), "label": labels}), files / "train.parquet")
    expected = None
    for name, more in (
        ("npz", ()),
        ("npy", ("--labels", str(files / "y.npy"))),
        ("safetensors", ()),
        ("parquet", ()),
    ):
        arguments = ("-f", str(files / f"train.{name}"), *more, "-t", str(files / "id.npz"), "-m", "lp")
        results = told(capsys, *arguments)["results"]
        expected = expected or results
        assert results == expected


def test_shares_are_stratified_and_nested(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = read_feature_file(files / "train.npz")
    kept = []
    for share in (0.1, 0.25, 0.5, 1.0):
        data = training_features(given, share=share, seed=1)
        assert np.allclose(np.bincount(data.labels), share * np.bincount(given.labels), atol=0.5)  # type: ignore[arg-type]
        kept.append({tuple(row) for row in data.features.tolist()})
    assert all(small < large for small, large in pairwise(kept))
    shares = told(
        capsys, "-f", str(files / "train.npz"), "-m", "lp", "--share", "0.1", "--share", "0.5"
    )["results"]  # fmt: skip
    assert [one["n"] for one in shares] == [len(kept[0]), len(kept[2])]


def test_parameters_are_the_methods_own(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ("-f", str(files / "train.npz"), "-t", str(files / "id.npz"))
    (row,) = told(capsys, *common, "--set", "epochs=1", "--set", "scale=0.5")["results"]
    assert row["parameters"] == {"epochs": 1, "scale": 0.5}
    assert "no way to fit" in refused(capsys, *common, "--set", "epoch=1")
    assert "epochs cannot be" in refused(capsys, *common, "--set", "epochs=many")
    assert "0 or more" in refused(capsys, *common, "--set", "covariance=-1")
    assert "methods: lp, lbfgs, mlp, nmtune, nmtune-code" in refused(capsys, *common, "-m", "nm-tune")


def test_without_labels_there_are_answers_alone(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(files / "few.npy", sample(5, seed=5)[0])
    arguments = (
        "-f",
        str(files / "train.npz"),
        "-t",
        str(files / "few.npy"),
        "-m",
        "lp",
        "-o",
        str(files / "o"),
    )
    (row,) = told(capsys, *arguments)["results"]
    assert row["tests"][0]["accuracy"] is None and row["tests"][0]["spectrum"] is None
    table = pq.read_table(files / "o" / "lp-1" / "answers-1-few.parquet")
    assert table.column_names == ["example_id", "prediction", "logits"] and table.num_rows == 5


def test_what_does_not_fit_together_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ("-f", str(files / "train.npz"))
    np.save(files / "x.npy", sample(9, seed=9)[0])
    assert "no labels to fit to" in refused(capsys, "-f", str(files / "x.npy"))
    np.save(files / "y.npy", np.arange(8))
    assert "int64 (8,) for the 9" in refused(
        capsys, "-f", str(files / "x.npy"), "--labels", str(files / "y.npy")
    )
    np.save(files / "y.npy", np.array([0] * 8 + [2]))
    wrong = refused(capsys, "-f", str(files / "x.npy"), "--labels", str(files / "y.npy"))
    assert "2 classes and labels up to 2" in wrong
    (files / "y.npy").write_bytes(b"no array")
    assert "no readable array" in refused(
        capsys, "-f", str(files / "x.npy"), "--labels", str(files / "y.npy")
    )
    np.savez(files / "wide.npz", features=np.zeros((3, 9), np.float32))
    assert "9 features" in refused(capsys, *train, "-t", str(files / "wide.npz"))
    np.savez(files / "more.npz", features=sample(3, seed=3)[0], labels=np.array([0, 1, 7]))
    assert "label 7" in refused(capsys, *train, "-t", str(files / "more.npz"))
    assert "in (0, 1]" in refused(capsys, *train, "--share", "10")
    assert "1 --test-labels for 0" in refused(capsys, *train, "--test-labels", str(files / "y.npy"))
    assert "not there" in refused(capsys, "-f", str(files / "nowhere.npz"))
