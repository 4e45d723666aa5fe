"""The declarations that sets with some of ImageNet's classes share.

Declarations read this module, so nothing heavy is imported at its top.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from shifts.spec import ShiftSpec, Support


def subset_counts(class_indices: Collection[int]) -> tuple[int | None, ...]:
    """Examples of each ImageNet class where it is published only which classes there are."""
    kept = frozenset(class_indices)
    return tuple(None if index in kept else 0 for index in range(1000))


def subset_shifts(
    source: str, title: str, *, short: str, classes: tuple[int, ...], support: Support, citation: str
) -> list[ShiftSpec]:
    """A set with some of ImageNet's classes: its reference, the protocol, and answers among all classes.

    Args:
        source: name of the source and of the shift.
        title: of the set.
        short: what the reference is called after ``imagenet-val/``.
        classes: indices of its classes among the 1000.
        citation: of the validation set.
    """
    reference = ShiftSpec(
        name=f"imagenet-val/{short}",
        title=f"ImageNet-1k validation set, the {len(classes)} classes of {title}",
        kind="reference",
        support="in",
        source="imagenet-val",
        split="val",
        label_space="imagenet-1k",
        class_indices=classes,
        groups=("class",),
        citation=citation,
    )
    common: dict[str, Any] = {
        "source": source,
        "split": "test",
        "label_space": "imagenet-1k",
        "kind": "natural",
        "support": support,
        "groups": ("class",),
    }
    return [
        reference,
        ShiftSpec(
            name=source,
            title=f"{title}, answers among its {len(classes)} classes",
            reference=reference.name,
            class_indices=classes,
            notes=f"Logits restricted to the {len(classes)} classes before the argmax, as in the authors' "
            "eval.py.",
            **common,
        ),
        ShiftSpec(
            name=f"{source}/all-classes",
            title=f"{title}, answers among all 1000 classes",
            reference="imagenet-val",
            notes=f"Harder than the published protocol, which masks the {1000 - len(classes)} other classes; "
            "never mix the two.",
            **common,
        ),
    ]
