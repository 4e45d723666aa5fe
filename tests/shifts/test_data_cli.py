"""``robustbench-shift data``: what it prints, where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.cli import run
from tests.shifts import cifar_layouts as layouts

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return layouts.write_folder(tmp_path / "mine", layouts.small())


def add(copy: Path, *options: str) -> int:
    return run(["data", "add", "cifar10", str(copy), "--partial", *options])


def test_add_prints_what_it_found(copy: Path, capsys: Captured) -> None:
    assert add(copy) == 0
    printed = capsys.readouterr().out
    assert "20 images, a partial copy" in printed
    assert str(copy) in printed


def test_json_is_all_there_is_on_stdout(copy: Path, capsys: Captured) -> None:
    assert add(copy, "--json") == 0
    added = json.loads(capsys.readouterr().out)
    assert added["partial"] is True
    assert added["splits"]["test"]["n"] == 20
    assert run(["data", "list", "cifar10", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["sources"][0]
    assert listed["splits"] == {"test": 20}
    assert listed["root"] == str(copy)
    assert run(["data", "verify", "cifar10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_verify_names_the_bad_file_and_fails(copy: Path, capsys: Captured) -> None:
    add(copy)
    (copy / "test/cat/00000.png").write_text("<!DOCTYPE html>")
    capsys.readouterr()
    assert run(["data", "verify", "cifar10"]) == 2
    assert str(copy / "test/cat/00000.png") in capsys.readouterr().out
    assert run(["data", "verify", "cifar10", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_list_says_how_to_get_what_is_not_here(capsys: Captured) -> None:
    assert run(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert "data fetch cifar10" in printed
    assert "data add cifar10-jpeg75 PATH" in printed
    assert "bundled" in printed


def test_data_dir_keeps_copies_apart(copy: Path, tmp_path: Path, capsys: Captured) -> None:
    assert add(copy, "--data-dir", str(tmp_path / "disk")) == 0
    assert (tmp_path / "disk/cifar10/source.json").is_file()
    capsys.readouterr()
    run(["data", "list", "cifar10", "--json"])
    assert json.loads(capsys.readouterr().out)["sources"][0]["ready"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "cifar10", "nowhere"], "nothing is at nowhere"),
        (["add", "cifar11", "."], "did you mean"),
        (["verify", "cifar10"], "data fetch cifar10"),
        (["fetch", "cifar10"], "offline"),
        (["fetch", "digits"], "comes with the package"),
        (["fetch", "cifar10-jpeg75"], "data add cifar10-jpeg75 PATH"),
    ],
)
def test_mistakes_end_with_one_message(arguments: list[str], words: str, capsys: Captured) -> None:
    assert run(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_whole_set_is_asked_for_unless_partial(copy: Path, capsys: Captured) -> None:
    assert run(["data", "add", "cifar10", str(copy)]) == 2
    captured = capsys.readouterr()
    assert "20 images instead of 10000" in captured.err
    assert "--partial" in captured.err
