"""The order of work: references where they are needed, cheap groups first, shifts whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import benchmark.ordering
from benchmark.ordering import in_order
from shifts.spec import SHIFTS, ShiftSpec


@dataclass
class Contestant:
    weights: Path | None = None
    spec: Any = None


@dataclass
class Cell:
    shift: ShiftSpec
    contestant: Contestant = field(default_factory=lambda: Contestant(spec=_Spec()))

    @property
    def shift_digest(self) -> str:
        return self.shift.name


class _Spec:
    parameters = 25_000_000


def names(groups: list[list[Any]]) -> list[list[str]]:
    return [list(dict.fromkeys(cell.shift.name for cell in group)) for group in groups]


def cells(*shifts: str) -> list[Any]:
    return [Cell(SHIFTS.get(name)) for name in shifts]


def test_the_cheapest_comes_first_and_a_reference_with_the_first_that_needs_it() -> None:
    asked = cells("imagenet-val", "imagenet-sketch", "imagenet-v2", "cifar10", "cifar10.1/v6")
    # CIFAR-10.1 has 2,000 images, and its reference comes before it; so does ImageNet's before V2.
    assert names(in_order(asked)) == [
        ["cifar10"],
        ["cifar10.1/v6"],
        ["imagenet-val"],
        ["imagenet-v2"],
        ["imagenet-sketch"],
    ]
    assert names(in_order(cells("imagenet-sketch", "imagenet-v2"))) == [["imagenet-v2"], ["imagenet-sketch"]]


def test_a_limit_makes_a_shift_cheap() -> None:
    few = Cell(replace(SHIFTS.get("imagenet-sketch"), limit=10))
    assert names(in_order([*cells("imagenet-v2"), few])) == [["imagenet-sketch"], ["imagenet-v2"]]


def test_shifts_over_the_same_images_share_a_group_until_it_is_full(monkeypatch: Any) -> None:
    shifts = ["digits", "digits/unseen-tint", "digits/pad"]
    asked = [cell for name in shifts for cell in cells(name, name)]
    assert names(in_order(asked)) == [shifts]
    monkeypatch.setattr(benchmark.ordering, "MOST_CELLS", 4)
    # The second group is cheaper, but its reference is in the first.
    assert names(in_order(asked)) == [["digits", "digits/unseen-tint"], ["digits/pad"]]
    monkeypatch.setattr(benchmark.ordering, "MOST_CELLS", 1)
    assert [len(group) for group in in_order(asked)] == [2, 2, 2], "a shift stays whole"


def test_nothing_is_lost_or_doubled() -> None:
    asked = cells(*SHIFTS.names("digits*"), "imagenet-v2", "imagenet-r", "imagenet-val")
    found = [cell for group in in_order(asked) for cell in group]
    assert len(found) == len(asked)
    assert {id(cell) for cell in found} == {id(cell) for cell in asked}
