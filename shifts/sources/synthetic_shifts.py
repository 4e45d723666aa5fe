"""Synthetic shifts of every reference, made when they are asked for.

For a reference ``cifar10`` there are ``cifar10/unseen-tint``, ``cifar10/vertical-flip``, ``cifar10/pad`` and
``cifar10/translate``; against a reference distribution ``cifar10-tinted``, in which colour goes with the
class, ``cifar10/spurious-tint``; and against ``cifar10-imbalanced``, with half of the classes four times
rarer, ``cifar10/label-shift``. A registered shift of the same name (those of the digits) comes first.
The last four come in other strengths, too: ``cifar10/spurious-tint/0.9`` against ``cifar10-tinted-0.9``, with
colours that go with the class at p = 0.9, and ``cifar10/label-shift/0.1`` against ``cifar10-imbalanced-0.1``.
``cifar10/tint-and-pad`` breaks a shortcut and leaves the support: random tints and a border, against
``cifar10-tinted-0.8``.

Constructions and parameters: Cohen-Wang, Vendrow and Madry, arXiv 2403.00194, section 5.1 and appendix B.3;
padding by 6 of 32 pixels: appendix C.3.1. Translation is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shifts.local import is_ready
from shifts.spec import NAME, SHIFTS, SOURCES, Perturbation, Selection, ShiftSpec

PAPER = "Cohen-Wang, Vendrow and Madry, arXiv 2403.00194, section 5.1"
P_SPURIOUS = 0.5
P_STRONG = 0.8
P_MINORITY = 0.2
ALPHA = 0.25
PAD = 6 / 32
_SYNTHETIC = "shifts.perturbations.synthetic"
_SELECTIONS = "shifts.perturbations.selections"

TINTED, IMBALANCED = "-tinted", "-imbalanced"


def tint(p: float) -> Perturbation:
    """Tint with the colour of the own class (with probability p) or of a random one."""
    return Perturbation(
        function=f"{_SYNTHETIC}:tint",
        parameters={"p": p, "alpha": ALPHA, "palette_seed": 0},
        uses_labels=p > 0,
        groups={"tint": f"{_SYNTHETIC}:tint_agrees"},
    )


def _label_shift(before: Selection | None, side: str, p: float) -> Selection:
    """Thin out one half of the classes, after the rule that the reference has already."""
    function, parameters = f"{_SELECTIONS}:label_shift", {"p_minority": p, "side": side}
    if before is None:
        return Selection(function=function, parameters=parameters)
    steps = [
        {"function": before.function, "parameters": dict(before.parameters)},
        {"function": function, "parameters": parameters},
    ]
    return Selection(function=f"{_SELECTIONS}:chain", parameters={"steps": steps})


def _perturbed(base: ShiftSpec, title: str, perturbation: Perturbation, **changes: Any) -> ShiftSpec:
    return _derived(base, title, perturbations=(*base.perturbations, perturbation), **changes)


def _derived(base: ShiftSpec, title: str, **changes: Any) -> ShiftSpec:
    fields: dict[str, Any] = {
        "title": f"{base.title}: {title}",
        "kind": "synthetic",
        "support": "out",
        "reference": base.name,
        "notes": "",
        "citation": PAPER,
    }
    return dataclasses.replace(base, **(fields | changes))


def _tinted(base: ShiftSpec, **changes: Any) -> dict[str, Any]:
    groups = tuple(dict.fromkeys((*base.groups, "tint")))
    return {"support": "in", "groups": groups, "group_weights": None, **changes}


def _unseen_tint(base: ShiftSpec) -> ShiftSpec:
    return _perturbed(base, "tinted in a random colour", tint(0.0))


def _vertical_flip(base: ShiftSpec) -> ShiftSpec:
    return _perturbed(base, "upside down", Perturbation(function=f"{_SYNTHETIC}:vertical_flip"))


def _pad(base: ShiftSpec) -> ShiftSpec:
    padded = Perturbation(function=f"{_SYNTHETIC}:pad_by", parameters={"share": PAD})
    return _perturbed(base, "with a black border, 6 pixels for 32", padded)


def _translate(base: ShiftSpec) -> ShiftSpec:
    moved = Perturbation(function=f"{_SYNTHETIC}:translate_by", parameters={"down": 1 / 8, "right": 3 / 16})
    return _perturbed(base, "moved down and to the right", moved, citation=None)


def _spurious_tint(base: ShiftSpec, p: float = P_SPURIOUS) -> ShiftSpec:
    reference = _strength(base.name + TINTED, p, P_SPURIOUS)
    changes = _tinted(base, kind="spurious", reference=reference)
    return _perturbed(base, "tints independent of the class", tint(0.0), **changes)


def _tint_and_pad(base: ShiftSpec) -> ShiftSpec:
    padded = Perturbation(function=f"{_SYNTHETIC}:pad_by", parameters={"share": PAD})
    reference = _strength(base.name + TINTED, P_STRONG, P_SPURIOUS)
    return _derived(
        base,
        "tints independent of the class, and a black border",
        perturbations=(*base.perturbations, tint(0.0), padded),
        **_tinted(base, support="out", reference=reference),
    )


def _shifted_labels(base: ShiftSpec, p: float = P_MINORITY) -> ShiftSpec:
    return _derived(
        base,
        "rare and frequent classes exchanged",
        support="in",
        reference=_strength(base.name + IMBALANCED, p, P_MINORITY),
        selection=_label_shift(base.selection, "shifted", p),
    )


def _tinted_reference(base: ShiftSpec, p: float = P_SPURIOUS) -> ShiftSpec:
    changes = _tinted(base, kind="reference", reference=None)
    return _perturbed(base, f"in the colour of the class (p = {p:g}) or of a random one", tint(p), **changes)


def _imbalanced_reference(base: ShiftSpec, p: float = P_MINORITY) -> ShiftSpec:
    return _derived(
        base,
        f"half of the classes {(1 - p) / p:.3g} times rarer",
        kind="reference",
        support="in",
        reference=None,
        selection=_label_shift(base.selection, "reference", p),
        training=None if base.training is None else _label_shift(base.training, "reference", p),
    )


def _strength(name: str, p: float, default: float) -> str:
    return name if p == default else f"{name}-{p:g}"


Maker = Callable[[ShiftSpec], ShiftSpec]
VARIANTS: Mapping[str, Maker] = MappingProxyType(
    {
        "/unseen-tint": _unseen_tint,
        "/vertical-flip": _vertical_flip,
        "/pad": _pad,
        "/translate": _translate,
        "/tint-and-pad": _tint_and_pad,
        TINTED: _tinted_reference,
        "/spurious-tint": _spurious_tint,
        IMBALANCED: _imbalanced_reference,
        "/label-shift": _shifted_labels,
    }
)
"""What the name of a reference is followed by → the shift made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """Shifts that come in strengths: made with a ``p`` up to the highest; the default has no number."""

    make: Callable[[ShiftSpec, float], ShiftSpec]
    default: float
    highest: float


STRENGTHS: Mapping[str, Strengths] = MappingProxyType(
    {
        f"{TINTED}-": Strengths(make=_tinted_reference, default=P_SPURIOUS, highest=1.0),
        "/spurious-tint/": Strengths(make=_spurious_tint, default=P_SPURIOUS, highest=1.0),
        f"{IMBALANCED}-": Strengths(make=_imbalanced_reference, default=P_MINORITY, highest=0.5),
        "/label-shift/": Strengths(make=_shifted_labels, default=P_MINORITY, highest=0.5),
    }
)
"""What stands between the name of a reference and a strength → the shift made of it."""


def resolve(name: str) -> ShiftSpec | None:
    """The synthetic shift of that name, or None where it names none."""
    if not NAME.fullmatch(name):
        return None
    for ending, make in VARIANTS.items():
        if name.endswith(ending):
            base = _base(name.removesuffix(ending))
            return None if base is None else dataclasses.replace(make(base), name=name)
    for between, strengths in STRENGTHS.items():
        stem, _, number = name.rpartition(between)
        p = _number(number) if stem else None
        if p is not None and 0.0 < p <= strengths.highest and p != strengths.default:
            base = _base(stem)
            return None if base is None else dataclasses.replace(strengths.make(base, p), name=name)
    return None


def _number(text: str) -> float | None:
    """The number that is written so and not otherwise: a shift has one name."""
    try:
        return float(text) if f"{float(text):g}" == text else None
    except ValueError:
        return None


def _base(name: str) -> ShiftSpec | None:
    """A reference to start from; one that is tinted or imbalanced already is none."""
    made = any(name.endswith(one) or f"{one}-" in name for one in (TINTED, IMBALANCED))
    spec = None if made else SHIFTS.find(name)
    return spec if spec is not None and spec.kind == "reference" else None


def _listed() -> Iterator[ShiftSpec]:
    """Those of references at hand that bring no synthetic shifts of their own; all would be too many."""
    registered = SHIFTS.registered()
    has_own = {spec.reference for spec in registered if spec.kind == "synthetic"}
    for base in registered:
        plain = base.kind == "reference" and not base.perturbations and not base.relabelling
        if plain and base.name not in has_own and not base.name.endswith((TINTED, IMBALANCED)):
            source = SOURCES.get(base.source)
            if not source.bundled and is_ready(source, base.split):
                made = (resolve(base.name + ending) for ending in VARIANTS)
                yield from (spec for spec in made if spec is not None)


SHIFTS.add_resolver(resolve, listing=_listed)
