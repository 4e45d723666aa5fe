"""Two models on the same examples, by hand and against other implementations."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.comparison import compare, matched_rows
from benchmark.intervals import mcnemar
from benchmark.predictions import Header, Predictions
from shifts.errors import ResultsError


def predictions(
    said: list[int],
    labels: list[int],
    *,
    ids: list[str] | None = None,
    shift: str = "toy",
    model: str = "a",
    places: list[int] | None = None,
    columns: dict[str, tuple[str, ...]] | None = None,
    data: str = "1",
) -> Predictions:
    n = len(said)
    groups = np.zeros((n, 0), np.int64) if places is None else np.array(places)[:, None]
    return Predictions(
        header=Header(
            model=model,
            model_digest="0" * 64,
            shift=shift,
            shift_digest=data * 64,
            num_classes=3,
            group_columns={} if places is None else columns or {"place": ("land", "water")},
            provenance={},
        ),
        example_ids=ids or [f"{i}" for i in range(n)],
        labels=np.array(labels),
        prediction=np.array(said),
        confidence=np.full(n, 0.9, np.float32),
        label_probability=np.full(n, 0.5),
        squared_probability_sum=np.full(n, 0.5, np.float32),
        top5=np.zeros((n, 3), np.int64),
        top5_probability=np.zeros((n, 3), np.float32),
        groups=groups,
    )


LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
A = [0, 1, 2, 0, 2, 1, 0, 0]  # right: 1 1 1 1 0 0 1 0
B = [0, 2, 2, 1, 2, 0, 0, 1]  # right: 1 0 1 0 0 0 1 1


def test_every_number_by_hand() -> None:
    found = compare(predictions(A, LABELS), predictions(B, LABELS, model="b"))
    assert (found.both_right, found.only_a, found.only_b, found.both_wrong) == (3, 2, 1, 2)
    assert found.difference.value == pytest.approx(1 / 8)
    assert found.bootstrap.value == pytest.approx(1 / 8)
    assert found.agreement.value == 4 / 8
    assert found.same_error is not None and found.same_error.value == 1 / 2
    assert found.error_overlap == 2 / 5
    assert found.expected_overlap == pytest.approx((3 * 4 / 8) / (3 + 4 - 3 * 4 / 8))
    assert found.corrected == ("1", "3") and found.broken == ("7",)
    right = [[said == label for said, label in zip(one, LABELS, strict=True)] for one in (A, B)]
    assert found.mcnemar == mcnemar(*right)


def test_the_comparison_turns_round() -> None:
    one = compare(predictions(A, LABELS), predictions(B, LABELS))
    other = compare(predictions(B, LABELS), predictions(A, LABELS))
    assert one.difference.value == -other.difference.value
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert one.mcnemar.p_value == other.mcnemar.p_value


def test_examples_are_matched_by_id() -> None:
    order = [5, 2, 7, 0, 1, 3, 6, 4]
    shuffled = predictions([B[i] for i in order], [LABELS[i] for i in order], ids=[str(i) for i in order])
    assert compare(predictions(A, LABELS), shuffled).only_a == 2
    part = predictions(B[:5], LABELS[:5])
    assert compare(predictions(A, LABELS), part).n == 5
    rows = matched_rows(["x", "y"], ["z"])
    assert [len(one) for one in rows] == [0, 0]


def test_groups_are_compared_one_by_one() -> None:
    places = [0, 0, 0, 0, 1, 1, 1, 1]
    found = compare(predictions(A, LABELS, places=places), predictions(B, LABELS, places=places))
    assert [(group.label, group.n, group.difference.value) for group in found.groups] == [
        ("place=water", 4, -0.25),
        ("place=land", 4, 0.5),
    ]
    assert found.to_json()["groups"][0]["group"] == "place=water"


def test_models_that_never_err() -> None:
    found = compare(predictions(LABELS, LABELS), predictions(LABELS, LABELS))
    assert found.error_overlap == found.expected_overlap == 1.0
    assert found.same_error is None and found.difference.value == 0


def test_what_cannot_be_compared_is_refused() -> None:
    a = predictions(A, LABELS)
    with pytest.raises(ResultsError, match="is on toy"):
        compare(a, predictions(B, LABELS, shift="other"))
    with pytest.raises(ResultsError, match="no example in common"):
        compare(a, predictions(B, LABELS, ids=list("abcdefgh")))
    with pytest.raises(ResultsError, match="disagree about labels"):
        compare(a, predictions(B, LABELS[::-1], data="2"))


def test_units_are_what_counts_where_examples_belong_together() -> None:
    anchors = [0, 0, 0, 1, 1, 1, 2, 2]  # A is right on all of 0, B on none of them
    a = predictions([0, 1, 2, 0, 2, 1, 0, 0], LABELS, places=anchors, columns={"anchor": ("x", "y", "z")})
    b = predictions(B, LABELS, places=anchors, columns={"anchor": ("x", "y", "z")}, model="b")
    found = compare(a, b, unit="anchor")
    assert (found.n, found.unit, found.groups, found.same_error) == (3, "anchor", (), None)
    assert (found.both_right, found.only_a, found.only_b, found.both_wrong) == (0, 1, 1, 1)
    assert (found.corrected, found.broken) == (("x",), ("z",))
    assert found.agreement.value == 0 and found.agreement.n == 3
    assert found.to_json()["unit"] == "anchor"
    # As if frames were independent, the interval would be narrower than the data allow.
    frames = compare(a, b)
    assert frames.n == 8
    width = found.difference.high - found.difference.low
    assert width > frames.difference.high - frames.difference.low


def test_of_several_right_labels_each_model_has_its_own() -> None:
    """The stored label is the right one that the model ranks first, so two files of one set may differ."""
    found = compare(predictions([0, 1], [0, 1]), predictions([2, 2], [2, 0]))
    assert (found.both_right, found.only_a) == (1, 1)
