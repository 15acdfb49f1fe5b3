"""SharedRow: scores that are one row for all prefixes except a few cells, ranked without a row for every prefix.

POP scores every prefix alike, and S-POP changes only the scores of the items in the session. Bisection in the sorted
shared row finds how many of its scores are above a target's; then the few cells are corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SharedRow:
    """Scores of item j for prefix i: `row[j]`, unless a cell replaces it; each prefix and item has at most one cell."""

    n: int  # prefixes
    row: Tensor  # (m,)
    prefixes: Tensor  # (cells,) int64
    items: Tensor  # (cells,) int64
    scores: Tensor  # (cells,) of the type of `row`

    def dense(self) -> Tensor:
        """Return all scores, (n, m)."""
        scores = self.row.repeat(self.n, 1)
        scores.view(-1)[self.prefixes * len(self.row) + self.items] = self.scores
        return scores

    def rank_counts(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return `ranking.rank_counts` of the dense scores, (n,) and (n,) int64; `targets` is (n,) int64."""
        own = self.row[targets]  # (n,)
        hit = self.items == targets[self.prefixes]
        own[self.prefixes[hit]] = self.scores[hit]
        ordered = torch.sort(self.row).values
        due, was = own[self.prefixes], self.row[self.items]  # (cells,) the target's score, and the row's for the item
        greater = len(self.row) - torch.searchsorted(ordered, own, right=True)
        greater.index_add_(0, self.prefixes, (self.scores > due).long() - (was > due).long())
        at_least = len(self.row) - torch.searchsorted(ordered, own)
        at_least.index_add_(0, self.prefixes, (self.scores >= due).long() - (was >= due).long())
        return greater, at_least - greater - 1

    def finite(self) -> bool:
        return bool(torch.isfinite(self.row).all() and torch.isfinite(self.scores).all())
