"""Agreement on the line: planted truths, and real predictions of 30 and 67 models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from benchmark.agreement import agreement_line, agreements
from shifts.errors import FitError


def planted(models: int = 12, n: int = 4000, *, shift: float = 0.5) -> tuple[np.ndarray, ...]:
    """Predictions that are right where ability exceeds difficulty, else one of nine wrong classes."""
    rng = np.random.default_rng(0)
    ability = np.linspace(0.2, 1.6, models)
    sets = []
    for harder in (0.0, shift):
        hardness = rng.normal(0, 1, n)
        right = ability[:, None] - harder - 0.6 * hardness + rng.normal(0, 0.8, (models, n)) > 0
        wrong = rng.integers(1, 10, (models, n))
        sets.append(np.where(right, 0, wrong))
    return sets[0], sets[1], np.zeros(n, np.int64)


def test_agreements_are_pairwise() -> None:
    said = np.array([[0, 1, 2], [0, 1, 1], [1, 1, 1]])
    assert agreements(said) == pytest.approx(
        np.array([[1, 2 / 3, 1 / 3], [2 / 3, 1, 2 / 3], [1 / 3, 2 / 3, 1]])
    )


def test_a_planted_shift_is_predicted_without_labels() -> None:
    reference, shifted, labels = planted()
    found = agreement_line(
        [f"m{i}" for i in range(12)],
        reference_predictions=reference,
        reference_labels=labels,
        shift_predictions=shifted,
    )
    truth = (shifted == 0).mean(axis=1)
    assert found.applies
    errors = found.mean_error(truth)
    untouched = np.abs((reference == 0).mean(axis=1) - truth).mean()
    assert errors["aline_d"] < 0.2 * untouched
    assert errors["aline_s"] < 0.35 * untouched


def test_aline_d_solves_its_equations() -> None:
    """The paper's system, written out with loops."""
    reference, shifted, labels = planted(6, 800)
    found = agreement_line(
        list("abcdef"),
        reference_predictions=reference,
        reference_labels=labels,
        shift_predictions=shifted,
    )
    rows, targets = [], []
    for i in range(6):
        for j in range(i + 1, 6):
            row = np.zeros(6)
            row[[i, j]] = 0.5
            x = special.ndtri([(reference[k] == 0).mean() for k in (i, j)])
            rows.append(row)
            targets.append(
                special.ndtri((shifted[i] == shifted[j]).mean())
                + found.line.slope * (x.mean() - special.ndtri((reference[i] == reference[j]).mean()))
            )
    solution = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    assert found.aline_d == pytest.approx(special.ndtr(solution))


def test_cifar_10_1_without_labels(real_data: Path) -> None:
    stored = np.load(real_data / "published_results" / "cifar10_1" / "model_predictions.npz")
    for version in ("v4", "v6"):
        found = agreement_line(
            stored["models"].tolist(),
            reference_predictions=stored["pred_orig"],
            reference_labels=stored["labels_orig"],
            shift_predictions=stored[f"pred_{version}"],
        )
        truth = (stored[f"pred_{version}"] == stored[f"labels_{version}"]).mean(axis=1)
        assert found.line.n_models == 30 * 29 / 2
        assert found.line.r2 > 0.95 and found.applies
        errors = found.mean_error(truth)
        # The average drop is about nine points; what is left of it is a fraction.
        assert errors["aline_d"] < 0.02
        assert errors["aline_s"] < 0.03


def test_too_few_models_are_refused() -> None:
    reference, shifted, labels = planted(3, 500)
    three = agreement_line(
        list("abc"), reference_predictions=reference, reference_labels=labels, shift_predictions=shifted
    )
    assert len(three.aline_d) == 3
    with pytest.raises(FitError, match="3 models or more"):
        agreement_line(
            list("ab"),
            reference_predictions=reference[:2],
            reference_labels=labels,
            shift_predictions=shifted[:2],
        )
    with pytest.raises(ValueError, match="fit together"):
        agreement_line(
            list("abcd"), reference_predictions=reference, reference_labels=labels, shift_predictions=shifted
        )
