"""Turned and coloured images: labels and pixels that agree, captions that are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models_zoo.feeding import open_distribution
from models_zoo.recipe import Stage
from models_zoo.sources.cifar_small import POOL, TRAIN
from shifts.catalogue import add
from shifts.class_maps import class_names
from shifts.data import Rows, load_examples, load_shift
from shifts.errors import UserError
from shifts.perturbations.turned import turn
from shifts.sources import cifar10_turned
from shifts.sources.digits_turned import PALETTE
from shifts.spec import SHIFTS


def test_every_digit_appears_in_all_four_turns() -> None:
    upright, turned = load_examples("digits", "pretrain"), load_examples("digits-turned", "pretrain")
    assert len(turned.ids) == 4 * len(upright.ids) == 2800
    names = class_names(SHIFTS.get("digits-turned"))
    for row in (0, 137, 699):
        for quarters, turn_name in enumerate(("upright", "turned left", "upside down", "turned right")):
            place = 4 * row + quarters
            back = turned.image(place)
            for _ in range(quarters):
                back = np.rot90(back, -1)
            assert np.array_equal(back, upright.image(row))
            assert turned.ids[place] == f"{upright.ids[row]}-{quarters}"
            word = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
            assert names[turned.labels[place]] == f"{word[upright.labels[row]]} {turn_name}"


def test_left_is_left() -> None:
    image = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    image[0, 0, 1] = 9  # top right goes to top left
    rows = Rows(ids=["x"], labels=np.array([4 * 7 + 1]), num_classes=40, seed=0)
    assert turn(image, rows)[0, 0, 0].tolist() == [9, 9, 9]
    with pytest.raises(UserError, match="quarters"):
        turn(np.zeros((1, 2, 3, 3), dtype=np.uint8), rows)


def test_the_column_names_the_colour_that_is_seen() -> None:
    shift, plain = load_shift("digits-coloured"), load_shift("digits-turned")
    names = shift.columns(np.arange(len(shift)))["colour"]
    assert set(names) == set(PALETTE)
    for index in range(0, len(shift), 97):
        expected = np.rint(plain.item(index) * np.array(PALETTE[names[index]])).astype(np.uint8)
        assert np.array_equal(shift.item(index), expected)


def test_columns_name_the_labels_they_are_given() -> None:
    shift = load_shift("digits-coloured")
    given = shift.columns(np.array([0, 1]), labels=np.array([3, 39]))["class"]
    assert given == ["zero turned right", "nine turned right"]


def test_the_pretext_on_photographs_leaves_those_that_are_tuned_on(real_data: Path) -> None:
    assert cifar10_turned.POOL == POOL
    add("cifar10-jpeg75", real_data / "cifar10", partial=True)
    stage = Stage(shift="cifar10-turned", epochs=1, learning_rate=1e-3)
    pretext = open_distribution(stage)
    whole = load_examples("cifar10-jpeg75", "train")
    assert len(pretext) == round(0.6 * len(whole.ids))
    from models_zoo.feeding import chosen_rows

    tuned_on = open_distribution(Stage(shift="cifar10-compressed", part=TRAIN, epochs=1, learning_rate=1e-3))
    rows = chosen_rows(tuned_on, Stage(shift="x", part=TRAIN, epochs=1, learning_rate=1e-3), seed=0)
    assert not {tuned_on.example_ids[row] for row in rows} & set(pretext.example_ids)
    place = {name: row for row, name in enumerate(whole.ids)}
    for index in range(0, len(pretext), 500):
        row = place[pretext.example_ids[index]]
        label, quarters = divmod(int(pretext.labels[index]), 4)
        assert label == whole.labels[row]
        assert np.array_equal(pretext.item(index), np.rot90(whole.image(row), quarters))
