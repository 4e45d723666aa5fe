"""What a board asks for: the shifts of the package, not those that somebody adds on his machine."""

from __future__ import annotations

import dataclasses

import pytest

from leaderboard.suites import shipped, suite_shifts
from shifts.spec import SHIFTS, SOURCES, Perturbation


def test_a_plug_ins_shift_is_no_part_of_a_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [spec.name for spec in suite_shifts("digits")]
    dark = dataclasses.replace(
        SHIFTS.get("digits/pad"), name="digits/dark", perturbations=(Perturbation(function="mine:darken"),)
    )
    monkeypatch.setitem(SHIFTS._entries, dark.name, dark)
    assert not shipped(dark)
    assert [spec.name for spec in suite_shifts("digits")] == before


def test_own_data_are_no_part_of_a_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SHIFTS.get("digits/pad")
    assert shipped(spec)
    own = dataclasses.replace(SOURCES.get("digits"), loader="shifts.own:load")
    monkeypatch.setitem(SOURCES._entries, "digits", own)
    assert not shipped(spec)
