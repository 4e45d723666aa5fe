"""Classes of a head or a source become those of a shift in one place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax

from benchmark.planning import check_label_space
from models_zoo.preprocessing import for_cropped
from models_zoo.spec import MODELS, Preprocess
from shifts.checking import count_faults, more_than_declared
from shifts.class_maps import (
    NewLabels,
    best_accepted,
    distinct_names,
    in_shift_classes,
    labels_of,
    pool,
    pooled_labels,
)
from shifts.data import Examples, Shift, load_examples
from shifts.errors import LabelSpaceError, UserError
from shifts.labels import LabelSpace
from shifts.spec import SHIFTS, SOURCES, Pooling, Relabelling

DRAW = np.random.default_rng(5)
LOGITS = (DRAW.normal(size=(50, 8)) * 4).astype(np.float32)
TOY = SHIFTS.get("toy")
# Ten digits out of eight toy classes: one has two members, one has none.
MEMBERS = ((0, 7), (1,), (2, 3, 4), (), (5,), (6,), (), (), (), ())


def pooling(rule: str) -> Pooling:
    return Pooling(label_space="toy", members=MEMBERS, rule=rule)  # type: ignore[arg-type]


def test_max_logit_is_the_argmax_over_the_mapped_classes() -> None:
    pooled = pool(LOGITS, pooling("max-logit"))
    owner = pooled_labels(pooling("max-logit"))
    assert pooled.dtype == np.float32
    assert [owner[int(best)] for best in LOGITS.argmax(axis=1)] == pooled.argmax(axis=1).tolist()


def test_mean_probability_is_the_mean_after_the_softmax_over_all() -> None:
    probs = softmax(LOGITS.astype(np.float64), axis=1)
    means = np.stack([probs[:, list(m)].mean(axis=1) if m else np.zeros(len(probs)) for m in MEMBERS], axis=1)
    pooled = pool(LOGITS, pooling("mean-probability"))
    np.testing.assert_allclose(np.exp(pooled.astype(np.float64)), means, rtol=1e-5)
    assert np.isfinite(pooled).all()


def test_the_two_rules_differ_where_the_literature_does() -> None:
    row = np.log(np.array([[0.4, 0.35, 0.02, 0.01, 0.01, 0.1, 0.1, 0.01]], dtype=np.float32))
    assert pool(row, pooling("max-logit")).argmax() == 0
    assert pool(row, pooling("mean-probability")).argmax() == 1  # 0.4 and 0.01 average to less than 0.35


def test_a_head_with_the_classes_of_the_shift_is_left_alone() -> None:
    spec = dataclasses.replace(TOY, label_space="digits", pooling=pooling("max-logit"))
    ten = DRAW.normal(size=(3, 10)).astype(np.float32)
    assert in_shift_classes(ten, spec, head="any") is ten
    assert in_shift_classes(LOGITS, spec, head="toy").shape == (50, 10)
    with pytest.raises(LabelSpaceError, match="10 logits"):
        in_shift_classes(ten, spec, head="toy")


def test_labels_of_a_source_are_pooled_like_the_answers() -> None:
    spec = dataclasses.replace(TOY, label_space="digits", pooling=pooling("max-logit"), groups=("class",))
    shift = Shift(spec, load_examples("toy", "test"), content="x")
    base = np.asarray(shift.base.labels)
    assert shift.num_classes == 10
    assert shift.labels.tolist() == [pooled_labels(pooling("max-logit"))[int(label)] for label in base]
    with pytest.raises(LabelSpaceError, match="source has those of 'toy'"):
        labels_of(dataclasses.replace(spec, pooling=None), shift.base)


def test_a_class_in_two_pools_has_no_label() -> None:
    with pytest.raises(LabelSpaceError, match="two classes"):
        pooled_labels(Pooling(label_space="toy", members=((0,), (0, 1)), rule="max-logit"))


def evens(ids: list[str], labels: np.ndarray) -> NewLabels:
    sets = [(int(label), 7) if label % 2 == 0 else () for label in labels]
    return NewLabels(labels=np.where(labels % 2 == 0, labels, -1), accepted=sets)


def test_relabelling_drops_images_and_accepts_several_labels() -> None:
    spec = dataclasses.replace(TOY, relabelling=Relabelling(function=f"{__name__}:evens"))
    shift = Shift(spec, load_examples("toy", "test"), content="x")
    assert set(shift.labels.tolist()) == {0, 2, 4, 6}
    assert shift.accepted is not None
    assert all(known == (label, 7) for known, label in zip(shift.accepted, shift.labels, strict=True))
    subset = dataclasses.replace(spec, class_indices=(7, 4))
    shift = Shift(subset, shift.base, content="x")
    assert set(shift.accepted or ()) == {(0,), (1, 0)}


def test_the_best_accepted_label_is_hit_exactly_when_any_is() -> None:
    accepted = [
        tuple(int(one) for one in DRAW.choice(8, size=DRAW.integers(1, 4), replace=False)) for _ in LOGITS
    ]
    best = best_accepted(LOGITS, accepted)
    answer = LOGITS.argmax(axis=1)
    assert [int(a) in known for a, known in zip(answer, accepted, strict=True)] == (answer == best).tolist()
    top = np.argsort(-LOGITS, axis=1)[:, :3]
    any_in = [bool(set(row) & set(known)) for row, known in zip(top.tolist(), accepted, strict=True)]
    assert any_in == [label in row for row, label in zip(top.tolist(), best.tolist(), strict=True)]


def test_a_pooled_shift_takes_the_head_of_either_space() -> None:
    spec = dataclasses.replace(TOY, label_space="digits", pooling=pooling("max-logit"))
    model = MODELS.get("digits-cnn")
    check_label_space(model, spec)
    check_label_space(dataclasses.replace(model, label_space="toy"), spec)
    with pytest.raises(LabelSpaceError):
        check_label_space(dataclasses.replace(model, label_space="cifar10"), spec)


def test_the_digest_covers_the_mapping_only_where_there_is_one() -> None:
    changes = [
        {"pooling": pooling("max-logit")},
        {"pooling": pooling("mean-probability")},
        {"relabelling": Relabelling(function="x:y")},
        {"relabelling": Relabelling(function="x:y", version=2)},
        {"cropped": 224},
        {"unit": "shade"},
    ]
    digests = {TOY.digest("c"), *(dataclasses.replace(TOY, **change).digest("c") for change in changes)}
    assert len(digests) == len(changes) + 1


def test_images_cropped_by_their_makers_are_not_cropped_again() -> None:
    standard = Preprocess(resize=256, crop=(224, 224))
    assert for_cropped(standard, None) is standard
    assert for_cropped(standard, 224).resize is None
    large = Preprocess(resize=342, crop=(299, 299))
    assert for_cropped(large, 224).resize == (299, 299)


def test_two_classes_of_one_name_need_wnids() -> None:
    names = ("crane", "crane", "dog")
    LabelSpace(name="x", class_names=names, wnids=("n1", "n2", "n3"))
    with pytest.raises(LabelSpaceError, match="same name"):
        LabelSpace(name="x", class_names=names)
    with pytest.raises(LabelSpaceError, match="same name"):
        LabelSpace(name="x", class_names=names, wnids=("n1", "n1", "n3"))
    assert distinct_names(TOY)[0] == "block 0"


def test_counts_that_nobody_publishes() -> None:
    names = ["cat", "dog"]
    assert count_faults([3, 1], [None, None], names) is None
    assert count_faults([3, 1], [None, None], names, total=4) is None
    assert count_faults([3, 1], [None, None], names, total=5) == "4 images instead of 5"
    assert "0 of class 'dog' instead of at least 1" in str(count_faults([4, 0], [None, None], names, total=9))
    assert count_faults([4, 0], [None, None], names, may_lack=True) is None
    assert "1 of class 'dog' instead of 0" in str(count_faults([4, 1], [None, 0], names))
    assert more_than_declared([3, 3], [None, None], total=5)
    assert not more_than_declared([3, 2], [None, None], total=5)
    unknown = dataclasses.replace(SOURCES.get("cifar10"), counts={"test": (None,) * 10}, totals={})
    assert unknown.published_size("test") is None
    with pytest.raises(UserError, match="not published"):
        unknown.size("test")
    assert dataclasses.replace(unknown, totals={"test": 7}).size("test") == 7


def test_accepted_labels_enter_the_content() -> None:
    from shifts.local import content_digest

    image = np.zeros((1, 2, 2, 3), np.uint8)
    label = np.zeros(1, np.int64)
    one = Examples(payloads=image, labels=label, ids=["a"])
    assert len({content_digest(e) for e in (one, dataclasses.replace(one, accepted=[(0, 1)]))}) == 2
