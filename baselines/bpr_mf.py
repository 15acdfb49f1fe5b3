"""BPR-MF: matrix factorisation of sessions by items, learned from pairs of a clicked and an unclicked item.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.

    score_ui = w_u . h_i        maximise ln sigma(score_ui - score_uj), i clicked in session u, j not

A session is a user in training. A new session has no factors; as Hidasi et al. (ICLR 2016) do it, the mean of its
items' h stands in for w_u. The NARM paper gives no settings. Published, in the baselines beside Hidasi's GRU4Rec: 10
iterations, learning rate 0.01, no regularisation, factors uniform in +-0.05, no trained bias, the wrong item that of
a click drawn at random (there among the first clicks only, here among all); 100 factors are their paper's. Ours: j is
drawn again where the session has clicked it, as in Rendle's paper. Batches: see reproduce/fitting/pairwise.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from reproduce.fitting.pairwise import Pairwise, Positives, Tables, Triples
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class BPRMF(Pairwise):
    """Score of an item: the mean factors of the session's clicks times its own."""

    name: ClassVar[str] = "bpr_mf"
    label: ClassVar[str] = "BPR-MF"
    learns_order: ClassVar[bool] = False

    spread: float = setting(0.05, low=0.0, high=10.0, search=(0.01, 0.5), note="initial factors lie in +- this")
    wrong: Literal["clicks", "items"] = setting("clicks", note="items of clicks drawn at random; or all items alike")

    def positives(self, train: Sessions) -> Positives:
        items, owner = train.clicks()
        pool = items if self.wrong == "clicks" else np.arange(train.n_items)
        taken = np.unique(owner * train.n_items + items)
        clicked = np.bincount(taken // train.n_items, minlength=len(train))  # (sessions,) different items
        some_left = clicked[owner] < len(np.unique(pool))  # who clicked everything has no wrong item
        items, owner = items[some_left], owner[some_left]
        return Positives(owner, items, items, taken, owner, pool, train.n_items)

    def tables(self, sessions: int, n_items: int, draw: torch.Generator) -> Tables:
        rows = {"w": sessions, "h": n_items}
        return {name: (2 * torch.rand(n, self.factors, generator=draw) - 1) * self.spread for name, n in rows.items()}

    def margin(self, tables: Tables, triples: Triples) -> Tensor:
        w, h = tables["w"][triples.session], tables["h"]
        return (w * (h[triples.right] - h[triples.wrong])).sum(1)  # (B,)

    def steps(self, tables: Tables, triples: Triples) -> list[tuple[str, Tensor, Tensor]]:
        w, h = tables["w"][triples.session], tables["h"]
        slope = torch.sigmoid(-self.margin(tables, triples))[:, None]  # (B, 1)
        return [
            ("w", triples.session, slope * (h[triples.right] - h[triples.wrong])),
            ("h", triples.right, slope * w),
            ("h", triples.wrong, -slope * w),
        ]

    def keep(self, tables: Tables) -> None:
        self.h_ = tables["h"]

    def score(self, prefixes: Sessions) -> Tensor:
        items, owner = (torch.as_tensor(part, device=self.device_) for part in prefixes.clicks())
        total = torch.zeros(len(prefixes), self.factors, device=self.device_)
        total.index_add_(0, owner, self.h_[items])  # (n, factors)
        mean = total / torch.as_tensor(prefixes.lengths, device=self.device_)[:, None]
        return mean @ self.h_.T  # (n, m)
