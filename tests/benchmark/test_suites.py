"""What a suite holds."""

from __future__ import annotations

import pytest

from benchmark.suites import SUITES
from shifts.errors import UnknownNameError
from shifts.spec import SHIFTS


def names(suite: str) -> list[str]:
    return [shift.name for shift in SUITES.get(suite).shifts()]


def test_digits_holds_all_three_references_and_every_severity() -> None:
    held = names("digits")
    assert held[:3] == ["digits", "digits-tinted", "digits-imbalanced"]
    assert len(held) == 43
    assert {"digits/spurious-tint", "digits/label-shift", "digits/contrast/5"} <= set(held)


def test_every_reference_is_a_suite_of_its_own() -> None:
    for shift in SHIFTS:
        if shift.kind == "reference":
            assert shift.name in names(shift.name)


def test_published_corruption_sets_are_suites_and_no_part_of_others() -> None:
    assert not [name for name in names("cifar10") if "-c/" in name]
    held = names("cifar10-c")
    assert held[0] == "cifar10"
    assert len(held) == 96
    assert all(name.startswith("cifar10-c/") for name in held[1:])


def test_the_downstream_sets_are_fourteen_references() -> None:
    held = SUITES.get("downstream").shifts()
    assert len(held) == 14
    assert all(shift.kind == "reference" for shift in held)


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        SUITES.get("digit")


def test_shifts_that_are_listed_already_give_the_same_suites() -> None:
    among = list(SHIFTS)
    for suite in SUITES:
        assert suite.shifts(among) == suite.shifts()
