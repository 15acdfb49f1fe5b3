"""Recall, MRR and NDCG at any cut-off: the rank of every target is stored, so a cut-off is a view.

A test prefix has one right item, so the ideal DCG is 1 and NDCG@k is the mean of 1 / log2(rank + 1), 0 beyond the
first k (Järvelin & Kekäläinen, ACM TOIS 20, 2002). Catalogue coverage, the share of items that are ever recommended,
is not among them: it depends on which items stood in the lists, and a record keeps where the target stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reproduce.evaluation.ranking import hit, reciprocal


def discounted(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(rank + 1), 0 beyond the first k, in the shape of `ranks`. NDCG is its mean."""
    return np.where(hit(ranks, k), 1.0 / np.log2(ranks + 1.0), 0.0)


# What each test prefix is worth, by (ranks, k); the metric is the mean.
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
    """Recall@k, MRR@k and NDCG@k in per cent; not a number where there are no ranks.

    Args:
        ranks: (n,), 1 is best; the tie rule is whoever made them's, see `ranking.rank`.
        k: from 1 on.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"a cut-off of {k}: it counts from 1")
    if not len(ranks):
        return AtCutoff(k, *[float("nan")] * 3)
    return AtCutoff(k, **{name: 100.0 * float(np.mean(worth(ranks, k))) for name, worth in WORTH.items()})
