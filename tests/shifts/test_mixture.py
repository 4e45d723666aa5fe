"""A mixture with known parts: the share, the pixels of each part, independence of batch and order."""

from __future__ import annotations

import numpy as np
import pytest

from shifts.data import Rows
from shifts.errors import UserError
from shifts.perturbations.mixture import mixture, part, stays
from shifts.perturbations.synthetic import tint, translate

STEPS = [
    {"function": "shifts.perturbations.synthetic:translate", "parameters": {"down": 2, "right": 3}},
    {"function": "shifts.perturbations.synthetic:tint", "parameters": {"p": 0.0, "alpha": 0.5}},
]


def rows(count: int, *, seed: int = 0) -> Rows:
    ids = [f"{number:04d}" for number in range(count)]
    return Rows(ids=ids, labels=np.arange(count) % 10, num_classes=10, seed=seed)


def test_each_part_has_its_pixels() -> None:
    of = rows(200)
    images = np.random.default_rng(0).integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)
    before = images.copy()
    mixed = mixture(images, of, share=0.4, steps=STEPS)
    kept = part(of, share=0.4, steps=STEPS)
    assert kept.names[1] == "stays"
    still = kept.values == 1
    assert np.array_equal(images, before), "what came in is left alone"
    assert np.array_equal(mixed[still], images[still])
    whole = tint(translate(images, of, down=2, right=3), of, p=0.0, alpha=0.5)
    assert np.array_equal(mixed[~still], whole[~still])
    backwards = np.arange(200)[::-1]
    turned = Rows(ids=of.ids[::-1], labels=of.labels[backwards], num_classes=10, seed=0)
    assert np.array_equal(mixture(images[backwards], turned, share=0.4, steps=STEPS)[backwards], mixed)


def test_the_share_is_that_asked_for_and_the_seed_draws_another_part() -> None:
    first, second = stays(rows(4000), share=0.4), stays(rows(4000, seed=1), share=0.4)
    assert first.mean() == pytest.approx(0.4, abs=0.025)
    assert (first == second).mean() == pytest.approx(0.4**2 + 0.6**2, abs=0.03)
    with pytest.raises(UserError):
        stays(rows(3), share=1.0)
