"""Own data: a folder and a table become a shift that every command knows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli import run
from shifts import own
from shifts.data import load_examples, load_shift
from shifts.errors import CorruptDataError, DataNotFoundError, UnknownNameError, UserError
from shifts.labels import LABEL_SPACES
from shifts.local import source_folder
from shifts.own import add_own
from shifts.spec import SHIFTS, SOURCES
from shifts.verifying import ready, verify
from tests.shifts.sources.copies import encoded, truncate, write_csv, write_images

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _default_home_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_homes", [])


def rows(number: int = 40) -> list[dict[str, object]]:
    return [
        {"path": f"scans/{row}.png", "label": row % 10, "tool": ("pen", "pencil")[row % 2], "day": row // 20}
        for row in range(number)
    ]


@pytest.fixture
def mine(tmp_path: Path) -> tuple[Path, Path]:
    images, table = tmp_path / "images", tmp_path / "labels.csv"
    write_images(images, [str(row["path"]) for row in rows()], size=16)
    write_csv(table, rows())
    return images, table


def test_a_shift_against_a_reference(mine: tuple[Path, Path]) -> None:
    record = add_own("my-scans", *mine, groups=["tool"], reference="digits")
    assert record.declaration is not None
    spec = SHIFTS.get("my-scans")
    assert (spec.kind, spec.reference, spec.label_space) == ("natural", "digits", "digits")
    shift = load_shift("my-scans")
    assert len(shift) == 40
    assert shift.example_ids[3] == "scans/3.png"
    assert shift.labels.tolist() == [row % 10 for row in range(40)]
    assert shift.group_columns["tool"].names == ("pen", "pencil")
    assert np.array_equal(shift.item(0), load_examples("my-scans", "test").image(0))
    assert "my-scans" in SHIFTS.names() and "my-scans" in SOURCES.names()
    assert verify("my-scans").ok
    assert ready("my-scans")[0].splits == {"test": 40}
    assert any(str(mine[0]) in note for note in record.notes)


def test_without_a_reference_it_is_one_and_has_synthetic_shifts(mine: tuple[Path, Path]) -> None:
    add_own("my-digits", *mine)
    spec = SHIFTS.get("my-digits")
    assert (spec.kind, spec.label_space, spec.groups) == ("reference", "my-digits", ("class",))
    assert LABEL_SPACES.get("my-digits").class_names == tuple("0123456789")
    assert SHIFTS.get("my-digits/unseen-tint").reference == "my-digits"
    assert load_shift("my-digits/pad").item(0).shape == (16, 16, 3)


def test_another_process_finds_it(mine: tuple[Path, Path]) -> None:
    add_own("my-scans", *mine, reference="digits")
    code = "from shifts.data import load_shift; print(len(load_shift('my-scans')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "40"


def test_labels_by_name_and_a_path_with_blanks(tmp_path: Path) -> None:
    names = ["a b/ü 1.jpg", "a b/2.PNG", "3.webp.png"]
    write_images(tmp_path / "i", names)
    table = tmp_path / "t.csv"
    table.write_bytes(
        "\ufeffFilename,Class,id\na b/ü 1.jpg,Cat,x1\na b/2.PNG,3,x2\n3.webp.png,automobile,x3\n".encode()
    )
    add_own("my-pets", tmp_path / "i", table, reference="cifar10", kind="spurious")
    shift = load_shift("my-pets")
    assert shift.labels.tolist() == [3, 3, 1]
    assert shift.example_ids == ["x1", "x2", "x3"]
    assert shift.spec.kind == "spurious"


def test_classes_and_answers_are_those_of_the_reference(mine: tuple[Path, Path]) -> None:
    add_own("my-nine", *mine, reference="cifar10/stl10-classes")
    shift = load_shift("my-nine")
    assert shift.num_classes == 9
    assert len(shift) == 36  # the frogs are no class of the reference


def test_a_copy_lives_on_its_own(mine: tuple[Path, Path]) -> None:
    add_own("my-scans", *mine, reference="digits", copy=True)
    (mine[0] / "scans/3.png").unlink()
    mine[1].unlink()
    assert load_shift("my-scans").item(3).shape == (16, 16, 3)
    assert verify("my-scans").ok


def test_images_that_change_or_go_are_named(mine: tuple[Path, Path]) -> None:
    add_own("my-scans", *mine, reference="digits")
    (mine[0] / "scans/3.png").write_bytes(encoded(99))
    with pytest.raises(CorruptDataError, match=r"3\.png.*changed"):
        load_shift("my-scans")
    (mine[0] / "scans/4.png").unlink()
    assert any("4.png" in fault for fault in verify("my-scans").faults)


def test_other_content_needs_replace(mine: tuple[Path, Path]) -> None:
    add_own("my-scans", *mine, reference="digits")
    write_csv(mine[1], rows(30))
    with pytest.raises(UserError, match="differs from the recorded copy"):
        add_own("my-scans", *mine, reference="digits")
    assert len(load_shift("my-scans")) == 40
    assert "10 images" in add_own("my-scans", *mine, reference="digits", replace=True).notes[0]
    assert len(load_shift("my-scans")) == 30


def changed(**values: object) -> list[dict[str, object]]:
    found = rows()
    found[5] |= values
    return found


MISTAKES: dict[str, tuple[dict[str, Any], list[dict[str, object]], str]] = {
    "name taken": ({"name": "cifar10"}, rows(), "there is a shift 'cifar10' already"),
    "name made": ({"name": "cifar10-tinted"}, rows(), "there is a shift 'cifar10-tinted' already"),
    "name with slash": ({"name": "my/scans"}, rows(), "without slash"),
    "name in capitals": ({"name": "My Scans"}, rows(), "not of the form"),
    "reference unknown": ({"reference": "digitz"}, rows(), "did you mean 'digits'"),
    "reference is a shift": ({"reference": "digits/pad"}, rows(), "is no reference"),
    "classes contradict": ({"label_space": "toy"}, rows(), "has the classes of 'digits'"),
    "group unknown": ({"groups": ["pens"]}, rows(), "no group column 'pens'"),
    "label unknown": ({}, changed(label="zwei"), "row 6: the label 'zwei' is none of the 10 classes"),
    "label too large": ({}, changed(label=10), "row 6: the label '10'"),
    "label empty": ({}, changed(label=""), "row 6: the label ''"),
    "path twice": ({}, changed(path="scans/4.png"), "rows 5 and 6 have the same path"),
    "path outside": ({}, changed(path="../secret.png"), "does not lie below"),
    "path absolute": ({}, changed(path="/etc/passwd"), "does not lie below"),
    "image missing": ({}, changed(path="scans/x.png"), "1 of the 40 images"),
    "no label column": ({}, [{"path": "a.png", "lable": 1}], "no column for the label"),
    "no path column": ({}, [{"where": "a.png", "label": 1}], "no column for the path"),
    "one class": ({"reference": None}, [{"path": "scans/1.png", "label": "x"}], "all rows"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_and_leave_nothing(mistake: str, mine: tuple[Path, Path]) -> None:
    options, table, words = MISTAKES[mistake]
    write_csv(mine[1], table)
    options = {"name": "my-scans", "reference": "digits", **options}
    with pytest.raises(UserError) as caught:
        add_own(options.pop("name"), *mine, **options)
    assert words in caught.value.message
    assert caught.value.hint
    assert not source_folder("my-scans").exists()
    with pytest.raises(UnknownNameError):
        SHIFTS.get("my-scans")


def test_a_damaged_image_is_named_as_the_user_knows_it(mine: tuple[Path, Path]) -> None:
    truncate(mine[0] / "scans/7.png")
    with pytest.raises(CorruptDataError) as caught:
        add_own("my-scans", *mine, reference="digits")
    assert str(mine[0] / "scans/7.png") in caught.value.message
    assert not source_folder("my-scans").exists()


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [("nowhere", "labels.csv", "folder of images"), ("images", "no.csv", "table")],
)
def test_what_is_not_there_is_named(
    mine: tuple[Path, Path], images: str, labels: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataNotFoundError, match=words):
        add_own("my-scans", tmp_path / images, tmp_path / labels)
    with pytest.raises(UserError, match="swapped"):
        add_own("my-scans", mine[1], mine[0])


def test_the_commands_work_with_it(mine: tuple[Path, Path], tmp_path: Path, capsys: Captured) -> None:
    images, table = map(str, mine)
    options = ["--images", images, "--labels", table, "--groups", "tool,day", "--reference", "digits"]
    assert run(["data", "add", "--name", "my-scans", *options]) == 0
    assert "my-scans/test: 40 images" in capsys.readouterr().out
    results = ["--results", str(tmp_path / "results")]
    assert run(["eval", "--model", "constant", "--shift", "my-scans", *results, "--json"]) == 0
    rows_of = {row["shift"]: row for row in json.loads(capsys.readouterr().out)["results"]}
    assert set(rows_of) == {"digits", "my-scans"}
    row = rows_of["my-scans"]
    assert row["metrics"]["accuracy"]["value"] == 0.1
    assert row["metrics"]["worst_group_accuracy"] is not None
    assert row["reference_accuracy"] is not None
    assert run(["report", *results, "--json"]) == 0
    assert {row["shift"] for row in json.loads(capsys.readouterr().out)["results"]} == {"digits", "my-scans"}
    for command in (
        ["data", "list", "my-scans"],
        ["data", "verify", "my-scans"],
        ["list", "shifts", "my*"],
        ["show", "my-scans"],
    ):
        assert run(command) == 0
        assert "my-scans" in capsys.readouterr().out


def test_another_data_folder_is_looked_in(mine: tuple[Path, Path], tmp_path: Path, capsys: Captured) -> None:
    disk = ["--data-dir", str(tmp_path / "disk")]
    options = ["--images", str(mine[0]), "--labels", str(mine[1]), "--reference", "digits"]
    assert run(["data", "add", "--name", "my-scans", *options, *disk]) == 0
    own._homes.clear()
    results = ["--results", str(tmp_path / "results")]
    assert run(["eval", "--model", "constant", "--shift", "my-scans", *results]) == 2
    assert run(["eval", "--model", "constant", "--shift", "my-scans", *results, *disk]) == 0
    assert run(["data", "verify", "my-scans", *disk]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "my-scans"],
        ["cifar10", "--name", "my-scans", "--images", "i", "--labels", "l"],
        ["--name", "my-scans", "--images", "i", "--labels", "l", "--partial"],
        ["--name", "my-scans", "--images", "i", "--labels", "l", "--kind", "odd"],
        ["cifar10"],
        [],
    ],
)
def test_half_an_order_is_explained(arguments: list[str], capsys: Captured) -> None:
    assert run(["data", "add", *arguments]) == 2
    captured = capsys.readouterr()
    assert "--name, --images and --labels" in captured.err or "--kind must be one of" in captured.err
    assert "Traceback" not in captured.err


def test_a_reference_that_is_gone_does_not_break_the_list(mine: tuple[Path, Path]) -> None:
    add_own("my-digits", *mine)
    add_own("my-scans", *mine, reference="my-digits")
    assert SHIFTS.get("my-scans").label_space == "my-digits"
    shutil.rmtree(source_folder("my-digits"))
    assert "my-scans" not in SHIFTS.names()
    assert "digits" in SHIFTS.names()
