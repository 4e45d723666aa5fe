"""Rules that keep some examples: held-out parts, groups at given rates, one rule after another."""

from __future__ import annotations

import numpy as np
import pytest

from shifts.data import Attribute, Rows
from shifts.errors import UserError
from shifts.perturbations.selections import at_rates, chain, holdout, where

NAMES = ("land", "water")
MODULE = "shifts.perturbations.selections"


def rows(n: int = 200, *, seed: int = 0) -> Rows:
    draw = np.random.default_rng(1)
    return Rows(
        ids=[f"id-{row}" for row in range(n)],
        labels=draw.integers(0, 2, n),
        num_classes=2,
        seed=seed,
        attributes={"place": Attribute(values=draw.integers(0, 2, n), names=NAMES)},
    )


def test_the_two_sides_are_a_partition_by_class() -> None:
    one = rows()
    test, train = holdout(one, share=0.2, side="test"), holdout(one, share=0.2, side="train")
    assert sorted([*test, *train]) == list(range(200))
    for label in (0, 1):
        assert (one.labels[test] == label).sum() == round(0.2 * (one.labels == label).sum())


def test_the_sides_depend_on_the_ids_alone() -> None:
    one = rows()
    order = np.random.default_rng(2).permutation(200)
    shuffled = Rows(
        ids=[one.ids[row] for row in order], labels=one.labels[order], num_classes=2, seed=9, attributes={}
    )
    kept = holdout(shuffled, share=0.2, side="test")
    assert {shuffled.ids[row] for row in kept} == {
        one.ids[row] for row in holdout(one, share=0.2, side="test")
    }


def test_where_keeps_a_value() -> None:
    one = rows()
    assert np.array_equal(
        where(one, column="place", value="water"), np.flatnonzero(one.attributes["place"].values)
    )
    with pytest.raises(UserError, match="no value 'air'"):
        where(one, column="place", value="air")
    with pytest.raises(UserError, match="no column 'sky'"):
        where(one, column="sky", value="air")


def test_groups_come_at_their_rates_and_the_scarcest_is_whole() -> None:
    one = rows(4000)
    rates = {"0/land": 70.0, "0/water": 4.0, "1/land": 1.0, "1/water": 21.0}
    kept = at_rates(one, column="place", rates=rates, classes=2)
    place = one.attributes["place"].values
    sizes = {
        name: int(((one.labels == int(name[0])) & (place == NAMES.index(name[2:])))[kept].sum())
        for name in rates
    }
    of_first = int(((one.labels == 0) & (place == 0)).sum())
    assert sizes["0/land"] == of_first
    for name, rate in rates.items():
        assert sizes[name] == pytest.approx(of_first * rate / 70, abs=0.51)
    with pytest.raises(UserError, match="the groups are"):
        at_rates(one, column="place", rates={"0/land": 1.0}, classes=2)


def test_rules_follow_one_another() -> None:
    one = rows()
    steps = [
        {"function": f"{MODULE}:where", "parameters": {"column": "place", "value": "water"}},
        {"function": f"{MODULE}:holdout", "parameters": {"share": 0.5, "side": "test"}},
    ]
    kept = chain(one, steps=steps)
    water = where(one, column="place", value="water")
    assert set(kept.tolist()) < set(water.tolist())
    assert len(kept) == sum(round(0.5 * (one.labels[water] == label).sum()) for label in (0, 1))
    backwards = chain(one, steps=steps[::-1])
    assert set(backwards.tolist()) < set(water.tolist())
