"""The names that a model card may give for what a model was trained on.

A fixed vocabulary: contamination and membership in a baseline are decided by these names, so two spellings
of one data set would make two.
"""

from __future__ import annotations

from functools import cache

from shifts.registry import load_plugins
from shifts.spec import SHIFTS, SOURCES

# Data sets that models are trained on and nothing here is measured on.
COLLECTIONS = (
    "cc12m",
    "commonpool-large",
    "commonpool-medium",
    "commonpool-small",
    "commonpool-xlarge",
    "datacomp-1b",
    "datacomp-large",
    "datacomp-medium",
    "datacomp-small",
    "dfn-2b",
    "dfn-5b",
    "digits-varied",
    "imagenet",
    "imagenet-11k",
    "imagenet-12k",
    "imagenet-21k",
    "imagenet-5k",
    "instagram-1b",
    "instagram-3.6b",
    "jft-300m",
    "jft-3b",
    "laion-2b",
    "laion-400m",
    "laion-5b",
    "laion-aesthetic",
    "lvd-142m",
    "merged-2b",
    "merged-30m",
    "merged-38m",
    "metaclip-2.5b",
    "metaclip-400m",
    "mscoco",
    "openai-wit",
    "openimages",
    "places365",
    "private",
    "synthetic",
    "unknown",
    "webli",
    "yfcc100m",
    "yfcc15m",
)


@cache
def training_data_names() -> frozenset[str]:
    """Everything a card may name: the collections above, and every source and shift that is registered."""
    load_plugins()
    sources = {source.name for source in SOURCES}
    return frozenset({*COLLECTIONS, *sources, *(shift.name for shift in SHIFTS)})
