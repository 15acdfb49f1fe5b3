"""The metrics: the one list of what a target at a rank is worth. A new metric is one entry of METRICS.

A test prefix has one target. Where it ties with other items its rank is not known, only the bounds of it; then a metric
is the expected value over all places between them, all with the same probability. That is exact and needs no random
numbers. Catalogue coverage, the share of items that are ever recommended, is not here: it depends on which items were
recommended, and a record keeps only the rank of the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reproduce.errors import UsageError, known
from reproduce.paper.counting import OURS, Counting

LARGEST = 100_000  # the largest cut-off


@dataclass(frozen=True)
class Metric:
    """A metric of the rank of the one target of a test prefix; its value for a row is the mean over prefixes.

    Attributes:
        name: as on the command line.
        title: as in a table.
        worth: what a target at rank 1, 2, 3, ... is worth, from 0 to 1, in the shape of the ranks given.
    """

    name: str
    title: str
    worth: Callable[[np.ndarray], np.ndarray]

    def between(self, lowest: np.ndarray, highest: np.ndarray, k: int) -> np.ndarray:
        """Return the expected worth of targets whose rank is anywhere from `lowest` to `highest`, 0 beyond rank k."""
        if lowest is highest:  # no ties at random: the exact value of that rank
            return np.where(lowest <= k, self.worth(lowest.astype(float)), 0.0)
        sums = np.concatenate([[0.0], np.cumsum(self.worth(np.arange(1.0, k + 1)))])  # [r]: of the ranks up to r
        return (sums[np.minimum(highest, k)] - sums[np.minimum(lowest - 1, k)]) / (highest - lowest + 1)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("recall", "Recall", np.ones_like),
        Metric("hitrate", "HitRate", np.ones_like),  # with one target the same as Recall
        Metric("mrr", "MRR", np.reciprocal),
        # With one target the ideal DCG is 1 (Järvelin & Kekäläinen, ACM TOIS 20, 2002).
        Metric("ndcg", "NDCG", lambda ranks: 1.0 / np.log2(ranks + 1.0)),
    )
}


@dataclass(frozen=True)
class Measure:
    """A metric at a cut-off, such as Recall@20."""

    metric: Metric
    k: int

    @property
    def key(self) -> str:
        """Its name on the command line, such as "recall@20"."""
        return f"{self.metric.name}@{self.k}"

    @property
    def title(self) -> str:
        """Its name in a table, such as "Recall@20"."""
        return f"{self.metric.title}@{self.k}"

    def values(self, greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS) -> np.ndarray:
        """Return the value of each test prefix, from 0 to 1, float64 shaped like `greater`.

        Args:
            greater: the number of items that score strictly above the target.
            equal: the number of other items that tie with it, in the same shape.
            rule: how ranks are counted; targets that train lacks are ranked like any other.
        """
        lowest, highest = rank_bounds(greater, equal, rule)
        return self.metric.between(lowest, highest, self.k - rule.below)

    def of_ranks(self, ranks: np.ndarray) -> float:
        """Return the value of known ranks in per cent, 1 is best; NaN if there are none."""
        return 100.0 * float(self.metric.between(ranks, ranks, self.k).mean()) if len(ranks) else float("nan")

    def mean(
        self, greater: np.ndarray, equal: np.ndarray, rule: Counting = OURS, unseen: np.ndarray | None = None
    ) -> float:
        """Return the value of a run in per cent; NaN if no target counts.

        Args:
            unseen: (n,) bool, the targets that occur in no training session. Without it they are ranked like any other.
        """
        values = self.values(greater, equal, rule)
        if unseen is not None and rule.unseen_missed:
            values = np.where(unseen, 0.0, values)
        return 100.0 * float(values.mean()) if len(values) else float("nan")


def rank_bounds(greater: np.ndarray, equal: np.ndarray, rule: Counting) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest rank that the target may have; 1 is best.

    They differ only where ties are broken at random.
    """
    first, last = greater + 1, greater + equal + 1
    return {"against": (last, last), "in favour": (first, first), "at random": (first, last)}[rule.ties]


RECALL, MRR = (Measure(METRICS[name], 20) for name in ("recall", "mrr"))
# The paper's, by the name that its tables in reproduce/paper use.
PAPERS: Mapping[str, Measure] = {"recall": RECALL, "mrr": MRR}


def parse(text: str) -> Measure:
    """Return the measure that a text such as "ndcg@10" names.

    Raises:
        UsageError: there is no such metric, or no such cut-off.
    """
    name, at, cutoff = text.lower().partition("@")
    known("metric", name, METRICS)
    if not at or not re.fullmatch("[0-9]{1,6}", cutoff) or not 1 <= int(cutoff) <= LARGEST:
        raise UsageError(f"metric {text[:20]!r}: write a cut-off from 1 to {LARGEST:,} after the name, as in {name}@20")
    return Measure(METRICS[name], int(cutoff))
