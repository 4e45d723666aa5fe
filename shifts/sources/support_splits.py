"""The halves of a shift that ``diagnose`` has split: ``NAME/in-support`` and ``NAME/out-of-support``."""

from __future__ import annotations

import dataclasses

from shifts.spec import SHIFTS, Selection, ShiftSpec

SIDES = {"in-support": "in", "out-of-support": "out"}


def _half(name: str) -> ShiftSpec | None:
    parent, _, side = name.rpartition("/")
    if side not in SIDES or not parent:
        return None
    from shifts.support import kept

    whole = SHIFTS.get(parent)
    rule = Selection(
        function="shifts.support:half",
        parameters={"shift": parent, "split": kept(parent)["digest"], "side": side},
    )
    if whole.selection is not None:
        steps = [
            {"function": one.function, "parameters": dict(one.parameters)} for one in (whole.selection, rule)
        ]
        rule = Selection(function="shifts.perturbations.selections:chain", parameters={"steps": steps})
    return dataclasses.replace(
        whole,
        name=name,
        title=f"{whole.title}: the examples {side.replace('-', ' ')}",
        support=SIDES[side],  # type: ignore[arg-type]  # the values of SIDES are two of its literals
        selection=rule,
        training=None,
        group_weights=None,
    )


SHIFTS.add_resolver(_half)
