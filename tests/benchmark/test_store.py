"""Shards, resumption and atomic files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.predictions import Header, read_predictions, score
from benchmark.store import PREDICTIONS, ROWS_PER_SHARD, SHARDS, CellWriter, Store, write_result
from shifts.errors import ResultsError
from tests.benchmark.test_predictions import header
from tests.benchmark.test_result import result

TOTAL = 2 * ROWS_PER_SHARD + 300


def columns(start: int, stop: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(TOTAL, 7)).astype(np.float32)[start:stop]
    return score(
        logits,
        draw.integers(7, size=TOTAL)[start:stop],
        ids=[f"id{i:05d}" for i in range(start, stop)],
        groups=np.zeros((stop - start, 1), int),
        group_names=["place"],
    )


def write(folder: Path, *, start: int, stop: int, step: int, head: Header | None = None) -> CellWriter:
    writer = CellWriter(folder, head or header(), total=TOTAL)
    assert writer.done == start
    for first in range(start, stop, step):
        writer.append(columns(first, min(first + step, stop)))
    return writer


def test_an_interrupted_cell_goes_on_where_its_shards_end(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", start=0, stop=TOTAL, step=100).finish()
    write(tmp_path / "cut", start=0, stop=2000, step=250)  # killed: nothing is flushed
    resumed = CellWriter(tmp_path / "cut", header(), total=TOTAL)
    assert 2000 - ROWS_PER_SHARD - 250 < resumed.done <= 2000
    done = write(tmp_path / "cut", start=resumed.done, stop=TOTAL, step=77).finish()
    assert done.read_bytes() == whole.read_bytes()
    assert len(read_predictions(done)) == TOTAL


@pytest.mark.parametrize("damage", ["truncated", "gap", "other header", "temporary"])
def test_damaged_shards_are_done_again(tmp_path: Path, damage: str) -> None:
    whole = write(tmp_path / "whole", start=0, stop=TOTAL, step=100).finish().read_bytes()
    folder = tmp_path / "cell"
    write(folder, start=0, stop=TOTAL, step=100).flush()
    shards = sorted((folder / SHARDS).glob("*.parquet"))
    assert len(shards) == 3
    head = header()
    if damage == "truncated":
        shards[1].write_bytes(shards[1].read_bytes()[:500])
    elif damage == "gap":
        shards[1].unlink()
    elif damage == "other header":
        head = header(provenance={"device": "cuda"})
    else:
        shards[2].rename(shards[2].with_suffix(".tmp"))
    writer = CellWriter(folder, head, total=TOTAL)
    assert writer.done == {"truncated": 1100, "gap": 1100, "other header": 0, "temporary": 2200}[damage]
    for first in range(writer.done, TOTAL, 100):
        writer.append(columns(first, min(first + 100, TOTAL)))
    finished = writer.finish().read_bytes()
    assert (finished == whole) == (damage != "other header")
    writer.close(result())
    assert not (folder / SHARDS).exists()


def test_a_failed_cell_is_not_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.cell("m", "a" * 64, shift="digits/pad", shift_digest="b" * 64)
    assert folder == tmp_path / "m@aaaaaaaa" / "digits--pad@bbbbbbbb"
    assert store.finished(folder) is None
    write_result(folder, result(status="error", error={"message": "no"}))
    assert store.read(folder) is not None
    assert store.finished(folder) is None
    write_result(folder, result())
    assert store.finished(folder) is None, "predictions are missing"
    (folder / PREDICTIONS).touch()
    assert store.finished(folder) == result()
    assert [found for _, found in store.results()] == [replace(result(), groups=())]


def test_a_folder_that_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write") as caught:
        Store(tmp_path / "file" / "results").check_writable()
    assert "--results" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResultsError):
        Store(tmp_path / "results").check_writable()
    tmp_path.chmod(0o700)
