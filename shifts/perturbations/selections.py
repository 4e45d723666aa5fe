"""Rules that keep some examples of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shifts.data import Attribute, Rows, hash_rank
from shifts.errors import UserError
from shifts.registry import resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_shift(rows: Rows, *, p_minority: float, side: Literal["reference", "shifted"]) -> NDArray[np.int64]:
    """Label shift by sampling rates: indices of the examples kept, int64.

    Half of the classes, drawn by the seed, are the minority. In the reference the majority is kept whole and
    the minority at the rate p / (1 − p); in the shifted set the two change places
    (Cohen-Wang et al., arXiv 2403.00194, section 5.1, appendix B.3; p = 0.2 there).
    """
    if not 0.0 < p_minority <= 0.5:
        raise UserError(f"p_minority must lie in (0, 0.5], not {p_minority}")
    minority = set(minority_classes(rows.num_classes, seed=rows.seed).tolist())
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        reduced = (label in minority) == (side == "reference")
        rate = p_minority / (1.0 - p_minority) if reduced else 1.0
        order = hash_rank([rows.ids[index] for index in members.tolist()], rows.seed, "label shift")
        kept.append(members[order[: round(rate * len(members))]])
    return np.sort(np.concatenate(kept))


def minority_classes(num_classes: int, *, seed: int) -> NDArray[np.int64]:
    """The half of the classes that is rare in the reference: int64 (C // 2,)."""
    names = [str(label) for label in range(num_classes)]
    return np.sort(hash_rank(names, seed, "minority")[: num_classes // 2])


def fraction(rows: Rows, *, share: float, seed: int) -> NDArray[np.int64]:
    """A share of the examples, stratified by class, nested: a smaller share lies within a larger one."""
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        order = hash_rank([rows.ids[index] for index in members.tolist()], seed, "fraction")
        kept.append(members[order[: max(round(share * len(members)), min(len(members), 1))]])
    return np.sort(np.concatenate(kept))


def part(rows: Rows, *, between: tuple[float, float]) -> NDArray[np.int64]:
    """Of every class the examples whose rank by a hash of their ids lies between two shares of the class.

    Parts that do not overlap are disjoint, and parts that cover [0, 1] cover the set. As in ``holdout`` the
    seed plays no role.
    """
    first, last = between
    if not 0.0 <= first < last <= 1.0:
        raise UserError(f"a part lies between two shares in [0, 1], the smaller first, not {between}")
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        order = hash_rank([rows.ids[index] for index in members.tolist()], "part")
        kept.append(members[order[round(first * len(members)) : round(last * len(members))]])
    return np.sort(np.concatenate(kept))


def few(rows: Rows, *, number: int, seed: int) -> NDArray[np.int64]:
    """At most so many examples, as evenly over the classes as can be; fewer of them lie within more."""
    if number < 1:
        raise UserError(f"at least one example must be kept, not {number}")
    order = hash_rank(rows.ids, seed, "few")
    # The first of every class, then the second of every class, and so on.
    turns = np.empty(len(order), dtype=np.int64)
    for label in range(rows.num_classes):
        of_class = np.flatnonzero(rows.labels[order] == label)
        turns[of_class] = np.arange(len(of_class))
    return np.sort(order[np.argsort(turns, kind="stable")[:number]])


def holdout(rows: Rows, *, share: float, side: Literal["test", "train"]) -> NDArray[np.int64]:
    """One side of a split of a set that has none: a share of every class to test on, the rest to train on.

    The choice depends on the examples' ids alone, not on the seed: what a model was trained on must stay
    apart from what it is measured on whatever else is drawn anew.
    """
    if not 0.0 < share < 1.0:
        raise UserError(f"the share held out must lie in (0, 1), not {share}")
    kept = []
    for label in range(rows.num_classes):
        members = np.flatnonzero(rows.labels == label)
        order = hash_rank([rows.ids[index] for index in members.tolist()], "holdout")
        cut = round(share * len(members))
        kept.append(members[order[:cut] if side == "test" else order[cut:]])
    return np.sort(np.concatenate(kept))


def where(rows: Rows, *, column: str, value: str) -> NDArray[np.int64]:
    """The examples whose attribute has a value."""
    attribute = _attribute(rows, column)
    if value not in attribute.names:
        raise UserError(f"the column {column!r} has no value {value!r}", hint=", ".join(attribute.names))
    return np.flatnonzero(attribute.values == attribute.names.index(value))


def at_rates(rows: Rows, *, column: str, rates: Mapping[str, float], classes: int) -> NDArray[np.int64]:
    """As many examples as can be had with the groups at the given rates.

    A group is a class and a value of an attribute. The group that is scarcest against its rate is kept whole,
    of every other a pseudo-random part.

    Args:
        column: the attribute.
        rates: ``"label/value"`` → rate, of any sum; ``label`` is a number below ``classes``.
    """
    attribute = _attribute(rows, column)
    groups: dict[str, NDArray[np.int64]] = {}
    for label in range(classes):
        for value, name in enumerate(attribute.names):
            members = np.flatnonzero((rows.labels == label) & (attribute.values == value))
            groups[f"{label}/{name}"] = members
    if set(groups) != set(rates):
        raise UserError(
            f"the rates name {', '.join(sorted(rates))}; the groups are {', '.join(sorted(groups))}"
        )
    scale = min(len(groups[name]) / rate for name, rate in rates.items() if rate > 0)
    kept = []
    for name, members in groups.items():
        order = hash_rank([rows.ids[index] for index in members.tolist()], rows.seed, "rates")
        kept.append(members[order[: round(scale * rates[name])]])
    return np.sort(np.concatenate(kept))


def chain(rows: Rows, *, steps: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Several rules one after the other, each among what the ones before it keep.

    Args:
        steps: ``{"function": "module:function", "parameters": {...}}`` of each rule.
    """
    kept = np.arange(len(rows.ids), dtype=np.int64)
    for step in steps:
        among = Rows(
            ids=[rows.ids[index] for index in kept.tolist()],
            labels=rows.labels[kept],
            num_classes=rows.num_classes,
            seed=rows.seed,
            attributes={
                name: Attribute(values=column.values[kept], names=column.names)
                for name, column in rows.attributes.items()
            },
        )
        kept = kept[np.sort(resolve(step["function"])(among, **step["parameters"]))]
    return kept


def _attribute(rows: Rows, column: str) -> Attribute:
    if column not in rows.attributes:
        raise UserError(f"the source has no column {column!r}", hint=f"columns: {', '.join(rows.attributes)}")
    return rows.attributes[column]
