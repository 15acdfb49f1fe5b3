"""Recall, MRR and NDCG at any cut-off, computed from the stored rank of every target.

A test prefix has one right item, so the ideal DCG is 1 and NDCG@k is the mean of 1 / log2(rank + 1), 0 beyond the
first k (Järvelin & Kekäläinen, ACM TOIS 20, 2002). Catalogue coverage, the share of items that are ever recommended,
is not included: it depends on which items were recommended, and a record keeps only the rank of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reproduce.evaluation.ranking import hit, reciprocal


def discounted(ranks: np.ndarray, k: int) -> np.ndarray:
    """Return 1 / log2(rank + 1), 0 beyond the first k, in the shape of `ranks`. NDCG is its mean."""
    return np.where(hit(ranks, k), 1.0 / np.log2(ranks + 1.0), 0.0)


# The value of each test prefix, from (ranks, k); the metric is their mean.
WORTH: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {"recall": hit, "mrr": reciprocal, "ndcg": discounted}
TITLES = {"recall": "Recall", "mrr": "MRR", "ndcg": "NDCG"}


@dataclass(frozen=True)
class AtCutoff:
    """Three metrics at one cut-off, in per cent."""

    k: int
    recall: float
    mrr: float
    ndcg: float


def recall_mrr_ndcg(ranks: np.ndarray, k: int) -> AtCutoff:
    """Return Recall@k, MRR@k and NDCG@k in per cent; NaN if there are no ranks.

    Args:
        ranks: (n,), 1 is best; ties are already resolved, see `ranking.rank`.
        k: the cut-off, at least 1.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"a cut-off of {k}: it counts from 1")
    if not len(ranks):
        return AtCutoff(k, *[float("nan")] * 3)
    return AtCutoff(k, **{name: 100.0 * float(np.mean(worth(ranks, k))) for name, worth in WORTH.items()})
