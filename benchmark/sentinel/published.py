"""What others measured for a model on a set: the shipped figures, by the model's declaration. No torch."""

from __future__ import annotations

import csv
import importlib.resources
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmark.baselines import load_baseline

if TYPE_CHECKING:
    from benchmark.baselines import BaselineRow
    from models_zoo.spec import ModelSpec, Preprocess

# In the order of trust: each publisher measured the models it publishes.
BASELINES = ("timm-in1k", "open-clip", "imagenetv2-models")

# Two independent harnesses with the same weights and images differ by so much: open_clip's table against
# CLIP_benchmark's, timm's against torchvision's and the testbed's.
ZERO_SHOT = {
    "imagenet-val": 0.0005,
    "imagenet-v2": 0.0015,
    "imagenet-sketch": 0.0010,
    "imagenet-a": 0.0018,
    "imagenet-r": 0.0007,
    "objectnet": 0.0029,
}
SUPERVISED = {
    "imagenet-val": 0.0005,
    "imagenet-v2": 0.005,
    "imagenet-sketch": 0.0005,
    "imagenet-a": 0.002,
    "imagenet-r": 0.002,
}
ELSEWHERE = 0.003  # nobody compared harnesses there: the widest of the above on a set of that size
LOW_PRECISION = 0.001  # added for autocast, which moves a few images of a thousand either way

_VARIANT = re.compile(r"@(?P<size>\d+)-(?P<crop>[\d.]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published accuracy.

    Attributes:
        shift: the set it was measured on.
        accuracy: top-1, a fraction.
        n: images behind it, or None where the publisher does not say.
        tolerance: how far an honest result may lie from it, a fraction.
        source: who says so: baseline and model, or the publication.
        note: what differs from the model as declared, e.g. another crop; empty where nothing does.
    """

    shift: str
    accuracy: float
    n: int | None
    tolerance: float
    source: str
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def published(spec: ModelSpec, shift: str, *, precision: str = "float32") -> tuple[Published, ...]:
    """The figures for a model on a shift, the most trusted first; empty where nobody publishes one.

    A model that is trained here has other weights on every machine and none.

    Args:
        spec: the declaration, registered or changed.
        shift: name of the set.
        precision: of the run; a lower one widens the tolerance.
    """
    if spec.recipe is not None:
        return ()
    wider = 0.0 if precision == "float32" else LOW_PRECISION
    found = [
        Published(
            shift=shift,
            accuracy=figure.accuracy,
            n=figure.n,
            tolerance=figure.tolerance + wider,
            source=figure.source,
        )
        for figure in _own_figures()
        if (figure.model, figure.shift) == (spec.name, shift)
    ]
    keys = library_keys(spec)
    for name in BASELINES:
        rows = next((rows for key in keys if (rows := _by_key(name).get((key, shift)))), [])
        for row, note in _of_this_size(rows, spec.preprocess):
            zero_shot = row.family == "zero-shot"
            found.append(
                Published(
                    shift=shift,
                    accuracy=row.accuracy,
                    n=row.n,
                    tolerance=(ZERO_SHOT if zero_shot else SUPERVISED).get(shift, ELSEWHERE) + wider,
                    source=f"{load_baseline(name).identifier}: {row.model}",
                    note=note,
                )
            )
    return tuple(found)


def known_shifts(spec: ModelSpec) -> tuple[str, ...]:
    """Every shift that has a figure for the model, sorted."""
    keys = library_keys(spec)
    own = {figure.shift for figure in _own_figures() if figure.model == spec.name}
    return tuple(sorted(own | {shift for name in BASELINES for key, shift in _by_key(name) if key in keys}))


def library_keys(spec: ModelSpec) -> tuple[str, ...]:
    """How the publishers' tables may call the model, in lower case, the surest first.

    The model's name tells, not what it is built with: that may be the fault.

    >>> from models_zoo.spec import MODELS
    >>> library_keys(MODELS.get("clip-vit-b16"))
    ('open_clip:vit-b-16-quickgelu:openai', 'open_clip:vit-b-16:openai')
    >>> library_keys(MODELS.get("timm:resnet50.tv2_in1k@176-0.875"))
    ('timm:resnet50.tv2_in1k',)
    >>> library_keys(MODELS.get("torchvision:resnet50:imagenet1k_v1"))
    ('timm:resnet50.tv_in1k', 'torchvision:resnet50')
    """
    from models_zoo.sources.open_clip_models import QUICK, SHORT

    name = ":".join(("open_clip", *SHORT[spec.name])) if spec.name in SHORT else spec.name
    library, _, rest = name.lower().partition(":")
    if library == "timm":
        return (f"timm:{rest.partition('@')[0]}",)
    if library == "torchvision":
        return tuple(_torchvision(rest))
    if library == "open_clip" and ":" in rest:
        architecture, _, tag = rest.partition(":")
        # Where the table lists one of the two, the library has put QuickGELU in for the weights' sake.
        plain = architecture.removesuffix(QUICK)
        return tuple(dict.fromkeys(f"open_clip:{one}:{tag}" for one in (architecture, plain)))
    return ()


def _torchvision(rest: str) -> Iterator[str]:
    """timm holds torchvision's weights under tags of their own; other tables use torchvision's names."""
    from models_zoo.library_index import index

    name, _, weights = rest.partition(":")
    weights = weights or index("torchvision").entries.get(name, {}).get("default", "")
    tag = {"imagenet1k_v1": "tv_in1k", "imagenet1k_v2": "tv2_in1k"}.get(weights)
    if tag is not None:
        yield f"timm:{name}.{tag}"
    if tag == "tv_in1k":
        yield f"torchvision:{name}"


def _of_this_size(rows: list[BaselineRow], preprocess: Preprocess) -> Iterator[tuple[BaselineRow, str]]:
    """Of a model listed at several (image size, crop), the entry of this preprocess.

    Where the size is listed but not the crop, the nearest crop stands in, with a note: a wrong crop is one
    of the faults to be found. Another size is another model.
    """
    sized = []
    for row in rows:
        match = _VARIANT.search(row.model)
        if match is None:
            yield row, ""
        else:
            sized.append((row, int(match["size"]), float(match["crop"])))
    if preprocess.crop is None:
        return
    side = preprocess.crop[0]
    resize = preprocess.resize if isinstance(preprocess.resize, int) else (preprocess.resize or (side,))[0]
    fitting = [(row, crop) for row, size, crop in sized if size == side]
    if not fitting:
        return
    row, crop = min(fitting, key=lambda pair: abs(side / pair[1] - resize))
    exact = resize in (math.floor(side / crop), round(side / crop))
    yield row, "" if exact else f"published with crop {crop:g} at {side} pixels"


@cache
def _by_key(name: str) -> dict[tuple[str, str], list[BaselineRow]]:
    found: dict[tuple[str, str], list[BaselineRow]] = {}
    for row in load_baseline(name).rows:
        if row.kind_of_number == "measured":
            # The tables of the two ImageNet-V2 papers call torchvision's models by torchvision's names.
            key = row.library_key or f"torchvision:{row.model}"
            found.setdefault((key.lower(), row.shift), []).append(row)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    model: str
    shift: str
    accuracy: float
    n: int
    tolerance: float
    source: str


@cache
def _own_figures() -> tuple[_Figure, ...]:
    """Figures of models that no baseline holds."""
    table = importlib.resources.files("benchmark.sentinel") / "figures.csv"
    return tuple(
        _Figure(
            model=line["model"],
            shift=line["shift"],
            accuracy=float(line["accuracy"]),
            n=int(line["n"]),
            tolerance=float(line["tolerance"]),
            source=line["source"],
        )
        for line in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    )
