"""Linear probes on features that are computed once: by gradient steps, or to the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from models_zoo.tuning.feature_training import FeatureTraining
from models_zoo.tuning.heads import set_linear
from shifts.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.tuning.heads import FeatureSet

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSGD(FeatureTraining):
    """A linear layer by AdamW: 30 epochs, a cosine from 0.1, no weight decay, batches of 64.

    So the text of Chen et al., arXiv 2309.17002, has it; the command released with it says
    ``learning_rate=0.01, weight_decay=1e-4``.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLBFGS:
    """Multinomial logistic regression at its optimum: nothing is drawn, no schedule decides.

    Minimises Σ cross-entropy + ridge/2 · ‖W‖²; the biases are free. ``ridge`` is 1/C of scikit-learn.

    Attributes:
        ridge: above 0, without which separable data have no optimum.
        iterations: at most.
    """

    ridge: float = 1.0
    iterations: int = 2000

    def __post_init__(self) -> None:
        if self.ridge <= 0.0 or self.iterations < 1:
            raise UserError(
                f"logistic regression needs a ridge above 0 and an iteration, not {self.ridge} and "
                f"{self.iterations}",
                hint="ridge=1.0 is scikit-learn's default",
            )

    def build(self, dim: int, classes: int) -> nn.Module:
        """A linear layer on the features."""
        return nn.Linear(dim, classes)

    def fit(self, head: nn.Module, data: FeatureSet, *, seed: int) -> None:
        """Put the optimum into the layer; the seed moves nothing.

        Raises:
            UserError: the optimum was not reached.
        """
        from scipy.optimize import minimize

        assert isinstance(head, nn.Linear)
        inputs = np.asarray(data.features, dtype=np.float64)
        # The optimum is that of the plain features; around their mean it is found in fewer steps.
        centre = inputs.mean(axis=0)
        wanted = np.eye(data.classes)[data.labels]
        shape = (data.classes, inputs.shape[1] + 1)
        found = minimize(
            _objective,
            np.zeros(shape).ravel(),
            args=(inputs - centre, wanted, self.ridge),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.iterations, "maxfun": 2 * self.iterations, "ftol": 1e-12, "gtol": 1e-6},
        )
        if not found.success:
            raise UserError(
                f"logistic regression has not ended after {found.nit} iterations",
                hint="more iterations, a larger ridge, or features of about one size",
            )
        solved: Floats = found.x.reshape(shape)
        weight = solved[:, :-1]
        set_linear(head, weight, solved[:, -1] - weight @ centre)
        head.requires_grad_(False).eval()


def _objective(flat: Floats, inputs: Floats, wanted: Floats, ridge: float) -> tuple[float, Floats]:
    """The sum that is minimised and its gradient.

    Args:
        flat: (C · (D + 1),), each row of weights followed by its bias.
        inputs: (N, D).
        wanted: (N, C), one in the column of the label.
    """
    from scipy.special import logsumexp

    both = flat.reshape(wanted.shape[1], -1)
    weight, bias = both[:, :-1], both[:, -1]
    logits = inputs @ weight.T + bias
    logs = logits - logsumexp(logits, axis=1, keepdims=True)
    slope = np.exp(logs) - wanted
    value = -float((logs * wanted).sum()) + ridge / 2 * float((weight**2).sum())
    return value, np.concatenate(
        [slope.T @ inputs + ridge * weight, slope.sum(axis=0)[:, None]], axis=1
    ).ravel()
