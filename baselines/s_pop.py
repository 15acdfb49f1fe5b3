"""S-POP: the items most clicked in the session so far; ties by training clicks; the rest of the list is POP.

The public code of Hidasi et al., ICLR 2016, uses the popularity of only the 100 most clicked items: for these it adds
n / (n + 1) to the clicks in the session, where n is the item's training clicks, and all other items tie. `popular` is
the number of such items. Counted as in that code's evaluation, 100 gives 30.44 / 18.37 on YOOCHOOSE 1/64 (the NARM
paper: 30.44 / 18.35), and all items give 30.44 / 18.44.

Departs from that code: the popularity of items tied with the last of the 100 is used too, so that the numbering of the
items does not matter; and an item that is in the session but not in the training set can be recommended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from reproduce.fitting.recommender import Journal, Recommender, setting
from reproduce.reading.sessions import Sessions

EXACT = 1 << 24  # float32 holds every whole number up to here


@dataclass(kw_only=True)
class SPop(Recommender):
    """Score of an item: its clicks in the session * the number of distinct popularities + the place of its popularity.

    Scores are whole numbers, so they are never rounded.
    """

    name: ClassVar[str] = "s_pop"
    label: ClassVar[str] = "S-POP"
    learns_order: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    popular: int = setting(
        100, low=0, high=10_000_000, note="the most clicked items whose popularity it knows; 0: all", before=0
    )

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        clicks = np.bincount(train.clicks()[0], minlength=train.n_items)
        if 0 < self.popular < len(clicks):
            clicks[clicks < np.sort(clicks)[-self.popular]] = 0
        distinct, place = np.unique(clicks, return_inverse=True)  # places order the items as n / (n + 1) does
        self.popularity_ = torch.as_tensor(place, dtype=torch.float32, device=device)  # (m,), each below click_
        self.click_ = len(distinct)  # what a click in the session is worth

    def score(self, prefixes: Sessions) -> torch.Tensor:
        greatest = (int(prefixes.lengths.max(initial=0)) + 1) * self.click_
        row = self.popularity_ if greatest <= EXACT else self.popularity_.double()
        scores = row.repeat(len(prefixes), 1)
        items, owner = (torch.as_tensor(ids, dtype=torch.int64, device=row.device) for ids in prefixes.clicks())
        return scores.index_put_((owner, items), row.new_tensor(self.click_), accumulate=True)
