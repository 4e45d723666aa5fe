"""Agreement on the line: accuracy out of distribution, predicted without labels (Baek et al. 2022).

Where accuracy is on the line, so is agreement: the fraction of examples on which two models say the same has
nearly the same slope and intercept between reference and shift, and it needs no label (arXiv 2206.13089,
Sec. 3-4). ALine-S applies the agreement line to a model's reference accuracy; ALine-D also uses the agreement
of each pair out of distribution, which removes what is particular to a pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.lines import BaselineFit, BaselinePoint, fit_baseline
from benchmark.scales import Floats, Scale, from_scale, margin_of, to_scale
from shifts.errors import FitError

# Below this r2 of the agreement line the prediction is not to be trusted (Baek et al. 2022, Sec. 4).
APPLIES_R2 = 0.95
MIN_MODELS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AgreementLine:
    """The agreement line and what it predicts.

    Attributes:
        models: M names.
        line: fitted over the M(M-1)/2 pairs; its "accuracies" are agreements.
        reference_accuracy: float64 (M,), with labels.
        aline_s, aline_d: float64 (M,), predicted accuracy on the shift.
        applies: whether r2 of the agreement line is at least 0.95.
    """

    models: tuple[str, ...]
    line: BaselineFit
    reference_accuracy: Floats
    aline_s: Floats
    aline_d: Floats

    @property
    def applies(self) -> bool:
        """Whether agreement is on a line at all; where it is not, accuracy need not be either."""
        return self.line.r2 >= APPLIES_R2

    def mean_error(self, accuracy: ArrayLike) -> dict[str, float]:
        """Mean absolute error of both predictions, in accuracy, where the labels are known after all.

        Args:
            accuracy: float (M,), true accuracy on the shift.
        """
        truth = np.asarray(accuracy, dtype=np.float64)
        return {
            "aline_s": float(np.abs(self.aline_s - truth).mean()),
            "aline_d": float(np.abs(self.aline_d - truth).mean()),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "reference": self.line.reference,
            "shift": self.line.shift,
            "scale": self.line.scale,
            "slope": self.line.slope,
            "intercept": self.line.intercept,
            "r2": self.line.r2,
            "applies": self.applies,
            "n_pairs": self.line.n_models,
            "models": [
                {"model": model, "reference_accuracy": x, "aline_s": s, "aline_d": d}
                for model, x, s, d in zip(
                    self.models,
                    self.reference_accuracy.tolist(),
                    self.aline_s.tolist(),
                    self.aline_d.tolist(),
                    strict=True,
                )
            ],
        }


def agreements(predictions: ArrayLike) -> Floats:
    """Fraction of examples on which two models say the same, for every pair.

    Args:
        predictions: int (M, N), class indices.

    Returns:
        float64 (M, M), symmetric with ones on the diagonal.

    >>> float(agreements([[0, 1, 2, 2], [0, 1, 1, 1]])[0, 1])
    0.5
    """
    said = np.asarray(predictions)
    if said.ndim != 2 or not said.shape[1]:
        raise ValueError(f"predictions are (models, examples), not {said.shape}")
    same = np.ones((len(said), len(said)))
    for row in range(len(said) - 1):
        same[row, row + 1 :] = same[row + 1 :, row] = (said[row + 1 :] == said[row]).mean(axis=1)
    return same


def agreement_line(
    models: Sequence[str],
    *,
    reference_predictions: ArrayLike,
    reference_labels: ArrayLike,
    shift_predictions: ArrayLike,
    reference: str = "reference",
    shift: str = "shift",
    scale: Scale = "probit",
) -> AgreementLine:
    """Fit the agreement line and predict every model's accuracy on the shift without its labels.

    Args:
        models: M >= 3 names.
        reference_predictions: int (M, N1), class indices on the reference.
        reference_labels: int (N1,).
        shift_predictions: int (M, N2), class indices on the shift.
        reference, shift: names, for the record.
        scale: probit as in the paper, logit or linear.

    Raises:
        FitError: fewer than three models, or no spread in their agreement.
        ValueError: shapes that do not fit.
    """
    on_reference, on_shift = np.asarray(reference_predictions), np.asarray(shift_predictions)
    labels = np.asarray(reference_labels)
    if not len(models) == len(on_reference) == len(on_shift) or on_reference.shape[1:] != labels.shape:
        raise ValueError(
            f"{len(models)} models, predictions {on_reference.shape} and {on_shift.shape}, "
            f"labels {labels.shape} do not fit together"
        )
    if len(models) < MIN_MODELS:
        raise FitError(
            f"agreement on the line needs {MIN_MODELS} models or more, not {len(models)}",
            hint="evaluate more models on both",
        )
    same_reference, same_shift = agreements(on_reference), agreements(on_shift)
    pairs = list(itertools.combinations(range(len(models)), 2))
    points = [
        BaselinePoint(
            model=f"{models[i]} & {models[j]}",
            reference_accuracy=float(same_reference[i, j]),
            reference_n=on_reference.shape[1],
            shift_accuracy=float(same_shift[i, j]),
            shift_n=on_shift.shape[1],
            family="",
        )
        for i, j in pairs
    ]
    if len(points) < 4:  # three models have three pairs: each counts twice, which moves no line
        points += [
            BaselinePoint(
                model=f"{p.model} again",
                reference_accuracy=p.reference_accuracy,
                reference_n=p.reference_n,
                shift_accuracy=p.shift_accuracy,
                shift_n=p.shift_n,
                family="",
            )
            for p in points
        ]
    line = fit_baseline(points, reference=reference, shift=shift, scale=scale)
    accuracy = (on_reference == labels).mean(axis=1)
    x = to_scale(accuracy, scale, margin=margin_of(labels.size))
    aline_s = from_scale(line.intercept + line.slope * x, scale)
    return AgreementLine(
        models=tuple(models),
        line=line,
        reference_accuracy=accuracy,
        aline_s=np.clip(aline_s, 0, 1),
        aline_d=np.clip(
            _aline_d(pairs, x, same_reference, same_shift, line, (labels.size, on_shift.shape[1])), 0, 1
        ),
    )


def _aline_d(
    pairs: Sequence[tuple[int, int]],
    x: Floats,
    same_reference: Floats,
    same_shift: Floats,
    line: BaselineFit,
    sizes: tuple[int, int],
) -> NDArray[np.float64]:
    """Least squares over pairs of (y_i + y_j)/2 = T(agree_shift) + slope ((x_i + x_j)/2 - T(agree_ref))."""
    rows, columns = np.array(pairs).T
    reference = to_scale(same_reference[rows, columns], line.scale, margin=margin_of(sizes[0]))
    shift = to_scale(same_shift[rows, columns], line.scale, margin=margin_of(sizes[1]))
    target = shift + line.slope * ((x[rows] + x[columns]) / 2 - reference)
    design = np.zeros((len(pairs), x.size))
    order = np.arange(len(pairs))
    design[order, rows] = design[order, columns] = 0.5
    solution: Floats = np.linalg.lstsq(design, target, rcond=None)[0].astype(np.float64)
    return from_scale(solution, line.scale)
