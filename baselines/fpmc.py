"""FPMC: a factorised Markov chain that predicts the next click from the last one and from the user.

Rendle, Freudenthaler, Schmidt-Thieme: Factorizing Personalized Markov Chains for Next-Basket Recommendation, WWW 2010.

    score_uli = v_u . v_i + a_l . c_i        (the paper's V^UI . V^IU and V^LI . V^IL; its V^UL . V^LU changes no rank)
    S-BPR: maximise ln sigma(score_uli - score_ulj), l -> i in session u, j another item

Negatives are drawn uniformly from the catalogue, as in the paper. In training a session is a user; a new session has
no factors, so only the Markov chain contributes to its scores. By default a basket is one click, and l is the last one.
With basket=prefix it is all clicks so far, and the mean of their a replaces a_l, as in the paper for baskets of several
items.

The NARM paper gives no settings; the defaults are ours. The public Python implementation from the time of that paper
(github khesui/FPMC, 2016) has factors=32, epochs=15, learning_rate=0.01, regularisation=0.001, spread=0.01,
negatives=10, basket=prefix; see results/findings.md. It also differs in that an epoch draws its examples with
replacement, that the ten negatives of an example take their steps one after the other, and that it cannot score a new
user. For batches see reproduce/fitting/pairwise.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from reproduce.fitting.pairwise import Pairwise, Positives, Tables, Triples, mean_by, sizes
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class FPMC(Pairwise):
    """Score of an item: its factors as a next click times those of the last click.

    Args:
        spread: the standard deviation of the initial factors.
        basket: the clicks that predict the next one: the last, or all so far.
        negatives: how many are drawn for each right item.
    """

    name: ClassVar[str] = "fpmc"
    label: ClassVar[str] = "FPMC"

    factors: int = setting(100, low=1, high=4096, search=[50, 100, 200], note="ours")
    epochs: int = setting(20, low=1, high=10_000, search=[10, 20, 40], note="ours")
    learning_rate: float = setting(0.1, low=1e-6, high=10.0, search=(0.01, 0.3), note="ours")
    regularisation: float = setting(0.0, low=0.0, high=1.0, search=(0.0, 0.05), note="ours")
    spread: float = setting(0.1, low=0.0, high=10.0, search=(0.03, 0.3), note="ours")
    basket: Literal["last", "prefix"] = setting("last", before="last", note="ours")
    negatives: int = setting(1, low=1, high=1000, before=1, note="the paper's")

    def positives(self, train: Sessions) -> Positives:
        prefixes, right = train.prefixes()
        if train.n_items < 2:  # there is no negative
            right = right[:0]
        kept = slice(0, len(right))
        # Any item but the right one can be the negative: `taken` pairs each right item with itself.
        every = np.arange(train.n_items)
        taken = every * (train.n_items + 1)
        before = self._baskets(prefixes.take(kept))
        return Positives(
            train.prefix_owner()[kept], right, before, taken, right, every, train.n_items, each=self.negatives
        )

    def _baskets(self, prefixes: Sessions) -> Sessions:
        """Return, for each prefix, the clicks that predict the next one."""
        if self.basket == "prefix":
            return prefixes
        return Sessions(prefixes.items, prefixes.stops - 1, prefixes.stops, prefixes.n_items)

    def tables(self, sessions: int, n_items: int, draw: torch.Generator) -> Tables:
        rows = {"u": sessions, "i": n_items, "a": n_items, "c": n_items}
        return {name: torch.randn(n, self.factors, generator=draw) * self.spread for name, n in rows.items()}

    def margin(self, tables: Tables, triples: Triples) -> Tensor:
        i, c = tables["i"], tables["c"]
        by_session = (tables["u"][triples.session] * (i[triples.right] - i[triples.wrong])).sum(1)
        a = mean_by(tables["a"][triples.before], triples.owner, len(triples))
        by_clicks = (a * (c[triples.right] - c[triples.wrong])).sum(1)
        return by_session + by_clicks  # (B,)

    def steps(self, tables: Tables, triples: Triples) -> list[tuple[str, Tensor, Tensor]]:
        slope = torch.sigmoid(-self.margin(tables, triples))[:, None]  # (B, 1)
        u, i, c = tables["u"][triples.session], tables["i"], tables["c"]
        a = mean_by(tables["a"][triples.before], triples.owner, len(triples))  # (B, factors)
        share = slope / sizes(triples.owner, len(triples))[:, None]  # (B, 1)
        on_a = share * (c[triples.right] - c[triples.wrong])  # (B, factors)
        return [
            ("u", triples.session, slope * (i[triples.right] - i[triples.wrong])),
            ("i", triples.right, slope * u),
            ("i", triples.wrong, -slope * u),
            ("a", triples.before, on_a[triples.owner]),
            ("c", triples.right, slope * a),
            ("c", triples.wrong, -slope * a),
        ]

    def keep(self, tables: Tables) -> None:
        self.a_, self.c_ = tables["a"], tables["c"]

    def score(self, prefixes: Sessions) -> Tensor:
        items, owner = (torch.as_tensor(array, device=self.device_) for array in self._baskets(prefixes).clicks())
        return mean_by(self.a_[items], owner, len(prefixes)) @ self.c_.T  # (n, m)

    def item_vectors(self) -> Tensor:
        return self.c_
