"""S-POP: the items most clicked in the session so far; ties by clicks in train; the rest of the list is POP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class SPop(Recommender):
    """Score of an item: its clicks in the session plus its popularity, squeezed below 1. No parameters."""

    name: ClassVar[str] = "s_pop"
    label: ClassVar[str] = "S-POP"
    learns_order: ClassVar[bool] = False

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        clicks = np.bincount(train.clicks()[0], minlength=train.n_items)
        # The place among the distinct counts, not the count itself: a few thousand steps below 1 are told apart in
        # float32 beside a session's counts, a hundred thousand are not.
        distinct, place = np.unique(clicks, return_inverse=True)
        self.popularity_ = torch.as_tensor(place / len(distinct), dtype=torch.float32, device=device)  # (m,) in [0, 1)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        items, owner = prefixes.clicks()
        scores = self.popularity_.repeat(len(prefixes), 1)  # (n, m)
        cells = torch.as_tensor(owner * prefixes.n_items + items, device=scores.device)
        cells, counts = torch.unique(cells, return_counts=True)
        scores.view(-1)[cells] += counts.to(scores.dtype)
        return scores
