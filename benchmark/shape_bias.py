"""Shape bias on cue-conflict images (Geirhos et al. 2019, arXiv 1811.12231, Sec. 2.5).

Of the answers that name the image's shape or its texture, the fraction that names the shape. Images whose
shape and texture are of one class carry no conflict and do not count.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.estimate import Estimate
from benchmark.intervals import wilson
from benchmark.predictions import Predictions
from shifts.errors import ResultsError, UserError

# Where predictions say which texture an image has, and which shape.
TEXTURE, SHAPE = "texture", "shape"
_IMAGE = re.compile(r"(?P<shape>[a-z]+)\d+-(?P<texture>[a-z]+)\d+\.(png|jpe?g)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeBias:
    """Decisions of one observer.

    Attributes:
        by_class: shape class → (decisions for the shape, decisions for the texture).
        human: drawn apart.
    """

    observer: str
    by_class: Mapping[str, tuple[int, int]]
    human: bool = False

    @property
    def decisions(self) -> tuple[int, int]:
        """For the shape, and for the texture, all classes together."""
        pairs = list(self.by_class.values())
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)

    @property
    def value(self) -> float:
        """Shape decisions over shape and texture decisions.

        Raises:
            ResultsError: the observer never named the shape or the texture.
        """
        return self.estimate().value

    def estimate(self, *, level: float = 0.95) -> Estimate:
        """The fraction with its Wilson interval."""
        shape, texture = self.decisions
        if not shape + texture:
            raise ResultsError(f"{self.observer} never named the shape or the texture of an image")
        return wilson(shape, shape + texture, level=level)


def of_answers(observer: str, answers: Sequence[tuple[str, str, str]], *, human: bool = False) -> ShapeBias:
    """Count (shape, texture, answer) triples.

    >>> bias = of_answers("a", [("cat", "car", "cat"), ("cat", "car", "car"), ("cat", "car", "dog")])
    >>> bias.by_class, bias.value
    ({'cat': (1, 1)}, 0.5)
    """
    counts: dict[str, list[int]] = {}
    for shape, texture, answer in answers:
        if shape != texture:
            pair = counts.setdefault(shape, [0, 0])
            pair[0] += answer == shape
            pair[1] += answer == texture
    by_class = {shape: (pair[0], pair[1]) for shape, pair in sorted(counts.items())}
    return ShapeBias(observer=observer, by_class=by_class, human=human)


def of_predictions(predictions: Predictions) -> ShapeBias:
    """Shape bias of a model from its predictions on cue-conflict images.

    Args:
        predictions: with group columns ``shape`` and ``texture`` whose names are those of the classes.

    Raises:
        ResultsError: there are no such columns.
    """
    columns = predictions.header.group_columns
    if TEXTURE not in columns or SHAPE not in columns:
        raise ResultsError(
            f"the predictions on {predictions.header.shift} do not say shape and texture",
            hint="shape bias is defined on cue-conflict images",
        )
    order = list(columns)
    shapes = [columns[SHAPE][code] for code in predictions.groups[:, order.index(SHAPE)].tolist()]
    textures = [columns[TEXTURE][code] for code in predictions.groups[:, order.index(TEXTURE)].tolist()]
    names = dict(zip(predictions.labels.tolist(), shapes, strict=True))
    said = [names.get(code, "") for code in predictions.prediction.tolist()]
    return of_answers(predictions.header.model, list(zip(shapes, textures, said, strict=True)))


def read_trials(path: Path, *, observer: str | None = None) -> ShapeBias:
    """A trial file of the published experiments: ``object_response`` and ``imagename`` (cat7-elephant1.png).

    Observers called ``subject-…`` are people.

    Raises:
        UserError: the file has other columns, or no image of two cues.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
        named = [
            (_IMAGE.search(line["imagename"].strip()), line["object_response"].strip()) for line in lines
        ]
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} is not a file of trials: {error}", hint="columns object_response and imagename"
        ) from error
    answers = [(found["shape"], found["texture"], said) for found, said in named if found]
    if not answers:
        raise UserError(f"{path} has no trial on an image of two cues, such as cat7-elephant1.png")
    name = observer or path.stem.rpartition("experiment_")[2].partition("_session")[0]
    return of_answers(name, answers, human=name.startswith("subject"))


def pooled(observer: str, parts: Sequence[ShapeBias]) -> ShapeBias:
    """Several observers as one, decision by decision."""
    total: dict[str, tuple[int, int]] = {}
    for part in parts:
        for shape, pair in part.by_class.items():
            old = total.get(shape, (0, 0))
            total[shape] = (old[0] + pair[0], old[1] + pair[1])
    return ShapeBias(observer=observer, by_class=total, human=all(part.human for part in parts))
