"""The terms by which NMTune reshapes a space of features; pure functions of a batch, differentiable.

Chen et al., arXiv 2309.17002 (ICLR 2024) and arXiv 2403.06869, section 4. F are the frozen features of a
batch, Z the tuned ones, both (M, D).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from shifts.errors import UserError


def consistency(features: torch.Tensor, tuned: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of ‖f/‖f‖ − z/‖z‖‖², in [0, 4]: keeps what pre-training found.

    Args:
        features, tuned: (M, D).

    >>> float(consistency(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])))
    1.0
    """
    between = functional.normalize(features, dim=1) - functional.normalize(tuned, dim=1)
    return between.square().sum(dim=1).mean()


def covariance(tuned: torch.Tensor) -> torch.Tensor:
    """(1/D) · the sum of the squared off-diagonal entries of the covariance, with M − 1 below.

    Lowering it spreads the features over all directions: the entropy of the singular values rises. It is the
    term of VICReg (Bardes et al., arXiv 2105.04906).

    Args:
        tuned: (M, D), M of two or more.

    >>> float(covariance(torch.tensor([[1.0, 2.0], [-1.0, -2.0]])))  # the covariance is 4, twice
    16.0
    """
    _check(tuned, examples=2)
    centred = tuned - tuned.mean(dim=0)
    matrix = centred.T @ centred / (len(tuned) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / tuned.shape[1]


def dominance(tuned: torch.Tensor, *, leading: int = 1) -> torch.Tensor:
    """The mean of the ``leading`` largest singular values, each as a share of the sum of all.

    With one of them this is exp(−LSVR). NMTune raises it: a dominant direction transfers to other
    distributions.

    Args:
        tuned: (M, D).
        leading: at most min(M, D).

    >>> round(float(dominance(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))), 6)
    0.75
    """
    _check(tuned, examples=1)
    values: torch.Tensor = torch.linalg.svdvals(tuned)
    if not 1 <= leading <= len(values):
        raise UserError(
            f"a batch of {len(tuned)} × {tuned.shape[1]} has {len(values)} singular values, not {leading}",
            hint="larger batches, or fewer leading values",
        )
    return values[:leading].mean() / values.sum()


def _check(tuned: torch.Tensor, *, examples: int) -> None:
    if tuned.dim() != 2 or len(tuned) < examples:
        raise UserError(
            f"features of a batch are (M, D) with M of {examples} or more, not {tuple(tuned.shape)}",
            hint="larger batches",
        )
