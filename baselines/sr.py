"""SR: sequential rules: which item follows another within a few clicks, nearer ones counting more.

Kamehkhosh, Jannach, Ludewig: A Comparison of Frequent Pattern Techniques and a Deep Learning Method for Session-Based
Recommendation, RecTemp 2017; Ludewig, Jannach: Evaluation of Session-based Recommendation Algorithms, UMUAI 28, 2018.

    w(a, b) = sum over sessions s and positions i < j with s_i = a, s_j = b and j - i <= steps of f(j - i)
    score_b = w(x_t, b) if it is among the `pruning` greatest of w(x_t, .), else 0        x_t: the last click

There is no training beyond counting. An item can follow itself.

The settings have the names of session-rec, the public code of Ludewig et al. 2021; its `weighting` is f here. Those
that it publishes for the data sets here, steps / f (pruning 100 in all of them), are in paper/later_baselines.py.

Departs from that code: it keeps exactly `pruning` rules of an item, while ours also keeps those tied with the last of
them, so that the choice does not depend on how the items are numbered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from scipy import sparse

from reproduce.fitting.pruning import greatest
from reproduce.fitting.recommender import Journal, Recommender, setting
from reproduce.reading.sessions import Sessions

FALLS: dict[str, Callable[[int], float]] = {
    "same": lambda d: 1.0,
    "div": lambda d: 1 / d,
    "quadratic": lambda d: 1 / d**2,
    "linear": lambda d: max(1 - d / 10, 0.0),
    "log": lambda d: 1 / math.log10(d + 1.7),
}


@dataclass(kw_only=True)
class SR(Recommender):
    """Sequential rules.

    Args:
        steps: the greatest distance, in clicks, of two clicks that make a rule.
        f: how the weight of a pair falls with its distance d: 1, 1 / d, 1 / d squared, 1 - d / 10 but not below 0, or
            1 / log10(d + 1.7).
        pruning: the number of rules kept for each item.
    """

    name: ClassVar[str] = "sr"
    label: ClassVar[str] = "SR"
    deterministic: ClassVar[bool] = True

    steps: int = setting(10, low=1, high=10_000, search=[2, 3, 4, 5, 8, 10, 15, 20])
    f: Literal["same", "div", "quadratic", "linear", "log"] = setting(
        "div", search=["same", "div", "quadratic", "linear", "log"]
    )
    pruning: int = setting(20, low=1, high=10_000_000, search=[20, 50, 100])

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        items, owner = train.clicks()
        shape = (train.n_items, train.n_items)
        rules = sparse.csr_array(shape, dtype=np.float64)  # w, a row for each a
        for d in range(1, min(self.steps, int(train.lengths.max(initial=1)) - 1) + 1):
            pair = owner[d:] == owner[:-d]
            a, b = items[:-d][pair], items[d:][pair]
            # Whole numbers first, then one sum over d in order: equal counts give equal floats.
            counts = sparse.csr_array((np.ones(len(a)), (a, b)), shape=shape)
            rules = rules + counts * FALLS[self.f](d)
        a = np.repeat(np.arange(train.n_items), np.diff(rules.indptr))  # (rules,)
        keep = greatest(a, rules.data, self.pruning)
        self.rules_ = sparse.csr_array((rules.data[keep], (a[keep], rules.indices[keep])), shape=shape)
        self.device_ = device

    def score(self, prefixes: Sessions) -> torch.Tensor:
        return torch.as_tensor(self.rules_[prefixes.last].toarray(), device=self.device_)
