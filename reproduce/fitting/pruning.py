"""greatest: which entries of a sparse matrix a model keeps, so that the numbering of the items does not matter."""

from __future__ import annotations

import numpy as np


def greatest(row: np.ndarray, value: np.ndarray, k: int) -> np.ndarray:
    """Return which entries of a sparse matrix are among the k greatest of their row, or tied with the k-th.

    `row`, `value` and the result are (entries,).
    """
    order = np.lexsort((-value, row))
    begins = np.searchsorted(row[order], row)  # where the entry's row begins in `order`
    sizes = np.bincount(row, minlength=1)[row]
    kept: np.ndarray = value >= value[order][begins + np.minimum(sizes, k) - 1]
    return kept
