"""Right answers without images are those with images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leaderboard.keys import Keys, write_key
from leaderboard.verify import verify
from shifts.data import load_shift
from shifts.errors import CorruptDataError, DataNotFoundError
from shifts.spec import SHIFTS
from tests.leaderboard.made_bundles import made


@pytest.mark.parametrize(
    "name", ["digits", "digits/spurious-tint", "digits-imbalanced", "digits/label-shift"]
)
def test_a_key_gives_every_shift_of_its_split(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key(SHIFTS.get("digits"), tmp_path)
    truth = load_shift(name)
    monkeypatch.setattr("leaderboard.keys.recorded_content", _nothing_here)
    found = Keys(folders=(tmp_path,)).shift(truth.spec, truth.content)
    assert found is not None
    assert found.digest == truth.digest and found.example_ids == truth.example_ids
    np.testing.assert_array_equal(found.labels, truth.labels)
    np.testing.assert_array_equal(found.groups, truth.groups)
    with pytest.raises(CorruptDataError, match="no images"):
        found.item(0)


def _nothing_here(*arguments: object, **options: object) -> str:
    raise DataNotFoundError("no images")


def test_without_images_and_key_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = made().write(tmp_path)
    monkeypatch.setattr("leaderboard.keys.recorded_content", _nothing_here)
    report = verify(bundle, keys=Keys(folders=(tmp_path,))).report
    assert not report.passed and report.tier is None
    detail = next(check.detail for check in report.checks if check.name == "digests")
    assert "leaderboard key" in detail


def test_the_shipped_key_is_that_of_the_published_images(real_data: Path) -> None:
    spec = SHIFTS.get("cifar10-jpeg75")
    (content,) = Keys().contents(spec)
    found = Keys().shift(spec, content)
    assert found is not None
    labels = np.load(real_data / "cifar10" / "cifar10_test_set_original_labels.npy")
    np.testing.assert_array_equal(found.labels, labels)
    assert found.example_ids[:2] == ["test-00000", "test-00001"]
