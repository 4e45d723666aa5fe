"""Heads of results: the two ends of long files; the index of a large folder, which never outranks files."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark import heads as reading
from benchmark import heads_index
from benchmark.estimate import Estimate
from benchmark.heads import heads
from benchmark.heads_index import index_path
from benchmark.lines import BaselinePoint, fit_baseline
from benchmark.result import Result
from benchmark.robustness import above_line, effective_robustness
from benchmark.scales import Scale
from benchmark.store import Store, write_result
from shifts.errors import ResultsError
from tests.benchmark.test_result import result

MODELS, SHIFTS = ("a", "b", "c"), ("x", "y")


def made(model: str, shift: str, right: float) -> Result:
    metrics = {**result().metrics, "accuracy": Estimate(value=right, low=0.0, high=1.0, method="w", n=7)}
    return replace(result(), model=model, model_digest=model * 64, shift=shift, metrics=metrics)


def folder_of(root: Path, one: Result) -> Path:
    return Store(root).cell(one.model, one.model_digest, shift=one.shift, shift_digest=one.shift_digest)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of six results that are old enough to be trusted, and large enough for an index."""
    monkeypatch.setattr(reading, "WORTH_AN_INDEX", 1)
    monkeypatch.setattr(heads_index, "_WORTH_WRITING", 1)
    monkeypatch.setattr(heads_index, "_RESTING_NS", -(10**12))
    for place, model in enumerate(MODELS):
        for shift in SHIFTS:
            one = made(model, shift, place / 10 + 0.1234567890123)
            write_result(folder_of(tmp_path / "results", one), one)
    return tmp_path / "results"


def read(root: Path) -> list[Result]:
    return [one for _, one in heads(root)]


def plain(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    with monkeypatch.context() as patch:
        patch.setattr(reading, "WORTH_AN_INDEX", 10**9)
        return read(root)


def test_a_head_from_the_index_is_the_result_without_its_groups(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [
        replace(made(m, s, k / 10 + 0.1234567890123), groups=()) for k, m in enumerate(MODELS) for s in SHIFTS
    ]
    assert read(root) == wanted
    assert index_path(root).is_file()
    monkeypatch.setattr(heads_index, "read_head", None)  # nothing is read again
    again = read(root)
    assert again == wanted
    assert [one.to_json() for one in again] == [one.to_json() for one in wanted]


def test_changed_new_and_removed_results_are_seen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(root)
    changed, new = made("b", "x", 0.99), made("d", "x", 0.5)
    write_result(folder_of(root, changed), changed)
    write_result(folder_of(root, new), new)
    (folder_of(root, made("a", "y", 0)) / "result.json").unlink()
    found = read(root)
    assert found == plain(root, monkeypatch)
    assert next(one.accuracy.value for one in found if one.accuracy and one.model == "b") == 0.99
    assert [one.model + one.shift for one in found] == ["ax", "bx", "by", "cx", "cy", "dx"]


def test_a_file_that_was_just_written_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_index, "_RESTING_NS", 10**12)
    read(root)
    path = folder_of(root, made("a", "x", 0)) / "result.json"
    before = path.stat()
    text = path.read_text().replace("0.1234567890123", "0.9234567890123")
    with path.open("r+") as file:  # the same file, of the same size and time
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = read(root)[0].accuracy
    assert found is not None and found.value == 0.9234567890123


@pytest.mark.parametrize("damage", ["cut", "noise", "another version", "another folder"])
def test_an_index_that_is_no_good_is_made_again(
    root: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(root)
    path = index_path(root)
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        if damage == "cut":
            path.write_bytes(whole[: len(whole) // 2])
        elif damage == "noise":
            path.write_bytes(np.random.default_rng(0).bytes(len(whole)))
        else:
            name = "SCHEMA_VERSION" if damage == "another version" else "_name_of"
            patch.setattr(heads_index, name, 99 if damage == "another version" else lambda root: "elsewhere")
            read(root)
            if damage == "another folder":
                index_path(root).replace(path)
    assert read(root) == plain(root, monkeypatch)
    monkeypatch.setattr(heads_index, "read_head", None)
    assert len(read(root)) == 6


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / "file"))
    assert read(root) == plain(root, monkeypatch)


def test_two_processes_that_read_at_once_find_the_same(root: Path) -> None:
    program = f"""
from pathlib import Path
from benchmark import heads, heads_index
heads.WORTH_AN_INDEX = heads_index._WORTH_WRITING = 1
heads_index._RESTING_NS = -(10**12)
print(sum(hash(one.to_json()) != 0 for _, one in heads.heads(Path({str(root)!r}))))
"""
    command = [sys.executable, "-c", program]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate()[0] for one in both] == ["6\n", "6\n"]
    assert len(read(root)) == 6 and not list(index_path(root).parent.glob(".*"))


def test_of_a_long_result_only_the_ends_are_read(tmp_path: Path) -> None:
    accuracy = made("a", "x", 0.4).accuracy
    assert accuracy is not None
    group = {"group": {"class": "…"}, "n": 5, "correct": 2, "accuracy": accuracy.to_json()}
    long = replace(made("a", "x", 0.4), groups=(group,) * 1000)
    folder = folder_of(tmp_path, long)
    write_result(folder, long)
    path = folder / "result.json"
    assert path.stat().st_size > 100_000
    assert read(tmp_path) == [replace(long, groups=())]
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'\n "warnings"', b'\n  "warnings"'))  # not written as ours are
    assert read(tmp_path) == [replace(long, groups=())]
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResultsError, match="not a readable result"):
        read(tmp_path)


def estimate(value: float, n: int) -> Estimate:
    return Estimate(value=value, low=value / 2, high=(1 + value) / 2, method="w", n=n)


@pytest.mark.parametrize("scale", ["probit", "logit", "linear"])
def test_many_models_at_once_have_the_effective_robustness_of_each_alone(scale: Scale) -> None:
    rng = np.random.default_rng(0)
    members = [
        BaselinePoint(
            model=f"m{number}",
            reference_accuracy=accuracy,
            reference_n=500,
            shift_accuracy=accuracy * 0.8,
            shift_n=400,
            family="",
        )
        for number, accuracy in enumerate(rng.uniform(0.2, 0.9, 30).tolist())
    ]
    fit = fit_baseline(members, reference="r", shift="s", scale=scale)
    first, second = [*rng.random(300).tolist(), 0.0, 1.0], rng.random(302).tolist()
    sizes = rng.integers(5, 999, 302).tolist()
    pairs = [(estimate(a, n), estimate(b, n + 7)) for a, b, n in zip(first, second, sizes, strict=True)]
    assert above_line(fit, pairs) == [effective_robustness(fit, *pair) for pair in pairs]
