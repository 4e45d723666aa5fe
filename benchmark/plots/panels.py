"""What a scatter of in-distribution against out-of-distribution accuracy shows, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.baselines import Baseline, baselines_for, load_baseline
from benchmark.estimate import Estimate
from benchmark.lines import BaselineFit, BaselinePoint
from benchmark.result import Result
from benchmark.robustness import EffectiveRobustness, effective_robustness
from benchmark.scales import Scale
from shifts.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """A model of the user's: its two accuracies and how far it lies above the line."""

    model: str
    reference: Estimate
    shift: Estimate
    effective: EffectiveRobustness


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One scatter.

    Attributes:
        fit: the line; its members are the points it goes through.
        points: all baseline models, members included.
        mine: the user's models.
        baseline: where the points come from.
    """

    fit: BaselineFit
    points: tuple[BaselinePoint, ...]
    mine: tuple[Mine, ...]
    baseline: Baseline

    @property
    def shown(self) -> tuple[BaselinePoint, ...]:
        """The points in the frame: those not far weaker than the line's members, which they would squeeze."""
        lowest, _ = self.fit.reference_range
        floor = min([0.9 * lowest, *(one.reference.low for one in self.mine)])
        return tuple(point for point in self.points if point.reference_accuracy >= floor)

    @property
    def members(self) -> frozenset[str]:
        """Names of the models that the line goes through."""
        return frozenset(point.model for point in self.fit.members)


def build_panel(
    shift: str,
    *,
    reference: str | None = None,
    baseline: Baseline | str | None = None,
    scale: Scale = "probit",
    results: Sequence[tuple[Path, Result]] = (),
) -> Panel:
    """The panel of one shift.

    Args:
        shift: name.
        reference: None for the one that the results name, or else the baseline's first.
        baseline: or its name; None for the default one of the pair, ``results:DIR`` for one's own.
        scale: of the line.
        results: the user's results, from which his models are taken; may be empty.

    Raises:
        UserError: no baseline has the shift.
        FitError: the baseline's members make no line.
    """
    named = reference or next((one.reference for _, one in results if one.shift == shift), None)
    source = _baseline(named, shift, baseline)
    if named is None:
        named = next((name for name, other in source.pairs() if other == shift), None)
    if named is None:
        raise UserError(f"{source.identifier} has no line to {shift!r}")
    fit = source.fit(named, shift, scale=scale)
    by_model = {
        (one.model_digest, one.shift): one for _, one in results if one.status == "ok" and one.accuracy
    }
    mine = []
    for (digest, name), one in sorted(by_model.items(), key=lambda item: item[1].model):
        first = by_model.get((digest, named))
        if name != shift or first is None or first.accuracy is None or one.accuracy is None:
            continue
        effective = effective_robustness(fit, first.accuracy, one.accuracy, model=one.model)
        mine.append(Mine(model=one.model, reference=first.accuracy, shift=one.accuracy, effective=effective))
    points = source.points(named, shift)
    if source.folder is not None:  # own results as a baseline: they are shown once, as one's own
        points = tuple(point for point in points if point.model not in {one.model for one in mine})
    return Panel(fit=fit, points=points, mine=tuple(mine), baseline=source)


def _baseline(reference: str | None, shift: str, given: Baseline | str | None) -> Baseline:
    if given is not None:
        return load_baseline(given) if isinstance(given, str) else given
    if reference is None:
        from benchmark.baselines import baseline_names

        loaded = [load_baseline(identifier) for identifier in baseline_names()]
        having = [one for one in loaded if any(pair[1] == shift for pair in one.pairs())]
        if having:
            return max(having, key=lambda one: (one.precedence, one.version))
    found = baselines_for(reference, shift) if reference is not None else ()
    if not found:
        pair = f"{reference!r} and {shift!r}" if reference else repr(shift)
        raise UserError(
            f"no shipped baseline has {pair}",
            hint="--baseline results:DIR draws the line through models of your own",
        )
    return load_baseline(found[0])
