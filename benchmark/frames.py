"""Lines and effective robustness from a pandas table of accuracies: models as rows, sets as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from benchmark import lines, robustness
from benchmark.estimate import Estimate
from benchmark.intervals import wilson_bounds
from benchmark.lines import BaselineFit, BaselinePoint, Method
from benchmark.robustness import EffectiveRobustness
from benchmark.scales import Scale
from shifts.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def fit_baseline(
    accuracies: pd.DataFrame | Sequence[BaselinePoint],
    *,
    reference: str,
    shift: str,
    n: Mapping[str, int] | None = None,
    scale: Scale = "probit",
    method: Method = "least-squares",
    min_reference_accuracy: float | None = None,
    exclude: Mapping[str, str] | None = None,
    baseline: str | None = None,
) -> BaselineFit:
    """The line through the models of a table.

    Args:
        accuracies: one row per model, its name as the index; the columns named by ``reference`` and ``shift``
            hold fractions in [0, 1]. Rows that lack one of the two are left out. A column ``family`` is kept.
            Or points, as ``benchmark.lines.fit_baseline`` takes them.
        reference, shift: names of the two columns.
        n: column → examples behind its accuracies, for those near 0 and 1.
        scale, method, min_reference_accuracy, exclude, baseline: as in ``benchmark.lines.fit_baseline``.

    Raises:
        UserError: a column is missing, or holds no fractions.
        FitError: fewer than four models, or no spread in their reference accuracies.
    """
    if isinstance(accuracies, Sequence):
        points: Sequence[BaselinePoint] = accuracies
    else:
        sizes = n or {}
        table = _numbers(accuracies, reference, shift).dropna()
        families = accuracies["family"] if "family" in accuracies.columns else None
        points = [
            BaselinePoint(
                model=str(model),
                reference_accuracy=float(x),
                reference_n=sizes.get(reference),
                shift_accuracy=float(y),
                shift_n=sizes.get(shift),
                family="" if families is None else str(families.loc[model]),
            )
            for model, x, y in table.itertuples(name=None)
        ]
    return lines.fit_baseline(
        points,
        reference=reference,
        shift=shift,
        scale=scale,
        method=method,
        min_reference_accuracy=min_reference_accuracy,
        exclude=exclude,
        baseline=baseline,
    )


@overload
def effective_robustness(
    fit: BaselineFit,
    reference: Estimate,
    shift: Estimate,
    *,
    model: str | None = None,
    level: float = 0.95,
) -> EffectiveRobustness: ...


@overload
def effective_robustness(
    fit: BaselineFit,
    reference: pd.DataFrame,
    *,
    n: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> pd.DataFrame: ...


def effective_robustness(
    fit: BaselineFit,
    reference: pd.DataFrame | Estimate,
    shift: Estimate | None = None,
    *,
    n: Mapping[str, int] | None = None,
    model: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame | EffectiveRobustness:
    """How far models lie above the line: of a table, or of one model's two estimates.

    Args:
        fit: the line.
        reference: a table as ``fit_baseline`` takes it; or the model's accuracy on the reference.
        shift: with an estimate, the model's accuracy on the shift.
        n: column → examples behind its accuracies. Where it is missing the interval holds the uncertainty of
            the line alone, and the table says so in the column ``method``.
        model: with estimates, the model's name.
        level: confidence level in (0, 1).

    Returns:
        For a table, one row per model: ``value``, ``low``, ``high``, ``expected``, ``flags``, ``method``;
        fractions. Members of the fit are compared with the line through the others.

    Raises:
        UserError: a column is missing, or holds no fractions.
    """
    if isinstance(reference, Estimate):
        if shift is None:
            raise ValueError("the accuracy on the shift is missing")
        return robustness.effective_robustness(fit, reference, shift, model=model, level=level)
    import pandas as pd

    sizes = n or {}
    table = _numbers(reference, fit.reference, fit.shift).dropna()
    rows: dict[Any, dict[str, Any]] = {}
    for name, x, y in table.itertuples(name=None):
        one = robustness.effective_robustness(
            fit,
            _estimate(float(x), sizes.get(fit.reference), level),
            _estimate(float(y), sizes.get(fit.shift), level),
            model=str(name),
            level=level,
        )
        known = fit.reference in sizes and fit.shift in sizes
        rows[name] = {
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "expected": one.expected,
            "flags": ", ".join(one.flags),
            "method": one.estimate.method if known else "uncertainty of the line alone",
        }
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["value", "low", "high", "expected", "flags", "method"]
    )


def _estimate(accuracy: float, n: int | None, level: float) -> Estimate:
    if n is None:
        return Estimate(value=accuracy, low=accuracy, high=accuracy, level=level, method="given", n=10**9)
    from benchmark.intervals import normal_quantile

    low, high = wilson_bounds(accuracy, n, z=normal_quantile(level))
    return Estimate(
        value=accuracy, low=min(low, accuracy), high=max(high, accuracy), level=level, method="wilson", n=n
    )


def _numbers(table: pd.DataFrame, reference: str, shift: str) -> pd.DataFrame:
    missing = [name for name in (reference, shift) if name not in table.columns]
    if missing:
        raise UserError(
            f"the table has no column {' or '.join(map(repr, missing))}",
            hint=f"its columns are {', '.join(map(str, table.columns))}",
        )
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise UserError(f"the model {twice!r} has two rows", hint="give every row a name of its own")
    chosen = table[[reference, shift]]
    try:
        numbers = chosen.astype(float)
    except (TypeError, ValueError) as error:
        raise UserError(f"accuracies must be numbers: {error}") from error
    if bool(((numbers < 0) | (numbers > 1)).any().any()):
        raise UserError(
            "accuracies must be fractions in [0, 1]", hint="divide the table by 100 if it is in percent"
        )
    return numbers
