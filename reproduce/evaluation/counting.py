"""Recall and MRR under any counting rule, from stored rank counts; random ties are taken in expectation.

A target with g items above it and e others tied with it is at one of the places g + 1 to g + e + 1. If ties are in
random order, all these places have the same probability, so the expected hit and the expected reciprocal rank are means
over them. They are exact and need no random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from reproduce.evaluation.ranking import CUTOFF
from reproduce.paper.counting import OURS, Counting

Metric = Callable[[np.ndarray, np.ndarray, Counting, int], np.ndarray]


def hit(greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS, k: int = CUTOFF) -> np.ndarray:
    """Return the probability that the target is among the first k, float64 shaped like `greater`; Recall is its mean.

    Args:
        greater: the number of items that score strictly above the target.
        equal: the number of other items that tie with it, in the same shape.
    """
    first, last, places = _places(greater, equal, rule, k)
    return np.maximum(last - first, 0) / places


def reciprocal(greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS, k: int = CUTOFF) -> np.ndarray:
    """Return the expected 1 / rank, 0 beyond the first k, float64 shaped like `greater`; MRR is its mean."""
    first, last, places = _places(greater, equal, rule, k)
    sums = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, k + 1))])  # [r] is 1 / 1 + ... + 1 / r
    return (sums[np.maximum(last, first)] - sums[first]) / places


METRICS: Mapping[str, Metric] = {"recall": hit, "mrr": reciprocal}


def mean_of(
    metric: str,
    greater: np.ndarray,
    equal: np.ndarray,
    rule: Counting = OURS,
    unseen: np.ndarray | None = None,
    k: int = CUTOFF,
) -> float:
    """Return Recall@k ("recall") or MRR@k ("mrr") in per cent; NaN if no target counts.

    Args:
        unseen: (n,) bool, the targets that occur in no training session. Without it they are ranked like any other.
    """
    values = METRICS[metric](greater, equal, rule, k)
    if unseen is not None and rule.unseen == "missed":
        values = np.where(unseen, 0.0, values)
    elif unseen is not None and rule.unseen == "dropped":
        values = values[~unseen]
    return 100.0 * float(values.mean()) if len(values) else float("nan")


def unseen_targets(greater: np.ndarray, equal: np.ndarray, n_items: int) -> np.ndarray:
    """Find the targets that occur in no training session, from the rank counts of POP: (n,) bool.

    POP scores an item by its clicks in train. The items without clicks share the last place, so a target at the last
    place is one of them. If train has every item, the targets at the last place are the least clicked items instead.
    The two cases differ in whether `n_items` is greater than the number of items in train, which the caller must check.
    """
    return np.asarray(greater + equal + 1 == n_items)


def _places(
    greater: np.ndarray, equal: np.ndarray, rule: Counting, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first, last and the number of equally likely places: those from first + 1 to last count, if any."""
    allowed = k - 1 if rule.below else k
    if rule.ties == "against":
        greater, equal = greater + equal, np.zeros_like(equal)
    elif rule.ties == "in favour":
        equal = np.zeros_like(equal)
    return np.minimum(greater, allowed), np.minimum(greater + equal + 1, allowed), equal + 1
