"""Scores that are one row for every prefix but for a few cells: they are ranked without a row for every prefix.

POP scores every prefix alike, and S-POP changes the score of the items in the session only. How many scores of the
shared row lie above a target's is found by bisection in the sorted row; then the few cells are set right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SharedRow:
    """Prefix i scores item j by `row[j]`, unless a cell says otherwise; no two cells are of one prefix and item."""

    n: int  # prefixes
    row: Tensor  # (m,)
    prefixes: Tensor  # (cells,) int64
    items: Tensor  # (cells,) int64
    scores: Tensor  # (cells,) of the type of `row`

    def dense(self) -> Tensor:
        """(n, m)."""
        scores = self.row.repeat(self.n, 1)
        scores.view(-1)[self.prefixes * len(self.row) + self.items] = self.scores
        return scores

    def rank_counts(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """As `ranking.rank_counts` of the dense scores: (n,) and (n,) int64. `targets`: (n,) int64."""
        own = self.row[targets]  # (n,)
        hit = self.items == targets[self.prefixes]
        own[self.prefixes[hit]] = self.scores[hit]
        ordered = torch.sort(self.row).values
        due, was = own[self.prefixes], self.row[self.items]  # (cells,) the target's score, and what the row has there
        greater = len(self.row) - torch.searchsorted(ordered, own, right=True)
        greater.index_add_(0, self.prefixes, (self.scores > due).long() - (was > due).long())
        at_least = len(self.row) - torch.searchsorted(ordered, own)
        at_least.index_add_(0, self.prefixes, (self.scores >= due).long() - (was >= due).long())
        return greater, at_least - greater - 1

    def finite(self) -> bool:
        return bool(torch.isfinite(self.row).all() and torch.isfinite(self.scores).all())
