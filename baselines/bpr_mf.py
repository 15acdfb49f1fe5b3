"""BPR-MF: matrix factorisation of sessions by items, learned from pairs of a clicked and an unclicked item.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.

    score_ui = w_u . h_i        maximise ln sigma(score_ui - score_uj), i clicked in session u, j not

In training a session is a user. A new session has no factors, so the mean of its items' h replaces w_u, as in Hidasi
et al. (ICLR 2016). The NARM paper gives no settings. The defaults are those of the baselines published with Hidasi's
GRU4Rec: 100 factors, 10 epochs, learning rate 0.01, no regularisation, factors uniform in +-0.05, no trained bias,
and the item of a randomly drawn click as the negative. Ours: j is drawn again if the session has clicked it, as in
Rendle's paper. For batches see reproduce/fitting/pairwise.py.

`negatives` says from which clicks negatives are drawn. The default is all of them, as Rendle's paper excludes no
items. The published code draws a number below m, the number of items, and takes the item in that row of its table of
clicks. It therefore draws from the first m rows only, and which items those hold depends on the order of the rows. With
the table library of its time, joining the numbers of items and sessions to the clicks reorders the rows: each session's
clicks are grouped, within a session they are ordered by item, sessions come in the order of their earliest item, and
items in the order of their first click. `grouped` is the order of that table. `first-rows` and `last-rows` take the
first or last m clicks with the sessions in the order of the split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reproduce.fitting.pairwise import Pairwise, Positives, Tables, Triples, mean_by
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions

Negatives = Literal["all-clicks", "first-rows", "last-rows", "grouped"]


@dataclass(kw_only=True)
class BPRMF(Pairwise):
    """Score of an item: the mean of the factors of the session's clicks times the item's own factors.

    Args:
        spread: the initial factors are uniform in +- this value.
        wrong: whether a negative is the item of a random click, and so a popular one more often, or any item equally.
        negatives: the clicks that negatives come from: all, or as many as there are items, see the top of this file.
    """

    name: ClassVar[str] = "bpr_mf"
    label: ClassVar[str] = "BPR-MF"
    learns_order: ClassVar[bool] = False

    spread: float = setting(0.05, low=0.0, high=10.0, search=(0.01, 0.5))
    wrong: Literal["clicks", "items"] = setting("clicks")
    negatives: Negatives = setting("all-clicks", before="all-clicks", note="the published code's are grouped")

    def positives(self, train: Sessions) -> Positives:
        items, owner = train.clicks()
        pool = self._pool(train)
        taken = np.unique(owner * train.n_items + items)
        in_pool = np.zeros(train.n_items, dtype=bool)
        in_pool[pool] = True
        of_pool = taken[in_pool[taken % train.n_items]] // train.n_items
        clicked = np.bincount(of_pool, minlength=len(train))  # (sessions,) different items of the pool
        some_left = clicked[owner] < in_pool.sum()  # a session that clicked the whole pool has no negative
        items, owner = items[some_left], owner[some_left]
        nothing = Sessions.packed(items[:0], np.zeros(len(items), np.int64), train.n_items)
        return Positives(owner, items, nothing, taken, owner, pool, train.n_items)

    def _pool(self, train: Sessions) -> np.ndarray:
        """Return the items that negatives are drawn from at random."""
        items, _ = train.clicks()
        if self.negatives != "all-clicks":
            items = items[rows(train, self.negatives)]
            return items if self.wrong == "clicks" else np.unique(items)
        return items if self.wrong == "clicks" else np.arange(train.n_items)

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
        return mean_by(self.h_[items], owner, len(prefixes)) @ self.h_.T  # (n, m)

    def item_vectors(self) -> Tensor:
        return self.h_


def rows(train: Sessions, negatives: Negatives) -> np.ndarray:
    """Return the indices of the first, or last, m clicks in the chosen order, m being the number of distinct items."""
    items, owner = train.clicks()
    m = len(np.unique(items))
    if negatives == "last-rows":
        return np.arange(len(items))[-m:]
    order = np.arange(len(items))
    if negatives == "grouped":
        for key in (items, owner):  # one join, then the other
            order = order[np.argsort(pd.factorize(key[order])[0], kind="stable")]
    return order[:m]
