"""Each check of sizes, files and the manifest has bundles that fail it and no other."""

from __future__ import annotations

import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaderboard.container import MANIFEST, UNPACKED_BYTES, write_zip
from leaderboard.manifest import Manifest
from leaderboard.verify import verify
from shifts.errors import ResultsError
from tests.leaderboard.checked_bundles import TABLE, failed, honest
from tests.leaderboard.made_bundles import Made, made

__all__ = ["honest"]  # the fixture, found by its name


def test_an_honest_bundle_passes_as_zip_and_as_folder(honest: Made, tmp_path: Path) -> None:
    zipped = verify(honest.write(tmp_path)).report
    assert zipped.passed and zipped.tier == "re-scored" and zipped.flagged == ()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    assert verify(honest.folder(unpacked)).report == replace(
        zipped, checks=verify(honest.folder(unpacked)).report.checks
    )
    assert verify(unpacked).report.bundle == zipped.bundle


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no bundle"):
        verify(tmp_path / "nowhere.zip")


# Sizes -------------------------------------------------------------------------------------------------


def test_a_bomb_is_seen_before_it_is_unpacked(
    honest: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, honest.members()[MANIFEST])
        with archive.open(TABLE, "w", force_zip64=True) as stream:
            for _ in range(UNPACKED_BYTES // 1_000_000 + 2):
                stream.write(bytes(1_000_000))
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # any attempt to read a member fails the test
    names, detail = failed(path)
    assert names == {"sizes"}
    assert "130.0 MB" in detail


def test_too_large_too_many(honest: Made, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with large.open("wb") as stream:
        stream.truncate(26_000_000)
    assert failed(large)[0] == {"sizes"}
    many = tmp_path / "many.zip"
    write_zip(many, {f"predictions/x{number}.parquet": b"" for number in range(600)})
    assert failed(many)[0] == {"sizes"}


def test_a_size_that_lies(honest: Made, tmp_path: Path) -> None:
    """The list of members says 10 bytes; unpacking stops there, and the damage is named."""
    path = honest.write(tmp_path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(TABLE).file_size
    at = data.rindex(TABLE.encode()) - 46
    assert int.from_bytes(data[at + 24 : at + 28], "little") == size
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    assert failed(path)[0] == {"integrity"}


# Files -------------------------------------------------------------------------------------------------


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        raise AssertionError("never pickled")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("notes.txt", "not a file of a bundle"),
        ("../../etc/cron.d/x", "points outside"),
        ("/etc/passwd", "points outside"),
        ("C:\\x", "points outside"),
        ("predictions\\..\\..\\x", "points outside"),
        ("predictions/x.pkl", "pickled"),
        ("weights.pt", "pickled"),
        ("predictions/digits--pad.parquet", "not listed"),
        ("predictions/DIGITS.parquet", "not a file of a bundle"),
        ("x" * 5000, "not a file of a bundle"),
    ],
)
def test_a_file_that_does_not_belong(name: str, said: str, honest: Made, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), name: pickle.dumps({"x": 1})})
    names, detail = failed(path)
    assert names == {"files"}
    assert said in detail and len(detail) < 1000


def test_links_are_not_followed(honest: Made, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(honest.files[TABLE])
    folder = honest.folder(tmp_path / "bundle")
    (folder / TABLE).unlink()
    (folder / TABLE).symlink_to(secret)
    names, detail = failed(folder)
    assert names == {"files"} and "a link" in detail
    path = honest.write(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("predictions/more.parquet")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    names, detail = failed(path)
    assert names == {"files"} and "a link" in detail


def test_a_member_twice_and_no_zip_at_all(honest: Made, tmp_path: Path) -> None:
    path = honest.write(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(MANIFEST, "{}")
    assert failed(path)[0] == {"files"}
    path.write_bytes(pickle.dumps([1, 2, 3]))
    assert failed(path)[0] == {"files"}


def test_a_listed_file_that_is_missing(honest: Made, tmp_path: Path) -> None:
    members = honest.members()
    del members[TABLE]
    path = tmp_path / "bundle.zip"
    write_zip(path, members)
    names, detail = failed(path)
    assert names == {"files"} and "not there" in detail


# Schema ------------------------------------------------------------------------------------------------


def _document(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Made], bytes]:
    def change(bundle: Made) -> bytes:
        document = json.loads(bundle.manifest.to_json())
        edit(document)
        return json.dumps(document).encode()

    return change


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.update(surprise=1), "unknown field 'surprise'"),
        (lambda d: d.pop("contact"), "no field 'contact'"),
        (lambda d: d.update(contact=" "), "contact is empty"),
        (lambda d: d.update(schema_version=99), "schema 99"),
        (lambda d: d["model"].update(parameters="many"), "expected int"),
        (lambda d: d["model"].update(parameters=True), "expected int"),
        (lambda d: d["model"].update(training_data=["my photos"]), "vocabulary"),
        (lambda d: d["model"].update(family="best"), "family"),
        (lambda d: d["model"].update(title="a" * 501), "501 characters"),
        (lambda d: d["model"].update(title="evil\u202etxt"), "control characters"),
        (lambda d: d["model"].update(title="a\ud800"), "control characters"),
        (lambda d: d["model"].update(paper="javascript:alert(1)"), "not a link"),
        (lambda d: d["model"].update(weights="abc"), "SHA-256"),
        (lambda d: d["model"].update(name="../../x y"), "model.name"),
        (lambda d: d["model"].update(label_space="imagenet-1k"), "asks for classes"),
        (lambda d: d["shifts"][0].update(n=0), "at least 1"),
        (lambda d: d["shifts"][0]["metrics"]["accuracy"].pop("low"), "not an estimate"),
    ],
)
def test_a_manifest_that_breaks_the_schema(
    edit: Callable[[dict[str, Any]], Any], said: str, honest: Made, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), MANIFEST: _document(edit)(honest)})
    names, detail = failed(path)
    assert names == {"schema"}
    assert said in detail


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b"{" * 100_000, b'{"schema_version": NaN}'])
def test_no_manifest_at_all(text: bytes, honest: Made, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), MANIFEST: text})
    assert failed(path)[0] == {"schema"}


def test_script_in_every_text_is_text(tmp_path: Path) -> None:
    """It is taken as it is: whoever shows it escapes it."""
    script = "<script>alert(1)</script>"
    bundle = made(title=script, licence=script, citation=script, source=script, authors=(script,))
    verified = verify(bundle.changed(contact=script).write(tmp_path))
    assert verified.report.passed and verified.manifest is not None
    assert verified.manifest.model.title == script


def test_the_manifest_survives_its_file(honest: Made) -> None:
    assert Manifest.from_json(honest.manifest.to_json()) == honest.manifest
