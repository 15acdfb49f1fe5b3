"""Recall and MRR under any rule of counting, from stored rank counts; what falls at random is taken in expectation.

A target with g items above it and e others tied with it stands at one of the places g + 1 to g + e + 1. Tied items in a
random order give each of these places the same probability, so the expected hit and the expected reciprocal rank are
means over them: exact, and without a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from reproduce.evaluation.ranking import CUTOFF
from reproduce.paper.counting import OURS, Counting

Metric = Callable[[np.ndarray, np.ndarray, Counting, int], np.ndarray]


def hit(greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS, k: int = CUTOFF) -> np.ndarray:
    """The probability that the target is among the first k: float64 in the shape of `greater`. Recall is its mean.

    Args:
        greater: how many items score strictly above the target.
        equal: how many other items tie with it, in the same shape.
    """
    first, last, places = _places(greater, equal, rule, k)
    return np.maximum(last - first, 0) / places


def reciprocal(greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS, k: int = CUTOFF) -> np.ndarray:
    """The expected 1 / rank, 0 beyond the first k: float64 in the shape of `greater`. MRR is its mean."""
    first, last, places = _places(greater, equal, rule, k)
    sums = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, k + 1))])  # of 1 / 1 to 1 / r
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
    """Recall@k ("recall") or MRR@k ("mrr") in per cent; not a number where no target counts.

    Args:
        unseen: (n,) bool, the targets that no training session has. Without it they are ranked as any other.
    """
    values = METRICS[metric](greater, equal, rule, k)
    if unseen is not None and rule.unseen == "missed":
        values = np.where(unseen, 0.0, values)
    elif unseen is not None and rule.unseen == "dropped":
        values = values[~unseen]
    return 100.0 * float(values.mean()) if len(values) else float("nan")


def unseen_targets(greater: np.ndarray, equal: np.ndarray, n_items: int) -> np.ndarray:
    """Which targets no training session has, from the rank counts of POP: (n,) bool.

    POP's score is how often an item was clicked in train. The items that never were share its last place, so a target
    at the last place is one of them. Where train has every item, the targets at the last place are the least clicked
    ones instead; `n_items` minus the items of train tells the two cases apart, and the caller must know that.
    """
    return np.asarray(greater + equal + 1 == n_items)


def _places(
    greater: np.ndarray, equal: np.ndarray, rule: Counting, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places that count are first + 1 to last, as far as there are any, of so many that are equally likely."""
    allowed = k - 1 if rule.below else k
    if rule.ties == "against":
        greater, equal = greater + equal, np.zeros_like(equal)
    elif rule.ties == "in favour":
        equal = np.zeros_like(equal)
    return np.minimum(greater, allowed), np.minimum(greater + equal + 1, allowed), equal + 1
