"""FPMC: a factorised Markov chain, the next click from the last one and from who clicks.

Rendle, Freudenthaler, Schmidt-Thieme: Factorizing Personalized Markov Chains for Next-Basket Recommendation, WWW 2010.

    score_uli = v_u . v_i + a_l . c_i        (the paper's V^UI . V^IU and V^LI . V^IL; its V^UL . V^LU ranks nothing)
    S-BPR: maximise ln sigma(score_uli - score_ulj), l -> i in session u, j another item

Wrong items are uniform over the catalogue, as in the paper. A basket is one click. A session is a user in training; a
new session has no factors, so only a_l . c_i of its last click scores. The NARM paper gives no settings, nor do we know
of published ones for clicks: all of them are ours. Batches: see reproduce/fitting/pairwise.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reproduce.fitting.pairwise import Pairwise, Positives, Tables, Triples
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class FPMC(Pairwise):
    """Score of an item: its factors as a next click times those of the last click."""

    name: ClassVar[str] = "fpmc"
    label: ClassVar[str] = "FPMC"

    factors: int = setting(100, low=1, search=[50, 100, 200], note="ours")
    epochs: int = setting(20, low=1, search=[10, 20, 40], note="ours")
    learning_rate: float = setting(0.1, low=1e-6, high=10.0, search=(0.01, 0.3), note="ours")
    regularisation: float = setting(0.0, low=0.0, high=1.0, search=(0.0, 0.05), note="ours")
    spread: float = setting(0.1, low=0.0, high=10.0, search=(0.03, 0.3), note="ours: sd of the initial factors")

    def positives(self, train: Sessions) -> Positives:
        prefixes, right = train.prefixes()
        if train.n_items < 2:  # there is no wrong item
            right = right[:0]
        kept = slice(0, len(right))
        # The wrong item is any but the right one: the key of what is taken is the right item itself, twice.
        every = np.arange(train.n_items)
        taken = every * (train.n_items + 1)
        return Positives(train.prefix_owner()[kept], prefixes.last[kept], right, taken, right, every, train.n_items)

    def tables(self, sessions: int, n_items: int, draw: torch.Generator) -> Tables:
        rows = {"u": sessions, "i": n_items, "a": n_items, "c": n_items}
        return {name: torch.randn(n, self.factors, generator=draw) * self.spread for name, n in rows.items()}

    def margin(self, tables: Tables, triples: Triples) -> Tensor:
        i, c = tables["i"], tables["c"]
        by_session = (tables["u"][triples.session] * (i[triples.right] - i[triples.wrong])).sum(1)
        by_click = (tables["a"][triples.previous] * (c[triples.right] - c[triples.wrong])).sum(1)
        return by_session + by_click  # (B,)

    def steps(self, tables: Tables, triples: Triples) -> list[tuple[str, Tensor, Tensor]]:
        slope = torch.sigmoid(-self.margin(tables, triples))[:, None]  # (B, 1)
        found = []
        for left, at, right in (("u", triples.session, "i"), ("a", triples.previous, "c")):
            mine, theirs = tables[left][at], tables[right]
            found += [
                (left, at, slope * (theirs[triples.right] - theirs[triples.wrong])),
                (right, triples.right, slope * mine),
                (right, triples.wrong, -slope * mine),
            ]
        return found

    def keep(self, tables: Tables) -> None:
        self.a_, self.c_ = tables["a"], tables["c"]

    def score(self, prefixes: Sessions) -> Tensor:
        return self.a_[torch.as_tensor(prefixes.last, device=self.device_)] @ self.c_.T  # (n, m)
