"""The commands as a user meets them: tables, JSON, messages, exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from benchmark.cli import run
from benchmark.predictions import read_predictions
from benchmark.result import RESULT
from models_zoo.loading import build_model
from models_zoo.recipe import trained_file
from models_zoo.spec import MODELS
from tests.contract.test_models import Evil


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was complained about, in one line: consoles wrap."""
    return " ".join(capsys.readouterr().err.split())


def evaluate(*arguments: str) -> int:
    return run(["eval", *arguments])


def test_eval_prints_one_json_document(capsys: pytest.CaptureFixture[str], trained_cache: Path) -> None:
    assert evaluate("--model", "digits-cnn", "--shift", "digits/unseen-tint", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    reference, shifted = document["results"]
    assert (reference["shift"], reference["reference"]) == ("digits", None)
    assert (shifted["shift"], shifted["reference"]) == ("digits/unseen-tint", "digits")
    assert shifted["n"] == 597
    accuracy = shifted["metrics"]["accuracy"]
    assert accuracy["method"] == "wilson"
    assert 0 < accuracy["low"] < accuracy["value"] < accuracy["high"] < 1
    assert shifted["reference_accuracy"] == reference["metrics"]["accuracy"]
    effective = shifted["effective_robustness"]
    assert effective["baseline"] == "digits-scratch-v1"
    assert effective["scale"] == "probit"
    assert effective["low"] <= effective["value"] <= effective["high"]
    assert {"r2", "flags"} <= set(effective)
    predictions = read_predictions(Path(shifted["predictions"]))
    correct = (predictions.prediction == predictions.labels).mean()
    assert accuracy["value"] == correct


def test_the_suite_as_a_table_and_again_from_disk(
    capsys: pytest.CaptureFixture[str], trained_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate("--model", "digits-cnn") == 0
    table = capsys.readouterr().out
    for word in (
        "digits/unseen-tint",
        "digits/label-shift",
        "digits/gaussian-noise/5",
        "synthetic",
        "597",
        "%",
    ):
        assert word in table
    monkeypatch.setitem(sys.modules, "benchmark.runner", None)  # importing it again would be an error
    assert evaluate("--model", "digits-cnn") == 0
    assert capsys.readouterr().out == table
    assert run(["report", "--csv", "t.csv", "--markdown", "t.md", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["results"]) == 43
    lines = list(csv.DictReader(Path("t.csv").read_text(encoding="utf-8").splitlines()))
    by_shift = {row["shift"]: row for row in document["results"]}
    assert len(lines) == 43
    for line in lines:
        assert float(line["accuracy"]) == by_shift[line["shift"]]["metrics"]["accuracy"]["value"]
    assert Path("t.md").read_text(encoding="utf-8").count("\n") == 45


def test_pretraining_is_effectively_robust_to_what_it_has_seen(
    capsys: pytest.CaptureFixture[str], trained_cache: Path
) -> None:
    """The first table shows what effective robustness is (papers: out of support, not in support)."""
    shifts = [
        argument for name in ("pad", "translate", "unseen-tint") for argument in ("-s", f"digits/{name}")
    ]
    assert evaluate("--model", "digits-cnn-pretrained", *shifts, "--json") == 0
    for row in json.loads(capsys.readouterr().out)["results"]:
        if row["reference"] is not None:
            assert row["effective_robustness"]["low"] > 0.05, row["shift"]


def test_a_limit_gives_a_part_of_the_same_predictions(trained_cache: Path) -> None:
    assert evaluate("--model", "digits-cnn", "-s", "digits/gaussian-noise/2", "--results", "whole") == 0
    assert (
        evaluate(
            "--model", "digits-cnn", "-s", "digits/gaussian-noise/2", "--limit", "50", "--results", "part"
        )
        == 0
    )
    (whole,), (part,) = (
        [path for path in Path(folder).rglob("*.parquet") if "noise" in str(path)]
        for folder in ("whole", "part")
    )
    all_rows, some = read_predictions(whole), read_predictions(part)
    place = {name: index for index, name in enumerate(all_rows.example_ids)}
    assert len(some) == 50
    for index, name in enumerate(some.example_ids):
        assert some.prediction[index] == all_rows.prediction[place[name]]
        assert some.label_probability[index] == pytest.approx(
            all_rows.label_probability[place[name]], rel=1e-5
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "--model", "digits-cn"], ["digits-cn", "did you mean 'digits-cnn'", "list models"]),
        (
            ["eval", "--model", "constant", "-s", "digits/unsen-tint"],
            ["did you mean 'digits/unseen-tint'", "list shifts"],
        ),
        (["eval", "--model", "constant", "--suite", "digit"], ["unknown suite", "list suites"]),
        (["eval", "--model", "toy-oracle", "-s", "digits"], ["'toy'", "'digits'", "suite"]),
        (
            ["eval", "--model", "constant", "-s", "cifar10"],
            ["cifar10", "data fetch cifar10", "data add cifar10 PATH"],
        ),
        (["eval", "--model", "constant", "--suite", "cifar10"], ["cifar10", "data add cifar10 PATH"]),
        (["eval", "--model", "constant", "-s", "digits", "--limit", "0"], ["--limit", "at least 1"]),
        (["eval", "--model", "constant", "-s", "digits", "--device", "cuda:7"], ["cuda:7"]),
        (["eval", "--model", "constant", "-s", "digits", "--precision", "int3"], ["int3", "bfloat16"]),
        (
            ["eval", "--model", "constant", "-s", "digits", "--results", "/dev/null/x"],
            ["/dev/null/x", "--results"],
        ),
        (["eval", "--model", "digits-cnn", "-s", "digits", "--weights", "absent.pt"], ["absent.pt"]),
        (
            ["eval", "--model", "constant", "--model", "toy-oracle", "--weights", "w.pt"],
            ["exactly one model"],
        ),
        (["eval", "--model", "constant", "-s", "digits", "--suite", "digits"], ["not both"]),
        (["eval", "--model", "digits-cnn-e2", "-s", "cifar10-jpeg75"], ["'digits'", "'cifar10'"]),
        (["eval"], ["--model"]),
        (["list", "things"], ["models, shifts, suites, sources"]),
        (["list", "models", "x*"], ["no models match 'x*'"]),
        (["show", "digits-cn"], ["did you mean", "digits-cnn"]),
        (["report"], ["results", "eval"]),
        (["train", "cifar10-resnet20"], ["not trained by a recipe"]),
        (["train", "digits-xyz"], ["unknown model"]),
        (["nonsense"], ["nonsense"]),
    ],
    ids=lambda value: (
        " ".join(value)
        if isinstance(value, list)
        and value
        and value[0] in ("eval", "list", "show", "report", "train", "nonsense")
        else ""
    ),
)
def test_mistakes_end_with_one_message_and_exit_code_2(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available() and "cuda:7" in arguments:
        pytest.skip("this machine has CUDA")
    assert run(arguments) == 2
    message = said(capsys)
    assert "Traceback" not in message
    for word in words:
        assert word in message, message


def test_results_of_a_newer_version_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--model", "constant", "-s", "toy") == 0
    (path,) = Path("results").rglob(RESULT)
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(raw | {"schema_version": 99}), encoding="utf-8")
    capsys.readouterr()
    for command in (["eval", "--model", "constant", "-s", "toy"], ["report"]):
        assert run(command) == 2
        assert "newer version (result schema 99" in said(capsys)


@pytest.mark.parametrize("kind", ["pickle with code", "garbage", "another network", "cut short"])
def test_bad_weights_are_refused(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("weights.pth")
    if kind == "pickle with code":
        torch.save({"conv1.weight": Evil()}, path)
    elif kind == "garbage":
        path.write_bytes(b"\x00\x01 no weights")
    elif kind == "another network":
        torch.save(build_model("cifar10-resnet32").network.state_dict(), path)
    else:
        torch.save(build_model("digits-cnn").network.state_dict(), path)
        path.write_bytes(path.read_bytes()[:3000])
    assert evaluate("--model", "digits-cnn", "-s", "digits", "--weights", str(path)) == 2
    message = said(capsys)
    assert "weights.pth" in message
    assert "Traceback" not in message
    assert not Path("pwned").exists()
    assert not list(Path("results").rglob("predictions.parquet"))


def test_a_failed_cell_is_recorded_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(images: object, rows: object, **parameters: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("shifts.perturbations.synthetic.tint", explode)
    assert evaluate("--model", "toy-oracle", "--json") == 1
    good, bad = json.loads(capsys.readouterr().out)["results"]
    assert (good["status"], good["metrics"]["accuracy"]["value"]) == ("ok", 1.0)
    assert bad["status"] == "error"
    assert bad["error"]["type"] == "MemoryError"
    assert "no room" in bad["error"]["message"]
    monkeypatch.undo()
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_OFFLINE", "1")
    assert (
        evaluate("--model", "toy-oracle", "--json", "--results", str(Path(good["predictions"]).parents[2]))
        == 0
    )


def test_a_full_disk_fails_what_does_not_fit_and_loses_nothing_else(trained_cache: Path) -> None:
    """A real process whose files may not grow past 12 kB, the nearest thing to a disk that is full."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))\n"
        "from benchmark.cli import run\n"
        "sys.exit(run(sys.argv[1:]))"
    )
    arguments = ["eval", "--model", "constant", "--model", "digits-cnn", "-s", "digits", "--json"]
    assert run(["train", "digits-cnn"]) == 0
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    document = json.loads(done.stdout)
    rows = {row["model"]: row for row in document["results"]}
    (fault,) = document["faults"]
    assert fault["cells"] == [{"model": "digits-cnn", "shift": "digits"}]
    assert "make room" in fault["hint"]
    assert rows["constant"]["status"] == "ok"
    assert rows["digits-cnn"]["status"] == "error"
    assert "make room" in rows["digits-cnn"]["error"]["hint"]
    assert done.stderr.count("make room") == 1
    assert "1 of 2 evaluations failed" in done.stderr
    assert "Traceback" not in done.stderr
    (stored,) = (path for path in Path("results").rglob(RESULT) if "digits-cnn@" in str(path))
    assert json.loads(stored.read_text(encoding="utf-8"))["status"] == "error"
    assert not list(Path("results").rglob("*.tmp"))
    assert run(arguments) == 0


def test_the_version_is_said_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"robustbench-shift {version('robustbench-shift')}\n", "")


def test_an_unknown_command_is_answered_with_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evl"]) == 2
    assert "eval" in said(capsys)


def test_a_name_between_colons_stays_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "open_clip:key:nothing"]) == 2
    assert "open_clip:key:nothing" in said(capsys)


def test_weights_are_ready_where_they_lie_and_not_where_those_of_another_recipe_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path))
    spec = MODELS.get("digits-cnn")
    ours, others = trained_file(spec), tmp_path / "models" / spec.name / "01234567.safetensors"
    states = []
    for file in (None, others, ours):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        assert run(["list", "models", spec.name, "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["models"]
        states.append(row["weights"])
    assert states == ["train", "train", "ready"]


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("models", "shifts", "suites", "sources"):
        assert run(["list", what, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)[what]
        assert rows
        assert run(["list", what, "*"]) == 0  # without a pattern, variants of one model share a line
        table = capsys.readouterr().out
        assert all(row["name"].rpartition("/")[0 if row.get("severity") else 2] in table for row in rows)
    assert run(["list", "shifts", "digits/contrast", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["shifts"]) == 5
    for name in ("digits-cnn", "digits/pad", "digits", "cifar10-resnet56", "toy"):
        assert run(["show", name, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert len(found) > 1
        assert run(["show", name]) == 0
        assert name in capsys.readouterr().out


def test_train_writes_the_same_weights_twice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = set()
    for folder in ("a", "b"):
        monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / folder))
        assert run(["train", "digits-cnn-e2", "--json"]) == 0
        hashes.add(json.loads(capsys.readouterr().out)["sha256"])
    assert len(hashes) == 1


def test_a_pipe_gets_no_colours_and_no_progress() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.cli", "eval", "--model", "toy-oracle"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert "toy/tint" in done.stdout
