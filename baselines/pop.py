"""POP: every session is offered the items most clicked in the training set (the paper's first baseline).

The public code of Hidasi et al., ICLR 2016, ranks only the 100 most clicked items. That differs from a ranking of all
items only below place 100, so no Recall@20 or MRR@20 depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class Pop(Recommender):
    """Score of an item: its training clicks. No parameters."""

    name: ClassVar[str] = "pop"
    label: ClassVar[str] = "POP"
    learns_order: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        clicks = np.bincount(train.clicks()[0], minlength=train.n_items)  # (m,)
        self.clicks_ = torch.as_tensor(clicks, dtype=torch.float32, device=device)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        return self.clicks_.expand(len(prefixes), -1)
