"""Deep feature re-weighting (DFR): a new last layer from a held-out set in which every group counts the same.

Kirichenko, Izmailov and Wilson, "Last Layer Re-Training is Sufficient for Robustness to Spurious
Correlations", ICLR 2023 (arXiv 2204.02937): subsets with as many examples of every group, L1 penalty, its
strength chosen by worst-group accuracy, several refits averaged. Cohen-Wang, Vendrow and Madry (arXiv
2403.00194, Section 6 and their released code): all examples, weighted so that every group has the same total,
L2 penalty. Both standardise the features, and both solutions are folded back into one linear layer.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from models_zoo.recipe import Augmentation, Stage
from models_zoo.tuning.heads import FeatureSet, set_linear
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PENALTIES = (
    1.0,
    0.7,
    0.3,
    0.1,
    0.07,
    0.03,
    0.01,
)  # C on Waterbirds; its commented list for CelebA begins at 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedDfr:
    """DFR as Cohen-Wang et al. have it: every example, weighted by n / (G · n_g).

    Attributes:
        c: inverse strength of the L2 penalty, 0.001 in their released code. The penalty is on the sum over
            examples, so that a smaller set needs a larger one.
        max_iter: of the solver (L-BFGS).
    """

    c: float = 0.001
    max_iter: int = 1000

    def build(self, dim: int, classes: int) -> nn.Module:
        """A linear layer."""
        return nn.Linear(dim, classes)

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        """Fit to all examples; there is nothing random in it.

        Raises:
            UserError: no groups, or a class without examples.
        """
        from sklearn.linear_model import LogisticRegression

        assert isinstance(head, nn.Linear)
        groups = _groups(data)
        mean, scale = standardisation(data.features)
        model = LogisticRegression(C=self.c, max_iter=self.max_iter)
        model.fit((data.features - mean) / scale, data.labels, sample_weight=group_weights(groups))
        set_linear(head, *folded(*coefficients(model, data.classes), mean=mean, scale=scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dfr:
    """DFR as Kirichenko et al. have it, on a held-out set (their DFR on the validation set).

    One half, shuffled, is scored on and the other, cut down to as many examples of every group, fitted to;
    the strength of the L1 penalty with the best worst-group accuracy is kept. Then the layer is refitted on
    ``refits`` group-balanced subsets of the whole set, and coefficients and intercepts are averaged. Features
    are standardised by the subset while choosing, and then by the whole held-out set (their code takes all
    training features there, which a stage does not have).

    Attributes:
        penalties: the values of C to choose from.
        refits: 20 as published.
        max_iter: of the solver (liblinear).
    """

    penalties: tuple[float, ...] = PENALTIES
    refits: int = 20
    max_iter: int = 100

    def build(self, dim: int, classes: int) -> nn.Module:
        """A linear layer."""
        return nn.Linear(dim, classes)

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        """Choose the penalty, refit, average.

        Raises:
            UserError: no groups, or a group so small that one half has none of it.
        """
        from shifts.data import generator

        assert isinstance(head, nn.Linear)
        _check_classes(np.unique(data.labels), data.classes)
        groups = _groups(data)
        strength = self.chosen(data, groups, seed=seed)
        mean, scale = standardisation(data.features)
        scaled = ((data.features - mean) / scale).astype(np.float64)
        parts = []
        for number in range(self.refits):
            rows = balanced_subset(groups, generator(seed, "refit", number))
            parts.append(self._fitted(scaled[rows], data.labels[rows], data.classes, strength, seed=number))
        weight = np.mean([part[0] for part in parts], axis=0)
        bias = np.mean([part[1] for part in parts], axis=0)
        set_linear(head, *folded(weight, bias, mean=mean, scale=scale))

    def chosen(self, data: FeatureSet, groups: Ints, *, seed: int) -> float:
        """The value of C that is best for the worst group of the half to score on; the first of equals."""
        from shifts.data import generator

        order = generator(seed, "halves").permutation(len(groups))
        score, rest = order[: len(order) // 2], order[len(order) // 2 :]
        missing = set(np.unique(groups).tolist()) - set(np.unique(groups[rest]).tolist())
        if missing or not len(score):
            raise UserError(
                f"a group has too few of the {len(groups)} held-out examples to choose a penalty by",
                hint="hold out more, or use the weighted form (models_zoo.tuning.dfr:WeightedDfr)",
            )
        rows = rest[balanced_subset(groups[rest], generator(seed, "choosing"))]
        mean, scale = standardisation(data.features[rows])
        fitted, scored = ((data.features[some] - mean) / scale for some in (rows, score))
        worst = []
        for strength in self.penalties:
            weight, bias = self._fitted(fitted, data.labels[rows], data.classes, strength, seed=seed)
            right = (scored @ weight.T + bias).argmax(axis=1) == data.labels[score]
            worst.append(min(right[groups[score] == one].mean() for one in np.unique(groups[score])))
        return self.penalties[int(np.argmax(worst))]

    def _fitted(
        self, features: Floats, labels: Ints, classes: int, strength: float, *, seed: int
    ) -> tuple[Floats, Floats]:
        from sklearn.linear_model import LogisticRegression

        # From scikit-learn 1.8 on the penalty is said by its ratio of L1 to L2.
        by_ratio = inspect.signature(LogisticRegression).parameters["penalty"].default == "deprecated"
        penalty: dict[str, Any] = {"l1_ratio": 1.0} if by_ratio else {"penalty": "l1"}
        one = LogisticRegression(
            C=strength, solver="liblinear", max_iter=self.max_iter, random_state=seed % 2**31, **penalty
        )
        if classes == 2 == len(np.unique(labels)):
            return coefficients(one.fit(features, labels), classes)
        # liblinear knows two classes only: one against the rest, as its own answer to more was.
        parts = [_against_rest(one, features, labels == label) for label in range(classes)]
        return np.stack([weight for weight, _ in parts]), np.array([bias for _, bias in parts])


def dfr(
    shift: str,
    *,
    split: str,
    part: tuple[float, float] | None = None,
    grouped_by: tuple[str, ...] = (),
    published: str = "kirichenko",
    **parameters: Any,
) -> Stage:
    """A stage that refits the last layer on a held-out set.

    Args:
        shift, split, part: the held-out set; its groups, or those of ``grouped_by``.
        published: whose form, ``"kirichenko"`` or ``"cohen-wang"``.
        parameters: of that form.
    """
    if published not in FORMS:
        raise UserError(f"there is no form of DFR called {published!r}", hint=", ".join(FORMS))
    return Stage(
        shift=shift,
        split=split,
        part=part,
        grouped_by=grouped_by,
        epochs=1,
        learning_rate=0.0,
        head_fit=Augmentation(function=FORMS[published], parameters=parameters),
    )


FORMS = {
    "kirichenko": "models_zoo.tuning.dfr:Dfr",
    "cohen-wang": "models_zoo.tuning.dfr:WeightedDfr",
}


def group_weights(groups: Ints) -> Floats:
    """n / (G · n_g) for every example: each group has the same total, and the mean is one.

    >>> group_weights(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights: Floats = (len(groups) / (len(counts) * counts))[place.reshape(-1)]
    return weights


def balanced_subset(groups: Ints, draw: np.random.Generator) -> Ints:
    """As many examples of every group as the smallest has, without replacement: places, ascending."""
    members = [np.flatnonzero(groups == one) for one in np.unique(groups)]
    least = min(len(one) for one in members)
    return np.sort(np.concatenate([draw.permutation(one)[:least] for one in members]))


def standardisation(features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean and standard deviation (of the population) of each feature; a constant one is left as it is."""
    wide = features.astype(np.float64)
    scale = wide.std(axis=0)
    return wide.mean(axis=0), np.where(scale < 10 * np.finfo(np.float32).eps, 1.0, scale)


def folded(weight: Floats, bias: Floats, *, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """The layer on features as they are that answers as (weight, bias) does on standardised ones."""
    inner = weight / scale
    return inner, bias - inner @ mean


def coefficients(model: LogisticRegression, classes: int) -> tuple[Floats, Floats]:
    """Weight (C, D) and bias (C,) of a fitted logistic regression whose classes are 0 … C − 1.

    Raises:
        UserError: a class had no example.
    """
    _check_classes(model.classes_, classes)
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if classes == 2:
        # One logit for two classes: half of it against half of its opposite.
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def _against_rest(
    model: LogisticRegression, features: Floats, member: NDArray[np.bool_]
) -> tuple[Floats, float]:
    """Weight (D,) and bias of a class against all others.

    A subset may lack a class that the held-out set has: what is known of it there is that it is rare, and its
    bias is the logit of half an example in n + 1.
    """
    if not member.any():
        return np.zeros(features.shape[1]), -float(np.log(2 * len(member) + 1))
    model.fit(features, member)
    return model.coef_[0], float(model.intercept_[0])


def _check_classes(found: Ints, classes: int) -> None:
    if len(found) != classes:
        raise UserError(
            f"{classes - len(found)} of {classes} classes have no held-out example",
            hint="hold out more examples",
        )


def _groups(data: FeatureSet) -> Ints:
    if data.groups is None:
        raise UserError(
            "DFR needs a held-out set with groups", hint="name one whose shift has them (show NAME)"
        )
    return data.groups
