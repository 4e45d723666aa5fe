"""Synthetic shifts of any reference: names, parameters, properties of the example, where they are listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.planning import with_references
from shifts.catalogue import add
from shifts.data import load_shift
from shifts.errors import UnknownNameError, UserError
from shifts.perturbations.synthetic import pad_by, translate_by
from shifts.sources.synthetic_shifts import VARIANTS, resolve
from shifts.spec import SHIFTS
from tests.shifts import cifar_layouts as layouts

ENDINGS = tuple(VARIANTS)
REFERENCES = [spec.name for spec in SHIFTS.registered() if spec.kind == "reference"]
STARTS = [name for name in REFERENCES if not name.endswith(("-tinted", "-imbalanced"))]


@pytest.fixture
def cifar10(tmp_path: Path) -> None:
    add("cifar10", layouts.write_binary(tmp_path / "cifar10", layouts.small()), partial=True)


@pytest.mark.parametrize("reference", STARTS)
def test_every_reference_has_them(reference: str) -> None:
    for ending in ENDINGS:
        spec = SHIFTS.get(reference + ending)
        assert spec.name == reference + ending
        if spec.reference is not None:
            matched = SHIFTS.get(spec.reference)
            assert matched.kind == "reference"
            assert (matched.source, matched.split) == (spec.source, spec.split)
            assert (matched.label_space, matched.class_indices) == (spec.label_space, spec.class_indices)
        assert spec.support == (
            "in" if "spurious" in ending or "label" in ending or ending[0] == "-" else "out"
        )


@pytest.mark.parametrize(
    "name",
    [
        "cifar10/sepia",
        "cifar11/pad",
        "cifar10-tinted/pad",
        "cifar10-tinted-tinted",
        "cifar10.1/v6/pad",
        "/pad",
    ],
)
def test_other_names_are_unknown(name: str) -> None:
    assert resolve(name) is None
    with pytest.raises(UnknownNameError):
        SHIFTS.get(name)


def test_the_parameters_are_those_of_the_paper() -> None:
    tinted = SHIFTS.get("cifar10-tinted").perturbations[0].parameters
    assert (tinted["p"], tinted["alpha"]) == (0.5, 0.25)
    for name in ("cifar10/spurious-tint", "cifar10/unseen-tint"):
        assert SHIFTS.get(name).perturbations[0].parameters == {"p": 0.0, "alpha": 0.25, "palette_seed": 0}
    selection = SHIFTS.get("cifar10/label-shift").selection
    assert selection is not None
    assert selection.parameters == {"p_minority": 0.2, "side": "shifted"}


def test_the_digits_keep_their_own() -> None:
    """What the digits declare is what would be made of them, but for sizes given in pixels."""
    for name in (
        "digits/unseen-tint",
        "digits/spurious-tint",
        "digits-tinted",
        "digits-imbalanced",
        "digits/label-shift",
    ):
        own, made = SHIFTS.get(name), resolve(name)
        assert made is not None
        assert (own.perturbations, own.selection) == (made.perturbations, made.selection)
        assert (own.support, own.reference, own.kind) == (made.support, made.reference, made.kind)
    for name in ("digits/pad", "digits/translate"):
        made = resolve(name)
        assert made is not None
        shift = load_shift(name)
        images = np.stack([shift.base.image(row) for row in range(20)])
        rows = shift.rows(np.arange(20))
        function = {"digits/pad": pad_by, "digits/translate": translate_by}[name]
        same = function(images, rows, **made.perturbations[0].parameters)
        assert np.array_equal(same, shift.perturb(list(images), np.arange(20)))


def test_six_of_thirty_two_pixels_are_padded(cifar10: None) -> None:
    shift, clean = load_shift("cifar10/pad"), load_shift("cifar10")
    image = shift.item(0)
    assert image.shape == (32, 32, 3)
    assert not image[:4].any() and not image[:, -4:].any()
    assert image[8:24, 8:24].any()
    assert np.array_equal(load_shift("cifar10/vertical-flip").item(0), clean.item(0)[::-1])
    assert np.array_equal(load_shift("cifar10/translate").item(0)[4:, 6:], clean.item(0)[:-4, :-6])


def test_a_tint_is_a_property_of_the_example(cifar10: None) -> None:
    shift = load_shift("cifar10-tinted")
    limited = load_shift("cifar10-tinted", limit=5)
    place = {name: row for row, name in enumerate(shift.example_ids)}
    for row, name in enumerate(limited.example_ids):
        assert np.array_equal(limited.item(row), shift.item(place[name]))
    assert shift.group_columns["tint"].names == ("differs", "agrees")
    assert shift.spec.groups == ("class", "tint")


def test_label_shift_comes_after_what_a_reference_selects(tmp_path: Path, real_data: Path) -> None:
    add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True)
    held_out = set(load_shift("pacs-photo").example_ids)
    reference, shifted = load_shift("pacs-photo-imbalanced"), load_shift("pacs-photo/label-shift")
    assert set(reference.example_ids) < held_out and set(shifted.example_ids) < held_out
    counts = [np.bincount(shift.labels, minlength=7).tolist() for shift in (reference, shifted)]
    assert sorted(counts[0]) == [3] * 3 + [12] * 4
    assert [{3: 12, 12: 3}[count] for count in counts[0]] == counts[1]
    training = SHIFTS.get("pacs-photo-imbalanced").training
    assert training is not None and training.parameters["steps"][0]["parameters"]["side"] == "train"


def test_images_of_any_size_are_padded_and_moved(tmp_path: Path, real_data: Path) -> None:
    add("pacs", real_data / "pacs" / "pacs_subset.tar", partial=True)
    for name in ("pacs-photo/pad", "pacs-photo/translate", "pacs-photo/unseen-tint"):
        assert load_shift(name).item(3).shape == load_shift("pacs-photo").item(3).shape


def test_they_are_listed_where_the_images_are(cifar10: None) -> None:
    listed = set(SHIFTS.names())
    assert {"cifar10" + ending for ending in ENDINGS} <= listed
    assert not {"digits/vertical-flip", "toy/pad", "pacs-photo/pad", "stl10/pad"} & listed
    assert SHIFTS.names("cifar10/*")[:1]


def test_without_the_images_nothing_is_listed() -> None:
    assert not [name for name in SHIFTS.names() if name.startswith("cifar10/") and name.endswith(ENDINGS)]


def test_references_come_along(cifar10: None) -> None:
    names = [
        spec.name
        for spec in with_references([SHIFTS.get("cifar10/spurious-tint"), SHIFTS.get("cifar10/pad")])
    ]
    assert names == ["cifar10-tinted", "cifar10/spurious-tint", "cifar10", "cifar10/pad"]


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="share"):
        pad_by(np.zeros((1, 4, 4, 3), np.uint8), None, share=0.0)  # type: ignore[arg-type]


def test_strengths_are_shifts_against_references_of_the_same_strength() -> None:
    tinted, spurious = SHIFTS.get("digits-tinted-0.9"), SHIFTS.get("digits/spurious-tint/0.9")
    assert tinted.perturbations[0].parameters["p"] == 0.9
    assert (spurious.reference, spurious.perturbations[0].parameters["p"]) == ("digits-tinted-0.9", 0.0)
    agrees = load_shift("digits-tinted-0.9").group_columns["tint"].values.mean()
    assert agrees == pytest.approx(0.9 + 0.1 / 10, abs=0.03)
    rare, exchanged = load_shift("digits-imbalanced-0.1"), load_shift("digits/label-shift/0.1")
    assert exchanged.spec.reference == "digits-imbalanced-0.1"
    counts, others = (np.bincount(one.labels, minlength=10) for one in (rare, exchanged))
    assert ((counts < 10) != (others < 10)).all(), "what is rare in one is frequent in the other"
    assert counts.max() / counts.min() == pytest.approx(9, rel=0.25)


@pytest.mark.parametrize(
    "name",
    [
        "digits-tinted-0.5",  # has no number in its name
        "digits-tinted-0.70",
        "digits-tinted-1.5",
        "digits/label-shift/0.6",
        "digits/spurious-tint/x",
        "digits-tinted-0.9-imbalanced",
        "digits-tinted-0.9/pad",
    ],
)
def test_a_strength_has_one_name(name: str) -> None:
    assert resolve(name) is None
