"""Variants of every model that is trained here: other seeds, shares, distributions, kept epochs."""

from __future__ import annotations

from models_zoo.spec import MODELS, ModelSpec


def resolve(name: str) -> ModelSpec | None:
    """See ``models_zoo.variants``."""
    if "@" not in name:
        return None
    from models_zoo.variants import resolve as find

    return find(name)


MODELS.add_resolver(resolve)
