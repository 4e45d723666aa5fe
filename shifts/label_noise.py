"""Noise in training labels and captions, with the rate that was realised.

Every choice follows from the noise's seed and the ids of the examples: which examples are changed, and to
what, does not depend on their order, and a smaller rate changes a part of what a larger one does. Imports
nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from shifts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

Kind = Literal["symmetric", "asymmetric", "captions", "foreign"]
# Chen et al., arXiv 2309.17002, section 2: the rates of pre-training noise.
GRID = (0.0, 0.05, 0.1, 0.2, 0.3)
NONE = -1  # no image of the other set


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """What is wrong with how many labels.

    Attributes:
        kind: ``symmetric`` flips a label to another class, all alike; ``asymmetric`` by ``confusion``;
            ``captions`` exchanges the captions of two image-text pairs; ``foreign`` puts an image of another
            set in the place of an example's own.
        rate: share of the examples, in [0, 1).
        seed: of all choices.
        confusion: for ``asymmetric``, C rows of the true class with C weights of the given class; the
            diagonal is what stays. The rates of the classes are to each other as the weights off the
            diagonal, and such that ``rate`` of all labels is changed. None takes each class for the next.
        other, other_split: for ``foreign``, a registered shift and the split of its source.
    """

    kind: Kind
    rate: float
    seed: int = 0
    confusion: tuple[tuple[float, ...], ...] | None = None
    other: str | None = None
    other_split: str = "train"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(f"there is no noise {self.kind!r}", hint=f"one of {', '.join(get_args(Kind))}")
        if not 0.0 <= self.rate < 1.0:
            raise UserError(f"the rate of the noise must lie in [0, 1), not {self.rate}", hint="0.1 is 10 %")
        if (self.other is not None) != (self.kind == "foreign"):
            raise UserError("images of another set, and they alone, need the name of that set")
        if self.confusion is not None and self.kind != "asymmetric":
            raise UserError(f"a confusion matrix is for asymmetric noise, not for {self.kind!r}")
        for row in self.confusion or ():
            if len(row) != len(self.confusion or ()) or min(row) < 0.0:
                raise UserError("a confusion matrix has as many columns as rows, and no weight below 0")

    @property
    def label(self) -> str:
        """As in a model's name: the percentage last.

        >>> LabelNoise(kind="symmetric", rate=0.1).label
        'symmetric-10'
        >>> LabelNoise(kind="foreign", rate=0.0125, other="cifar10").label
        'foreign-of-cifar10-1.25'
        """
        of = "" if self.other is None else f"-of-{self.other}"
        return f"{self.kind}{of}-{round(100 * self.rate, 6):g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noisy:
    """What noise made of N examples.

    Attributes:
        labels: int64 (N,), as given to the training.
        permutation: int64 (N,); example i carries the caption of example ``permutation[i]``.
        foreign: int64 (N,), the position in the other set of the image in the place of the own, or ``NONE``.
        changed: bool (N,), whose label, caption or image is another one than the example's.
        rate: share of the examples changed.
        class_rates: for each true class the share of its examples changed; None for a class without any.
    """

    labels: Integers
    permutation: Integers
    foreign: Integers
    changed: NDArray[np.bool_]
    rate: float
    class_rates: tuple[float | None, ...]


def parse(text: str) -> LabelNoise:
    """Read ``KIND:RATE``, or ``foreign:RATE:SHIFT``.

    >>> parse("symmetric:0.1").rate
    0.1

    Raises:
        UserError: not of this form, no such kind, or a rate that cannot be.
    """
    kind, _, rest = text.partition(":")
    rate, _, other = rest.partition(":")
    if re.fullmatch(r"\d*\.?\d+", rate) is None:
        raise UserError(f"{text!r} does not say a kind and a rate of noise", hint="write symmetric:0.1")
    return LabelNoise(kind=kind, rate=float(rate), other=other or None)  # type: ignore[arg-type]  # checked there


def from_label(text: str) -> LabelNoise:
    """Read ``LabelNoise.label``.

    >>> from_label("foreign-of-cifar10-1.25").rate
    0.0125

    Raises:
        UserError: not of this form, no such kind, or a rate that cannot be.
    """
    found = re.fullmatch(r"(?P<kind>[a-z]+)(?:-of-(?P<other>.+))?-(?P<percent>\d+(?:\.\d+)?)", text)
    if found is None:
        raise UserError(
            f"{text!r} does not say a kind and a percentage of noise", hint="write noise-symmetric-10"
        )
    rate = round(float(found["percent"]) / 100, 8)
    return LabelNoise(kind=found["kind"], rate=rate, other=found["other"])  # type: ignore[arg-type]  # checked there


def apply(
    noise: LabelNoise,
    *,
    ids: Sequence[str],
    labels: Integers,
    num_classes: int,
    captions: Sequence[Hashable] | None = None,
    others: int | None = None,
) -> Noisy:
    """Put noise into a training set.

    Args:
        ids: N strings.
        labels: int64 (N,), true, 0..C-1.
        num_classes: C.
        captions: for noise in captions, the N captions.
        others: for images of another set, how many it has.

    Raises:
        UserError: the noise asks for what these examples do not have.
    """
    return _KINDS[noise.kind](noise, ids, labels, num_classes, captions, others)


def symmetric(ids: Sequence[str], labels: Integers, *, num_classes: int, rate: float, seed: int = 0) -> Noisy:
    """Flip labels to another class, each of the others with the same probability.

    ``round(rate · N)`` labels are wrong afterwards (Chen et al., arXiv 2309.17002, section 2, by the noise
    generator of cleanlab). The code released for that paper draws among all classes, the true one too, and so
    realises ``rate · (C − 1) / C``.

    Raises:
        UserError: fewer than two classes.
    """
    import numpy as np

    from shifts.data import generator

    if num_classes < 2:
        raise UserError("labels of one class cannot be confused")
    chosen = _chosen(ids, rate, seed)
    given = labels.copy()
    for index in chosen.tolist():
        step = 1 + int(generator(seed, ids[index], "given label").integers(num_classes - 1))
        given[index] = (labels[index] + step) % num_classes
    return _record(labels, num_classes, np.isin(np.arange(len(ids)), chosen), given=given)


def asymmetric(
    ids: Sequence[str],
    labels: Integers,
    *,
    num_classes: int,
    rate: float,
    seed: int = 0,
    confusion: Sequence[Sequence[float]] | None = None,
) -> Noisy:
    """Flip labels by a confusion matrix: see ``LabelNoise.confusion``.

    Of each class the number of flips is rounded; where to, is drawn for each by the weights of its row.

    Raises:
        UserError: a matrix of another size, without weights off the diagonal, or one by which more than all
            examples of a class would be flipped.
    """
    import numpy as np

    from shifts.data import generator

    if confusion is None:
        weights = np.roll(np.eye(num_classes), 1, axis=1)
    else:
        weights = np.array(confusion, dtype=np.float64)
    if weights.shape != (num_classes, num_classes) or num_classes < 2:
        raise UserError(f"the confusion matrix is {weights.shape}, for {num_classes} classes")
    np.fill_diagonal(weights, 0.0)
    counts, wrong = np.bincount(labels, minlength=num_classes), weights.sum(axis=1)
    if not float(counts @ wrong):
        raise UserError("the confusion matrix confuses no class that has examples")
    rates = rate * wrong * len(labels) / float(counts @ wrong)
    if rates.max() > 1.0 + 1e-12:
        raise UserError(
            f"with this confusion matrix a rate of {rate:g} asks for {rates.max():.0%} of class "
            f"{int(rates.argmax())}",
            hint=f"ask for {rate / rates.max():.3f} or less",
        )
    given, changed = labels.copy(), np.zeros(len(labels), dtype=np.bool_)
    for label in np.flatnonzero(rates * counts).tolist():
        members = np.flatnonzero(labels == label)
        chosen = members[_chosen([ids[index] for index in members.tolist()], float(rates[label]), seed)]
        reach = np.cumsum(weights[label]) / wrong[label]
        for index in chosen.tolist():
            place = generator(seed, ids[index], "given label").random()
            given[index] = int(np.searchsorted(reach, place, side="right"))
        changed[chosen] = True
    return _record(labels, num_classes, changed, given=given)


def swap_captions(
    ids: Sequence[str],
    labels: Integers,
    captions: Sequence[Hashable],
    *,
    num_classes: int,
    rate: float,
    seed: int = 0,
) -> Noisy:
    """Exchange the captions of two randomly drawn pairs, until the rate is reached.

    Chen et al., arXiv 2309.17002, section 2. No pair is drawn twice, and the two captions differ:
    exchanging equal ones would change nothing. Where too few differ, fewer are exchanged, and the realised
    rate says so.

    Args:
        captions: N captions; equal ones say the same.
    """
    import numpy as np

    from shifts.data import hash_rank

    permutation, changed = np.arange(len(ids)), np.zeros(len(ids), dtype=np.bool_)
    waiting: list[int] = []  # all with the same caption
    left = round(rate * len(ids) / 2)
    for index in hash_rank(ids, seed, "captions").tolist() if left else ():
        if not waiting or captions[waiting[0]] == captions[index]:
            waiting.append(index)
            continue
        partner = waiting.pop(0)
        permutation[[index, partner]] = partner, index
        changed[[index, partner]] = True
        left -= 1
        if not left:
            break
    return _record(labels, num_classes, changed, permutation=permutation)


def foreign_images(
    ids: Sequence[str], labels: Integers, *, num_classes: int, others: int, rate: float, seed: int = 0
) -> Noisy:
    """Put images of another set in the places of ``round(rate · N)`` examples, under their labels.

    The pre-training noise that the code of Chen et al. (arXiv 2309.17002) names after another data set.

    Args:
        others: images of the other set, each drawn with the same probability, some perhaps twice.
    """
    import numpy as np

    from shifts.data import generator

    if others < 1:
        raise UserError("the other set has no images")
    chosen = _chosen(ids, rate, seed)
    foreign = np.full(len(ids), NONE, dtype=np.int64)
    for index in chosen.tolist():
        foreign[index] = generator(seed, ids[index], "foreign image").integers(others)
    return _record(labels, num_classes, foreign != NONE, foreign=foreign)


def _chosen(ids: Sequence[str], rate: float, seed: int) -> Integers:
    """The examples to change: at every rate the first of one order."""
    from shifts.data import hash_rank

    return hash_rank(ids, seed, "noise")[: round(rate * len(ids))]


def _record(
    labels: Integers,
    num_classes: int,
    changed: NDArray[np.bool_],
    *,
    given: Integers | None = None,
    permutation: Integers | None = None,
    foreign: Integers | None = None,
) -> Noisy:
    import numpy as np

    n = len(labels)
    of_class = [changed[labels == label] for label in range(num_classes)]
    return Noisy(
        labels=labels if given is None else given,
        permutation=np.arange(n) if permutation is None else permutation,
        foreign=np.full(n, NONE, dtype=np.int64) if foreign is None else foreign,
        changed=changed,
        rate=float(changed.mean()) if n else 0.0,
        class_rates=tuple(float(one.mean()) if len(one) else None for one in of_class),
    )


_Maker = Callable[[LabelNoise, Sequence[str], "Integers", int, Sequence[Hashable] | None, int | None], Noisy]


def _symmetric(noise: LabelNoise, ids: Sequence[str], labels: Integers, classes: int, *_: object) -> Noisy:
    return symmetric(ids, labels, num_classes=classes, rate=noise.rate, seed=noise.seed)


def _asymmetric(noise: LabelNoise, ids: Sequence[str], labels: Integers, classes: int, *_: object) -> Noisy:
    return asymmetric(
        ids, labels, num_classes=classes, rate=noise.rate, seed=noise.seed, confusion=noise.confusion
    )


def _captions(
    noise: LabelNoise,
    ids: Sequence[str],
    labels: Integers,
    classes: int,
    captions: Sequence[Hashable] | None,
    others: int | None,
) -> Noisy:
    if captions is None:
        raise UserError(
            "the noise exchanges captions, and this training has none",
            hint="symmetric noise is for labels; captions are of models trained on image-text pairs",
        )
    return swap_captions(ids, labels, captions, num_classes=classes, rate=noise.rate, seed=noise.seed)


def _foreign(
    noise: LabelNoise,
    ids: Sequence[str],
    labels: Integers,
    classes: int,
    captions: Sequence[Hashable] | None,
    others: int | None,
) -> Noisy:
    return foreign_images(
        ids, labels, num_classes=classes, others=others or 0, rate=noise.rate, seed=noise.seed
    )


_KINDS: dict[Kind, _Maker] = {
    "symmetric": _symmetric,
    "asymmetric": _asymmetric,
    "captions": _captions,
    "foreign": _foreign,
}
