"""What every registered shift and source must satisfy; exceptions carry a reason and may only shrink."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest

from shifts.data import Shift, load_shift, perturb
from shifts.errors import DataNotFoundError
from shifts.labels import LABEL_SPACES
from shifts.perturbations.severities import UNORDERED
from shifts.registry import resolve
from shifts.spec import NAME, SHIFTS, SOURCES, ImageSource, ShiftSpec

ALL = list(SHIFTS)
# Bundled, whatever lies in the cache of the machine, which no test reads.
READY = [spec for spec in ALL if SOURCES.get(spec.source).bundled]
by_name = pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
if_ready = pytest.mark.parametrize("spec", READY, ids=lambda spec: spec.name)
sources = pytest.mark.parametrize("source", list(SOURCES), ids=lambda source: source.name)

# Distance to the reference need not rise where the published strengths themselves do not.
NOT_MONOTONE = {
    f"{stem}/{name}"
    for profile, stem in (("imagenet", "imagenet-c-online"), ("cifar", "cifar10-c-online"))
    for name in UNORDERED[profile]
}


def test_the_contract_covers_what_is_bundled() -> None:
    assert {"digits", "digits/unseen-tint", "digits/spurious-tint", "toy"} <= {spec.name for spec in READY}


@by_name
def test_declaration(spec: ShiftSpec) -> None:
    assert NAME.fullmatch(spec.name)
    source = SOURCES.get(spec.source)
    assert spec.split in source.counts
    assert len(LABEL_SPACES.get(spec.label_space)) >= 2
    assert spec.title
    assert spec.seed >= 0
    assert pickle.loads(pickle.dumps(spec)) == spec, "studies send declarations to other processes"
    for perturbation in spec.perturbations:
        assert callable(resolve(perturbation.function))
        json.dumps(dict(perturbation.parameters), allow_nan=False)
    if spec.severity is not None:
        assert spec.name.endswith(f"/{spec.severity}")
        assert 1 <= spec.severity <= 5


@by_name
def test_reference(spec: ShiftSpec) -> None:
    if spec.kind == "reference":
        return
    assert spec.reference is not None
    reference = SHIFTS.get(spec.reference)
    assert reference.kind == "reference"
    assert reference.label_space == spec.label_space
    assert reference.class_indices == spec.class_indices


@sources
def test_source_declaration(source: ImageSource) -> None:
    assert source.licence
    assert source.citation
    assert source.homepage.startswith("http") or source.homepage == "this project"
    space = LABEL_SPACES.get(source.label_space)
    for counts in source.counts.values():
        assert len(counts) == len(space)
        assert all(count is None or count >= 0 for count in counts)
    assert callable(resolve(source.loader))
    for file in source.files:
        assert file.urls or file.how, f"{file.filename}: no way to get it"


@sources
def test_a_missing_source_names_the_way_to_get_it(source: ImageSource) -> None:
    if source.bundled:
        return
    spec = next(spec for spec in SHIFTS if spec.source == source.name)
    with pytest.raises(DataNotFoundError) as caught:
        load_shift(spec.name)
    assert "robustbench-shift data" in (caught.value.hint or "")
    assert source.name in (caught.value.hint or "")


@if_ready
def test_opened(spec: ShiftSpec) -> None:
    shift = load_shift(spec.name)
    assert len(shift) > 0
    assert shift.labels.dtype == np.int64
    assert shift.labels.min() >= 0
    assert shift.labels.max() < shift.num_classes
    assert len(set(shift.example_ids)) == len(shift)
    assert shift.groups.shape == (len(shift), len(spec.groups))
    for values, column in zip(shift.groups.T, shift.group_columns.values(), strict=True):
        assert values.min() >= 0
        assert values.max() < len(column.names)
    image = shift.item(0)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


@if_ready
def test_pixels_depend_on_the_example_alone(spec: ShiftSpec) -> None:
    """The same bytes for any batch size, order, neighbour and limit."""
    shift = load_shift(spec.name)
    whole = [image for batch in shift.batches(len(shift)) for image in batch.images]
    some = [*range(0, len(shift), max(len(shift) // 7, 1)), len(shift) - 1]
    for index in some:
        np.testing.assert_array_equal(shift.item(index), whole[index])
    small = [image for batch in shift.batches(37) for image in batch.images]
    assert all(np.array_equal(a, b) for a, b in zip(whole, small, strict=True))
    backwards = shift.position[some][::-1]
    images = [shift.base.image(int(row)) for row in backwards]
    for image, index in zip(shift.perturb(images, backwards), reversed(some), strict=True):
        np.testing.assert_array_equal(image, whole[index])
    limited = load_shift(spec.name, limit=20)
    place = {name: index for index, name in enumerate(shift.example_ids)}
    for index, name in enumerate(limited.example_ids):
        np.testing.assert_array_equal(limited.item(index), whole[place[name]])


def test_pixels_are_the_same_in_another_process() -> None:
    names = [spec.name for spec in READY]
    code = (
        "import sys, hashlib\nfrom shifts.data import load_shift\n"
        "for name in sys.argv[1:]:\n"
        "    shift = load_shift(name)\n"
        "    print(name, hashlib.sha256(b''.join(shift.item(i).tobytes() for i in range(5))).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    there = dict(line.split() for line in done.stdout.splitlines())
    for name in names:
        shift = load_shift(name)
        here = hashlib.sha256(b"".join(shift.item(index).tobytes() for index in range(5))).hexdigest()
        assert there[name] == here, name


def distance(spec: ShiftSpec) -> float:
    """Mean absolute difference to the same images without perturbation."""
    shift = load_shift(spec.name)
    total = 0.0
    for batch in shift.batches(256):
        clean = [shift.base.image(int(row)) for row in shift.position[batch.index]]
        total += sum(
            float(np.abs(a.astype(int) - b.astype(int)).mean())
            for a, b in zip(batch.images, clean, strict=True)
        )
    return total / len(shift)


def ladders() -> dict[str, list[ShiftSpec]]:
    found: dict[str, list[ShiftSpec]] = {}
    for spec in READY:
        if spec.severity is not None:
            found.setdefault(spec.name.rpartition("/")[0], []).append(spec)
    return found


@pytest.mark.parametrize("name", [name for name in ladders() if name not in NOT_MONOTONE])
def test_distance_rises_with_severity(name: str) -> None:
    ladder = sorted(ladders()[name], key=lambda spec: spec.severity or 0)
    assert [spec.severity for spec in ladder] == [1, 2, 3, 4, 5]
    distances = [distance(spec) for spec in ladder]
    assert distances[0] > 0
    assert distances == sorted(distances)


@if_ready
def test_severity_zero_is_the_reference(spec: ShiftSpec) -> None:
    """Without its perturbations a shift shows its source's own pixels."""
    shift = load_shift(spec.name)
    position = shift.position[:3]
    clean = [shift.base.image(int(row)) for row in position]
    for image, same in zip(perturb((), clean, shift.rows(position)), clean, strict=True):
        np.testing.assert_array_equal(image, same)


SAME_IMAGES = {"imagenet-real": "the validation images under other labels"}


def test_natural_shifts_share_no_image_with_their_reference() -> None:
    for spec in READY:
        if spec.kind == "natural" and spec.reference is not None and spec.name not in SAME_IMAGES:
            ours = hashes(load_shift(spec.name))
            assert not ours & hashes(load_shift(spec.reference)), spec.name


def hashes(shift: Shift) -> set[str]:
    return {hashlib.sha256(shift.item(index).tobytes()).hexdigest() for index in range(len(shift))}


@if_ready
def test_offline_opens_no_socket(spec: ShiftSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened in offline mode")

    monkeypatch.setattr(socket, "socket", refuse)
    load_shift(spec.name, limit=3).item(0)


def test_the_digest_changes_with_all_that_moves_a_number() -> None:
    spec = SHIFTS.get("digits/unseen-tint")
    content = SOURCES.get("digits").content["test"]
    tint = spec.perturbations[0]
    changes = [
        {"seed": 1},
        {"limit": 5},
        {"version": 2},
        {"split": "train"},
        {"groups": ()},
        {"min_group_size": 3},
        {"group_weights": {str(label): 1.0 for label in range(10)}},
        {"metrics": ("macro_f1",)},
        {"class_indices": (0, 1)},
        {"perturbations": ()},
        {"perturbations": (dataclasses.replace(tint, version=2),)},
        {"perturbations": (dataclasses.replace(tint, parameters={**tint.parameters, "alpha": 0.5}),)},
    ]
    digests = {spec.digest(content), spec.digest("other")}
    digests |= {dataclasses.replace(spec, **change).digest(content) for change in changes}
    assert len(digests) == len(changes) + 2
    assert dataclasses.replace(spec, title="other", notes="other").digest(content) == spec.digest(content)
