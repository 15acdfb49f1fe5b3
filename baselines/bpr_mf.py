"""BPR-MF: matrix factorisation of sessions by items, learned from pairs of a clicked and an unclicked item.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.

    score_ui = w_u . h_i + b_i        maximise ln sigma(score_ui - score_uj), i clicked in session u, j not

A session is a user in training. A new session has no factors; as Hidasi et al. (ICLR 2016) do it, the mean of its
items' h stands in for w_u. The NARM paper gives no settings: Hidasi's published defaults are 100 factors, 10
iterations, learning rate 0.01, no regularisation. Ours, because we found it stated nowhere: the initial spread, the
item bias, wrong items uniform over the catalogue. Batches: see reproduce/pairwise.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reproduce.pairwise import Pairwise, Positives, Tables, Triples
from reproduce.recommender import setting
from reproduce.sessions import Sessions


@dataclass(kw_only=True)
class BPRMF(Pairwise):
    """Score of an item: the mean factors of the session's clicks times its own, plus its bias."""

    name: ClassVar[str] = "bpr_mf"
    label: ClassVar[str] = "BPR-MF"
    learns_order: ClassVar[bool] = False

    spread: float = setting(0.05, low=0.0, high=10.0, search=(0.01, 0.3), note="ours: sd of the initial factors")
    bias: bool = setting(True, note="ours: b_i, or none")

    def positives(self, train: Sessions) -> Positives:
        items, owner = train.clicks()
        taken = np.unique(owner * train.n_items + items)
        some_left = np.bincount(taken // train.n_items, minlength=len(train))[owner] < train.n_items
        items, owner = items[some_left], owner[some_left]  # who clicked everything has no wrong item
        return Positives(owner, items, items, taken, owner, train.n_items)

    def tables(self, sessions: int, n_items: int, draw: torch.Generator) -> Tables:
        return {
            "w": torch.randn(sessions, self.factors, generator=draw) * self.spread,
            "h": torch.randn(n_items, self.factors, generator=draw) * self.spread,
            "b": torch.zeros(n_items, 1),
        }

    def margin(self, tables: Tables, triples: Triples) -> Tensor:
        w, h, b = tables["w"][triples.session], tables["h"], tables["b"][:, 0]
        apart = (w * (h[triples.right] - h[triples.wrong])).sum(1)
        return apart + b[triples.right] - b[triples.wrong]  # (B,)

    def steps(self, tables: Tables, triples: Triples) -> list[tuple[str, Tensor, Tensor]]:
        w, h = tables["w"][triples.session], tables["h"]
        slope = torch.sigmoid(-self.margin(tables, triples))[:, None]  # (B, 1)
        steps = [
            ("w", triples.session, slope * (h[triples.right] - h[triples.wrong])),
            ("h", triples.right, slope * w),
            ("h", triples.wrong, -slope * w),
        ]
        return steps + [("b", triples.right, slope), ("b", triples.wrong, -slope)] * self.bias

    def keep(self, tables: Tables) -> None:
        self.h_, self.b_ = tables["h"], tables["b"][:, 0]

    def score(self, prefixes: Sessions) -> Tensor:
        items, owner = (torch.as_tensor(part, device=self.device_) for part in prefixes.clicks())
        total = torch.zeros(len(prefixes), self.factors, device=self.device_)
        total.index_add_(0, owner, self.h_[items])  # (n, factors)
        mean = total / torch.as_tensor(prefixes.lengths, device=self.device_)[:, None]
        return mean @ self.h_.T + self.b_  # (n, m)
