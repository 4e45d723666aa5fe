"""Arrays in MATLAB files (version 5, as ``scipy.io`` reads them); nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shifts.errors import CorruptDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mat_arrays(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """The named variables of a file, without axes of length one; structures as arrays with named fields.

    Raises:
        CorruptDataError: no such file, damaged, or without one of them.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=list(names), squeeze_me=True)
    except Exception as error:  # a damaged file raises whatever its bytes run into
        raise CorruptDataError(
            f"{path} is not a readable MATLAB file: {error}", hint="get the file again"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise CorruptDataError(f"{path} holds no {', '.join(missing)}", hint="get the file again")
    return {name: np.atleast_1d(np.asarray(found[name])) for name in names}


def mat_integers(path: Path, name: str) -> NDArray[np.int64]:
    """A variable of whole numbers, int64 (N,); errors as in ``mat_arrays``."""
    values = mat_arrays(path, name)[name]
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not np.array_equal(values, np.round(values)):
        raise CorruptDataError(f"{path}: {name} is {values.dtype} {values.shape}, not whole numbers")
    return values.astype(np.int64)
