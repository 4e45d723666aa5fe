"""Heads of other outputs than ImageNet's 1000 classes: columns by wnid, refusals, what the head lacks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from models_zoo import heads
from models_zoo.classifier import TorchClassifier
from models_zoo.spec import ModelSpec, Preprocess
from shifts.errors import LabelSpaceError
from shifts.readers.imagenet_tables import class_table
from shifts.spec import SHIFTS

SPEC = ModelSpec(
    name="test-head",
    title="a linear layer on one pixel",
    label_space="imagenet-1k",
    preprocess=Preprocess(),
    family="unknown",
    training_data=(),
    loader="tests.models_zoo.test_heads:none",
    licence="MIT",
    citation="none",
    source="none",
    suite="imagenet",
)


def classifier(outputs: int, head: str | None) -> TorchClassifier:
    """Answers i for output i."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, outputs))
    network[1].weight.data.zero_()
    network[1].bias.data = torch.arange(outputs, dtype=torch.float32)
    return TorchClassifier(dataclasses.replace(SPEC, head=head), network, device="cpu")


def answers(outputs: int, head: str | None) -> np.ndarray:
    return classifier(outputs, head).logits([np.zeros((1, 1, 3), np.uint8)] * 2)


def test_the_background_is_dropped() -> None:
    logits = answers(1001, "imagenet-background")
    assert logits.shape == (2, 1000)
    assert logits[1].tolist() == list(range(1, 1001))


@pytest.mark.parametrize("name", ["imagenet-12k", "imagenet-21k-miil", "imagenet-22k", "imagenet-21k-goog"])
def test_synsets_are_found_by_wnid(name: str) -> None:
    from timm.data import ImageNetInfo

    head = heads.HEADS[name]
    synsets = ImageNetInfo(name).label_names()
    assert len(synsets) == head.outputs
    logits = answers(head.outputs, name)[0]
    known = [place for place, wnid in enumerate(class_table()[0]) if wnid in set(synsets)]
    assert [synsets[int(logits[place])] for place in known] == [class_table()[0][place] for place in known]
    unknown = sorted(set(range(1000)) - set(known))
    assert unknown
    assert (logits[unknown] < -1e29).all()
    assert np.isfinite(logits).all()


def test_the_order_of_microsofts_22k_head_begins_with_the_1000_classes() -> None:
    assert heads.columns_of("imagenet-22k-ms", label_space="imagenet-1k") == tuple(range(1000))


def test_numbers_of_outputs_are_those_timm_tells_the_subsets_by() -> None:
    from timm.data.imagenet_info import infer_imagenet_subset

    for head in heads.HEADS.values():
        if head.outputs != 1001:
            assert infer_imagenet_subset({"num_classes": head.outputs}) == head.name


def test_a_head_by_its_number_of_outputs() -> None:
    assert {n: heads.head_for(n) for n in (1000, 1001, 11821, 21843)} == {
        1000: None,
        1001: "imagenet-background",
        11821: "imagenet-12k",
        21843: "imagenet-21k-goog",
    }
    assert heads.head_for(10, label_space="cifar10") is None
    with pytest.raises(LabelSpaceError, match="19168 outputs") as told:
        heads.head_for(19168)
    assert "21841 (imagenet-22k)" in str(told.value)
    with pytest.raises(LabelSpaceError, match="1001 outputs"):
        heads.head_for(1001, label_space="cifar10")


def test_a_network_with_other_outputs_than_declared_is_refused() -> None:
    with pytest.raises(LabelSpaceError, match="1001 outputs, not the 1000"):
        answers(1001, None)
    with pytest.raises(LabelSpaceError, match="1000 outputs, not the 1001 of 'imagenet-background'"):
        answers(1000, "imagenet-background")
    with pytest.raises(LabelSpaceError, match="no head 'imagenet-5k'"):
        answers(1000, "imagenet-5k")


def test_lacking_classes_are_counted_among_those_asked_for() -> None:
    teddy = class_table()[0].index("n04399382")

    def told(head: str | None, shift: str) -> str | None:
        return heads.lacking(head, SHIFTS.get(shift), label_space="imagenet-1k")

    text = told("imagenet-12k", "imagenet-val")
    assert text is not None
    assert "7 of the 1000" in text
    assert "and 3 more" in text
    of_a = SHIFTS.get("imagenet-a").class_indices
    assert of_a is not None
    assert (told("imagenet-22k", "imagenet-a") is None) == (teddy not in of_a)
    assert told("imagenet-background", "imagenet-val") is None
    assert told(None, "imagenet-val") is None


def test_the_head_is_in_the_digest_only_where_there_is_one() -> None:
    plain, mapped = SPEC.digest("x"), dataclasses.replace(SPEC, head="imagenet-22k").digest("x")
    assert plain != mapped
    assert mapped != dataclasses.replace(SPEC, head="imagenet-22k-ms").digest("x")
