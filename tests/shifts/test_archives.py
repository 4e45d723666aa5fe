"""Archives from strangers."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from shifts.archives import archive_kind, unpack
from shifts.errors import CorruptDataError, UserError


def tar(path: Path, *members: tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special(path: Path, kind: bytes, *, target: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_tars_are_known_by_content(tmp_path: Path, mode: str) -> None:
    path = tar(tmp_path / "data.bin", ("a/b.txt", b"hello"), ("c.txt", b""), mode=mode)
    assert archive_kind(path) == "tar"
    seen: list[int] = []
    unpack(path, tmp_path / "out", progress=lambda done, total: seen.append(done))
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"hello"
    assert (tmp_path / "out/c.txt").read_bytes() == b""
    assert seen == [5]


def test_old_tars_without_a_magic_are_known(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    header = bytearray(path.read_bytes())
    header[257:265] = b"\0" * 8
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    path.write_bytes(bytes(header))
    assert archive_kind(path) == "tar"


def test_zips_are_known_by_content(tmp_path: Path) -> None:
    path = tmp_path / "data.tar.gz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "hello")
        archive.mkdir("empty")
    assert archive_kind(path) == "zip"
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_text() == "hello"
    assert (tmp_path / "out/empty").is_dir()


@pytest.mark.parametrize("content", [b"", b"hello", b"<!DOCTYPE html>", b"\0" * 1024, b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    assert archive_kind(path) is None
    with pytest.raises(CorruptDataError, match=r"x\.tar\.gz"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "C:/evil", "x" * 2000])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_no_member_lies_outside(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "tar":
        tar(path, ("fine", b"1"), (name, b"2"))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fine", b"1")
            archive.writestr(zipfile.ZipInfo("x"), b"2")
            archive.infolist()[1].filename = name
            archive.infolist()[1].orig_filename = name
    with pytest.raises(UserError) as caught:
        unpack(path, tmp_path / "deep/out")
    assert repr(name)[:40] in caught.value.message
    assert not (tmp_path / "deep/out").exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_no_links_and_no_devices(tmp_path: Path, kind: bytes) -> None:
    path = special(tmp_path / "x.tar", kind, target="/etc/passwd")
    with pytest.raises(UserError, match="'odd'"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_links_in_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("odd")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="a link"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_size_and_number_are_bounded(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar.gz", ("a", b"0" * 5000), ("b", b"0" * 5000))
    with pytest.raises(UserError, match="'b'"):
        unpack(path, tmp_path / "out", max_bytes=6000)
    with pytest.raises(UserError, match="'b'"):
        unpack(path, tmp_path / "out", max_files=1)
    assert not (tmp_path / "out").exists()


def test_a_bomb_is_stopped_by_the_default_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shifts.archives.SMALLEST_LIMIT", 10_000)
    path = tar(tmp_path / "x.tar.gz", ("zeros", bytes(10_000_000)))
    with pytest.raises(UserError, match="'zeros'"):
        unpack(path, tmp_path / "out")


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    for second in ("a", "a/b"):
        path = tar(tmp_path / "x.tar", ("a", b"1"), (second, b"2"))
        with pytest.raises(UserError, match="same place"):
            unpack(path, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_cut_short_is_named_and_leaves_nothing(tmp_path: Path, mode: str) -> None:
    import random

    path = tar(tmp_path / "x.tar", ("a", random.Random(0).randbytes(50_000)), mode=mode)
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(CorruptDataError, match=r"x\.tar"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"hello" * 100)
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptDataError, match=r"x\.zip"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"hello")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="encrypted"):
        unpack(path, tmp_path / "out")
