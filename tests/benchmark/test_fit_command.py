"""``fit`` and ``baselines``: the published headline as one command, and what a user gets wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.baselines import load_baseline
from benchmark.cli import run


def output(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = run(arguments)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def document(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(output([*arguments, "--json"], capsys))
    return found


def test_the_headline_is_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "fit",
        "--baseline",
        "cohen-wang-2024",
        "-s",
        "imagenet-v2",
        "-s",
        "imagenet-sketch",
        "--of",
        "more-data",
    ]
    v2, sketch = document(command, capsys)["fits"]  # type: ignore[misc]
    assert 100 * v2["effective_robustness"]["highest"]["value"] == pytest.approx(1.80, abs=0.1)
    assert 100 * sketch["effective_robustness"]["mean"]["value"] == pytest.approx(12.25, abs=0.5)
    assert v2["effective_robustness"]["n_models"] == 55
    text = output(command, capsys)
    assert "largest +1.78" in text and "mean +12.50 points" in text


def test_fit_follows_the_documented_schema(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(["fit", "--reference", "imagenet-val", "--shift", "imagenet-v2"], capsys)
    names = (
        "reference shift scale slope intercept r2 residual_sd n_models baseline band members excluded flags"
    )
    assert set(names.split()) <= set(found)
    assert found["baseline"] == "imagenet-testbed-v1"
    assert found["n_models"] == 85


def test_clip_against_another_baselines_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "fit",
        "-r",
        "imagenet-val",
        "-s",
        "imagenet-v2",
        "--among",
        "open-clip",
        "--of",
        "ViT-B-16:openai",
    ]
    found = document(arguments, capsys)["effective_robustness"]
    assert 100 * found["highest"]["value"] == pytest.approx(6.5, abs=0.2)  # type: ignore[index]


def test_the_matched_reference_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(["fit", "-s", "imagenet-a"], capsys)["reference"] == "imagenet-val/a-classes"
    text = output(["fit", "-s", "imagenet-a", "-r", "imagenet-val"], capsys)
    assert "weak fit" in text and "knee" in text


def test_several_references_make_a_plane(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "-r", "imagenet-val", "-r", "cifar10", "-s", "imagenet-v2", "--baseline", "open-clip"]
    assert len(document(arguments, capsys)["slopes"]) == 2  # type: ignore[arg-type]
    assert "r²" in output(arguments, capsys)
    found = document([*arguments, "--of", "ViT-B-16:openai"], capsys)["effective_robustness"]
    assert abs(found["ViT-B-16:openai"]["value"]) < 0.02  # type: ignore[index]
    assert "ViT-B-16:openai: " in output([*arguments, "--of", "ViT-B-16:openai"], capsys)


def test_a_table_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    rows = [f"m{i},{0.5 + 0.04 * i:.2f},{0.4 + 0.04 * i:.2f}" for i in range(8)]
    path.write_text("\n".join(["model,val,new", *rows]))
    found = document(["fit", "--table", str(path), "-r", "val", "-s", "new", "--scale", "linear"], capsys)
    assert found["slope"] == pytest.approx(1.0)
    assert found["n_models"] == 8
    path.write_text("model,val,new\na,60,50\n")
    assert run(["fit", "--table", str(path), "-r", "val", "-s", "new"]) == 2
    assert "fraction" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fit -s nothing-such", "no shipped baseline"),
        ("fit -r imagenet-val -s imagenet-v2 --baseline imagenet-testbde", "did you mean imagenet-testbed"),
        ("fit -r imagenet-val -s imagenet-v2 --scale cubic", "probit, logit, linear"),
        ("fit -r imagenet-val -s imagenet-v2 --of nobody", "no such model"),
        ("fit -r imagenet-val -s imagenet-v2 --family nobody", "needs 4 baseline models"),
        ("baselines nothing", "there are"),
        ("fit -s digits/pad --baseline results:/nothing", "no finished evaluations"),
    ],
)
def test_mistakes_are_named(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments.split()) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_baselines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    names = [one["name"] for one in document(["baselines"], capsys)["baselines"]]  # type: ignore[attr-defined]
    assert {"imagenet-testbed-v1", "timm-in1k-v1", "open-clip-v1", "cohen-wang-2024-v1"} <= set(names)
    text = output(["baselines"], capsys)
    assert "imagenet-testbed-v1" in text


def test_one_baseline_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(["baselines", "cifar10.1-models@1"], capsys)
    assert "0.9515" in text and load_baseline("cifar10.1-models").revision in text
    lines = document(["baselines", "imagenet-testbed", "--shift", "imagenet-c/fog/*"], capsys)["lines"]
    assert {line["shift"] for line in lines} == {f"imagenet-c/fog/{level}" for level in range(1, 6)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments", [["fit", "--help"], ["baselines"], ["plot", "--help"], ["compare", "-h"]]
)
def test_these_commands_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        f"import sys\nfrom benchmark.cli import run\nrun({arguments!r})\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'matplotlib', 'sklearn', 'scipy.stats'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
