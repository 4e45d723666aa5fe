"""Everything registered can be submitted: its files have names, its card has words of the vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.suites import SUITES
from leaderboard.container import open_container, table_name, write_zip
from leaderboard.suites import protocol_digest, suite_shifts
from shifts.errors import UnknownNameError
from shifts.spec import SHIFTS


def test_every_shift_has_a_file_of_its_own_that_a_bundle_may_hold(tmp_path: Path) -> None:
    names = [spec.name for spec in SHIFTS]
    assert len({table_name(name) for name in names}) == len(names)
    for start in range(0, len(names), 500):
        path = tmp_path / f"{start}.zip"
        write_zip(path, {table_name(name): b"" for name in names[start : start + 500]})
        found = open_container(path)
        assert not found.foreign and not found.oversized


def test_every_suite_can_be_submitted() -> None:
    protocols = set()
    for name in SUITES.names():
        specs = suite_shifts(name)
        assert specs
        protocols.add(protocol_digest(specs))
    assert len(protocols) > 0.8 * len(SUITES.names())
    assert [spec.name for spec in suite_shifts("cifar10-jpeg75")] == ["cifar10-jpeg75"]
    with pytest.raises(UnknownNameError):
        suite_shifts("no-such-suite")
