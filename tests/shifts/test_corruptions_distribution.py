"""Random corruptions have the distribution of the published ones: moments and spectrum at every severity.

``tests/golden/corruptions-figures.npz`` holds, for each profile, corruption and severity, the mean and the
deviation over runs of the published generation code of ``corruption_images.figures``, and the number of runs;
made as told in ``test_corruptions_reference``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shifts.perturbations.noise import impulse_noise, poisson_table, shot_noise
from shifts.perturbations.severities import FUNCTIONS, PROFILES, SEVERITIES
from shifts.registry import resolve
from tests.shifts.corruption_images import figures, picture, rows_of

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "corruptions-figures.npz")
SIDES = {"imagenet": 224, "cifar": 32}
RUNS = {"imagenet": 12, "cifar": 100}


def measured(profile: str, name: str, severity: int, *, runs: int) -> NDArray[np.float64]:
    """Figures of ``runs`` independent draws: (runs, F)."""
    image = picture(SIDES[profile], SIDES[profile])
    rows = rows_of([f"example-{k}" for k in range(runs)])
    function = resolve(FUNCTIONS[name])
    corrupted = function(np.stack([image] * runs), rows, **PROFILES[profile][name][severity - 1])
    return np.array([figures(image, one) for one in corrupted])


@pytest.mark.parametrize("key", [key for key in GOLDEN.files if not key.endswith("frost")])
def test_moments_and_spectrum_are_those_of_the_published_definition(key: str) -> None:
    profile, name = key.split(".")
    runs = RUNS[profile]
    for severity in SEVERITIES:
        mean, deviation, reference_runs = GOLDEN[key][severity - 1].astype(np.float64)
        got = measured(profile, name, severity, runs=runs)
        error = deviation * np.sqrt(1 / runs + 1 / reference_runs)
        # A twentieth of a grey level and a hundredth of a decade, for what varies less than rounding.
        slack = np.where(np.arange(len(mean)) < 4, 0.05, 0.01)
        off = np.abs(got.mean(axis=0) - mean) / (5 * error + slack)
        assert off.max() < 1, f"{key} severity {severity}, figure {off.argmax()}: {got.mean(axis=0)} {mean}"


@pytest.mark.parametrize("profile", SIDES)
def test_frost_is_close_to_the_photographs_in_moments_and_spectrum(profile: str) -> None:
    # Drawn textures stand for photographs, so the bounds are those of likeness, not of sampling.
    for severity in SEVERITIES:
        mean = GOLDEN[f"{profile}.frost"][severity - 1][0].astype(np.float64)
        got = measured(profile, "frost", severity, runs=150).mean(axis=0)
        assert abs(got[0] / mean[0] - 1) < 0.05
        assert abs(got[1] / mean[1] - 1) < 0.1
        assert abs(got[3] / mean[3] - 1) < 0.25
        assert np.abs(got[4:] - mean[4:]).max() < 0.5


@pytest.mark.parametrize("photons", [3, 60, 500])
def test_shot_noise_counts_photons(photons: int) -> None:
    # Every input level against SciPy's Poisson: the table itself, which sampling could not resolve.
    table = poisson_table(photons).reshape(256, -1).astype(np.int64)
    columns = table.shape[1]
    share, second, first = table >> 16, table >> 8 & 255, table & 255
    for level in (0, 1, 30, 128, 254, 255):
        found = np.bincount(first[level], share[level], 256) + np.bincount(
            second[level], 65536 - share[level], 256
        )
        counts = np.arange(photons + 1)
        chance = stats.poisson.pmf(counts, level * photons / 255)
        chance[-1] = stats.poisson.sf(photons - 1, level * photons / 255)
        wanted = np.bincount((counts / photons * 255).astype(int), chance, 256)
        np.testing.assert_allclose(found / columns / 65536, wanted, atol=2e-5)


def test_shot_noise_draws_from_its_table() -> None:
    image = np.full((1, 200, 200, 3), 100, dtype=np.uint8)
    values = shot_noise(image, rows_of(["a"]), photons=5)
    counts = np.bincount(np.rint(values.ravel() / 255 * 5).astype(int), minlength=6)
    chance = stats.poisson.pmf(np.arange(5), 100 * 5 / 255)
    assert stats.chisquare(counts, np.append(chance, 1 - chance.sum()) * values.size).pvalue > 1e-4


def test_impulse_noise_has_as_much_salt_as_pepper() -> None:
    image = np.full((1, 300, 300, 3), 100, dtype=np.uint8)
    values = impulse_noise(image, rows_of(["a"]), amount=0.2)
    salt, pepper = (values == 255).sum(), (values == 0).sum()
    assert stats.binomtest(int(salt), int(salt + pepper)).pvalue > 1e-4
    assert stats.binomtest(int(salt + pepper), values.size, 0.2).pvalue > 1e-4
    assert (np.isin(values, (0, 100, 255))).all()
