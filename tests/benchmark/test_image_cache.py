"""The cache of decoded, resized images and the reader that fills it: nothing stale or damaged comes out."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

import benchmark.image_filling
import benchmark.reading
from benchmark.chunks import NOTHING, RAW, Wanted, geometry_of
from benchmark.image_cache import (
    VARIABLE,
    Kept,
    among,
    entries_of,
    entry_folder,
    images_home,
    key_of,
    limit_bytes,
    look_up,
)
from benchmark.image_filling import Filling
from benchmark.reading import IN_TURNS, Reader, workers_for
from models_zoo.spec import Preprocess
from shifts.data import Examples
from shifts.errors import CorruptDataError, UserError

KEY = "0" * 64
IDS = ["a", "b", "c"]


def pixels(number: int, side: int = 4) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (number, side, side, 3), dtype=np.uint8)


def fill(key: str, rows: np.ndarray, images: np.ndarray) -> Path:
    filling = Filling(key, rows)
    filling.put(rows, images)
    filling.close()
    return entry_folder(key, rows)


def taken(kept: Kept, rows: np.ndarray) -> np.ndarray:
    into = np.empty((len(rows), *kept.shape), dtype=np.uint8)
    kept.read(rows, into)
    return into


def test_the_key_covers_what_moves_a_pixel_or_a_row() -> None:
    squash = Preprocess(resize=(8, 8), crop=(8, 8))
    known = key_of("content", IDS, squash)
    assert known == key_of("content", IDS, dataclasses.replace(squash, mean=(0.5, 0.5, 0.5)))
    others = [
        key_of("other", IDS, squash),
        key_of("content", IDS[::-1], squash),
        key_of("content", IDS, dataclasses.replace(squash, interpolation="bicubic")),
        key_of("content", IDS, dataclasses.replace(squash, resizer="torchvision")),
        key_of("content", IDS, RAW),
    ]
    assert len({known, *others}) == 6


def test_rows_are_found_among_others_as_by_a_look_at_all() -> None:
    draw = np.random.default_rng(0)
    for number in (0, 1, 2, 50):
        rows = np.unique(draw.integers(0, 60, number))
        positions = np.arange(-1, 62)
        np.testing.assert_array_equal(among(positions, rows), np.isin(positions, rows))


def test_only_what_moves_pixels_is_a_geometry() -> None:
    normal = Preprocess(resize=8, crop=(8, 8), mean=(0.1, 0.2, 0.3), std=(2, 2, 2))
    assert geometry_of(normal) == Preprocess(resize=8, crop=(8, 8))
    assert geometry_of(Preprocess(interpolation="bicubic", mean=(0.1, 0.2, 0.3))) == RAW


def test_what_threads_put_in_any_order_comes_out_in_any_order() -> None:
    rows = np.arange(3, 203, 2)
    images = pixels(len(rows))
    filling = Filling(KEY, rows)
    places = np.random.default_rng(0).permutation(len(rows))
    parts = [np.sort(part) for part in np.array_split(places, 13)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: filling.put(rows[part], images[part]), parts))
    assert look_up(KEY, rows) is None, "not before it is whole"
    filling.close()
    kept = look_up(KEY, rows)
    assert kept is not None
    np.testing.assert_array_equal(taken(kept, rows), images)
    np.testing.assert_array_equal(taken(kept, rows[[1, 5, 6, 99]]), images[[1, 5, 6, 99]])
    assert look_up(KEY, rows[10:20]) is not None
    assert look_up(KEY, np.array([4])) is None
    assert look_up("1" * 64, rows) is None
    assert sorted(path.name for path in images_home().iterdir()) == [kept.folder.name]


def test_a_wider_entry_takes_the_place_of_a_narrower_one() -> None:
    images = pixels(10)
    fill(KEY, np.arange(2, 5), images[2:5])
    whole = fill(KEY, np.arange(10), images)
    assert entries_of(KEY) == [whole]


def test_an_image_that_changed_on_disk_does_not_come_out() -> None:
    rows = np.arange(10)
    folder = fill(KEY, rows, pixels(10))
    with (folder / "pixels.bin").open("r+b") as file:
        file.seek(7 * 48 + 5)
        file.write(b"\x00\x01\x02\x03")
    kept = look_up(KEY, rows)
    assert kept is not None
    taken(kept, rows[:7])
    with pytest.raises(CorruptDataError, match="damaged"):
        taken(kept, rows[7:9])


def test_a_file_that_is_cut_short_while_it_is_read_is_damage() -> None:
    rows = np.arange(10)
    folder = fill(KEY, rows, pixels(10))
    kept = look_up(KEY, rows)
    assert kept is not None
    os.truncate(folder / "pixels.bin", 8 * 48 + 5)
    taken(kept, rows[:8])
    with pytest.raises(CorruptDataError, match="damaged"):
        taken(kept, rows[7:9])


def test_what_the_system_gives_in_parts_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, images = np.arange(10), pixels(10)
    fill(KEY, rows, images)
    kept = look_up(KEY, rows)
    assert kept is not None
    read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, into, offset: read(file, [into[0][:100]], offset))
    np.testing.assert_array_equal(taken(kept, rows[2:]), images[2:])


@pytest.mark.parametrize("damage", ["cut short", "index", "no record", "schema", "key"])
def test_a_damaged_entry_is_removed(damage: str) -> None:
    rows = np.arange(10)
    folder = fill(KEY, rows, pixels(10))
    record = json.loads((folder / "record.json").read_text())
    if damage == "cut short":
        os.truncate(folder / "pixels.bin", 100)
    elif damage == "index":
        np.save(folder / "sums.npy", np.zeros(10, dtype=np.uint32))
    elif damage == "no record":
        (folder / "record.json").unlink()
    else:
        changed = {"schema_version": 99} if damage == "schema" else {"key": "2" * 64}
        (folder / "record.json").write_text(json.dumps({**record, **changed}))
    assert look_up(KEY, rows) is None
    assert not folder.exists()


def test_what_was_used_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(1000 / 2**30))
    keys = [str(number) * 64 for number in range(4)]
    for age, key in zip((30, 10, 20), keys, strict=False):
        record = fill(key, np.arange(6), pixels(6)) / "record.json"  # 288 bytes
        os.utime(record, (1e9 - age, 1e9 - age))
    assert look_up(keys[0], np.arange(6)) is not None  # used now
    fill(keys[3], np.arange(6), pixels(6))
    assert [bool(entries_of(key)) for key in keys] == [True, True, False, True]
    big = fill("9" * 64, np.arange(30), pixels(30))  # more than the limit: nothing goes for it
    assert not big.exists()
    assert [bool(entries_of(key)) for key in keys] == [True, True, False, True]


@pytest.mark.parametrize("text", ["much", "-1", "inf", "nan"])
def test_a_limit_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UserError, match="no size in GiB"):
        limit_bytes()


def test_filling_gives_up_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(10)
    sizes = Filling(KEY, rows)
    sizes.put(rows[:5], pixels(5))
    sizes.put(rows[5:], pixels(5, side=6))
    assert not sizes.live
    unfinished = Filling(KEY, rows)
    unfinished.put(rows[:5], pixels(5))
    unfinished.close()
    assert look_up(KEY, rows) is None

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Filling, "_write", full)
        fill(KEY, rows, pixels(10))
    with monkeypatch.context() as patched:
        usage = shutil_usage(free=100)
        patched.setattr(benchmark.image_filling.shutil, "disk_usage", lambda _: usage)
        fill(KEY, rows, pixels(10))
    assert list(images_home().iterdir()) == []


def shutil_usage(*, free: int) -> object:
    return type("usage", (), {"free": free})


def test_one_process_fills_and_what_a_dead_one_left_is_removed() -> None:
    rows = np.arange(10)
    folder = entry_folder(KEY, rows)
    images_home().mkdir(parents=True)
    with FileLock(f"{folder}.lock"):
        assert not Filling(KEY, rows).live
    stale = images_home() / "dead-entry.part"
    stale.mkdir()
    (stale / "pixels.bin").write_bytes(b"half")
    fill(KEY, rows, pixels(10))
    assert [path.name for path in images_home().iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("cores", "devices", "expected"),
    [
        (1, ["cpu"], IN_TURNS),
        (16, ["cpu"], IN_TURNS),
        (2, ["cuda (NVIDIA H100)"], 1),
        (8, ["cpu", "mps"], 7),
        (64, ["cuda (NVIDIA H100)"], 16),
        (1, ["cuda (NVIDIA H100)"], 1),
    ],
)
def test_threads_that_decode_leave_cores_to_the_networks(
    cores: int, devices: list[str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.reading, "_cores", lambda: cores)
    assert workers_for(devices) == expected


@pytest.mark.parametrize(
    ("size", "cores", "lengths"),
    [(256, 2, [128, 128, 44]), (256, 16, [128, 128, 44]), (100, 1, [100] * 3)],
)
def test_in_turns_nobody_reads_while_the_networks_work(
    size: int, cores: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.reading, "_cores", lambda: cores)
    working = threading.Event()
    asked_at_work: list[int] = []

    class Pixels:
        def __len__(self) -> int:
            return 300

        def __getitem__(self, index: int) -> np.ndarray:
            if working.is_set():
                asked_at_work.append(index)
            return np.full((2, 2, 3), index % 256, dtype=np.uint8)

    rows = np.arange(300)
    examples = Examples(payloads=Pixels(), labels=np.zeros(300, np.int64), ids=[str(row) for row in rows])
    wanted = {RAW: Wanted(now=rows, ever=rows)}
    reader = Reader(examples, content="c", decoded=NOTHING, geometries=wanted, cached=False, fill=False)
    chunks = []
    for chunk in reader.chunks(size, workers=IN_TURNS):
        working.set()
        time.sleep(0.002)
        chunks.append(chunk)
        working.clear()
    assert not asked_at_work
    assert [len(chunk.positions) for chunk in chunks] == lengths
    for chunk in chunks:
        assert chunk.batch(RAW, chunk.positions)[:, 0, 0, 0].tolist() == (chunk.positions % 256).tolist()


class Files:
    """Nine PNG files; the first cannot be read at all, and the fourth is no image."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> bytes:
        if index == 0:
            raise FileNotFoundError("gone")
        stream = io.BytesIO()
        Image.fromarray(pixels(9)[index]).save(stream, "PNG")
        return b"no image" if index == 3 else stream.getvalue()


def test_images_that_cannot_be_read_are_told_by_place_and_keep_the_rest_out_of_the_cache() -> None:
    examples = Examples(payloads=Files(), labels=np.zeros(9, np.int64), ids=list("abcdefghi"))
    square = Preprocess(resize=(2, 2), crop=(2, 2))
    rows, some = np.arange(9), np.arange(2, 9)
    for fill, wanted in ((True, rows), (True, some), (True, np.arange(4, 9)), (False, some)):
        reader = Reader(
            examples,
            content="c",
            decoded=NOTHING,
            geometries={square: Wanted(now=wanted, ever=wanted)},
            cached=True,
            fill=fill,
        )
        chunks = list(reader.chunks(4, workers=2))
        reader.close()
        broken = {int(chunk.positions[place]) for chunk in chunks for place in chunk.broken}
        assert broken == {0, 3} & set(wanted.tolist())
        for chunk in chunks:
            good = [row for row in chunk.positions.tolist() if row not in (0, 3)]
            got = chunk.batch(square, np.array(good)).permute(0, 2, 3, 1).numpy()
            expected = [np.asarray(Image.fromarray(pixels(9)[row]).resize((2, 2), 2)) for row in good]
            np.testing.assert_array_equal(got, expected)
    key = key_of("c", examples.ids, square)
    assert look_up(key, np.arange(4, 9)) is not None, "all of these could be read"
    assert look_up(key, some) is None
