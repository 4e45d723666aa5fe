"""Two numbers that sum up singular values: their entropy, and how much the largest dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

STATISTICS = ("sve", "lsvr")


def singular_value_entropy(singular_values: ArrayLike) -> float:
    """SVE, in nats, between 0 (one direction) and ln K (K equal ones).

    Args:
        singular_values: float (K,), not negative, in any order; zeros count for nothing.

    Raises:
        ValueError: none, negative, not finite, or all 0.

    >>> round(singular_value_entropy([2.0, 1.0, 1.0]), 4)  # 0.5 ln 2 + 0.5 ln 4
    1.0397
    """
    shares = _shares(singular_values)
    positive = shares[shares > 0]
    return float(max(-(positive * np.log(positive)).sum(), 0.0))


def largest_singular_value_ratio(singular_values: ArrayLike) -> float:
    """LSVR, in nats: minus the logarithm of the largest one's share, between 0 and ln K.

    Args and errors as for ``singular_value_entropy``.

    >>> round(largest_singular_value_ratio([2.0, 1.0, 1.0]), 4)  # ln 2
    0.6931
    """
    return float(-np.log(_shares(singular_values).max()))


def statistics(singular_values: ArrayLike) -> Floats:
    """Both, in the order of ``STATISTICS``: float64 (2,)."""
    return np.array([singular_value_entropy(singular_values), largest_singular_value_ratio(singular_values)])


def _shares(singular_values: ArrayLike) -> Floats:
    values = np.asarray(singular_values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
        raise ValueError("singular values are a row of finite numbers, none negative and not all 0")
    return np.asarray(values / values.sum(), dtype=np.float64)
