"""The declarations of the published corruption sets: the files on disk, and the same generated here.

The two are different data: other random numbers, other library versions. They have names of their own and are
never mixed; the set on disk is the one of record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shifts.perturbations.severities import COMMON, EXTRA, SEVERITIES, corruption
from shifts.spec import Perturbation, ShiftSpec

CELLS = tuple((name, severity) for name in (*COMMON, *EXTRA) for severity in SEVERITIES)
SPLITS = tuple(f"{name}-{severity}" for name, severity in CELLS)
HENDRYCKS = (
    "D. Hendrycks, T. Dietterich. Benchmarking Neural Network Robustness to Common Corruptions and "
    "Perturbations. ICLR 2019, arXiv 1903.12261."
)


def corruption_shifts(
    on_disk: str,
    *,
    clean: str,
    split: str,
    label_space: str,
    profile: str,
    before: Sequence[Perturbation] = (),
    mean: str,
    **fields: Any,
) -> list[ShiftSpec]:
    """The published corruptions of a set: as they lie on disk, and generated from its reference.

    Args:
        on_disk: the source of the published files; its splits are ``fog-3`` and so on. The generated ones
            are called ``<on_disk>-online``.
        clean: the reference, and the source of the same name, whose ``split`` is what is corrupted.
        profile: of the strengths (``shifts.perturbations.severities.PROFILES``).
        before: what happens to a clean image before it is corrupted.
        mean: what the four extra corruptions are no part of.
        fields: of every spec.
    """

    def spec(family: str, name: str, severity: int, **own: Any) -> ShiftSpec:
        return ShiftSpec(
            name=f"{family}/{name}/{severity}",
            title=f"{name.replace('-', ' ')}, severity {severity}",
            kind="corruption",
            support="out",
            label_space=label_space,
            reference=clean,
            groups=("class",),
            severity=severity,
            notes="" if name in COMMON else f"One of the four extra corruptions; {mean}.",
            **own,
            **fields,
        )

    return [
        *(
            spec(on_disk, name, severity, source=on_disk, split=f"{name}-{severity}")
            for name, severity in CELLS
        ),
        *(
            spec(
                f"{on_disk}-online",
                name,
                severity,
                source=clean,
                split=split,
                perturbations=(*before, corruption(name, severity, profile)),
            )
            for name, severity in CELLS
        ),
    ]
