"""Ways to fit a last layer to features, by name: data, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models_zoo.recipe import Augmentation

_TUNING = "models_zoo.tuning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to fit a last layer.

    Attributes:
        title: what it is, in a line.
        fit: what ``Stage.head_fit`` takes.
    """

    title: str
    fit: Augmentation


METHODS: Mapping[str, Method] = {
    "lp": Method(
        title="linear probe, 30 epochs of AdamW from 0.1",
        fit=Augmentation(function=f"{_TUNING}.probe_on_features:ProbeSGD"),
    ),
    "lbfgs": Method(
        title="linear probe at its optimum, with a ridge",
        fit=Augmentation(function=f"{_TUNING}.probe_on_features:ProbeLBFGS"),
    ),
    "mlp": Method(
        title="a network of two layers before the classifier, cross-entropy alone",
        fit=Augmentation(function=f"{_TUNING}.mlp_tuning:MLPTuning"),
    ),
    "nmtune": Method(
        title="NMTune with the paper's terms, each of weight 0.01",
        fit=Augmentation(function=f"{_TUNING}.nmtune:NMTune"),
    ),
    # Weights and form of the code released with the paper.
    "nmtune-code": Method(
        title="NMTune as its released code has it: residual, 1.0 / 0.04 / 0.001, five leading values",
        fit=Augmentation(
            function=f"{_TUNING}.nmtune:NMTune",
            parameters={
                "consistency": 1.0,
                "covariance": 0.04,
                "dominance": 0.001,
                "leading": 5,
                "mean_over_features": True,
                "scale": 1.0,
            },
        ),
    ),
}
