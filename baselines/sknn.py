"""S-KNN and V-SKNN: recommend the items of the training sessions that are most similar to the current session.

S-KNN: Jannach and Ludewig, When Recurrent Neural Networks Meet the Neighborhood for Session-Based Recommendation,
RecSys 2017. V-SKNN: Ludewig and Jannach, Evaluation of Session-based Recommendation Algorithms, UMUAI 28, 2018; d and
idf from Ludewig, Mauro, Latifi, Jannach, Empirical Analysis of Session-based Recommendation Algorithms, UMUAI 31, 2021.

Candidates are the `sample` newest training sessions that share an item with session s; N is the k most similar of them.

    S-KNN    sim(s, n) = |s & n| / sqrt(|s| |n|)      score_i = sum over n in N with i in n of sim(s, n)
    V-SKNN   sim(s, n) = sum over j in s & n of w_j    score_i = (1 + lambda idf_i) sum of sim(s, n) d(s, n)

|s| and |n| count distinct items. w_j is greatest at the last click of s; d falls with the distance from the end of s to
the last click that n shares. Training sessions are in time order, so a session with a higher number is newer.

S-KNN's defaults are the 500 neighbours out of 1,000 sessions of the RecSys 2017 paper. V-SKNN's settings have the same
meaning as in session-rec, the public code of the UMUAI 2021 paper, but other names: neighbours is its k, sample its
sample_size, weights its weighting, decays its weighting_score, and idf its idf_weighting (where False is 0); its idf
counts clicks. It publishes these settings for the data sets here, neighbours / sample / weights / decays / idf:

    DIGINETICA   1500 / 10000 / quadratic / linear / 10      single split, configuration file: V-SKNN's defaults
                 500 / 5000 / quadratic / div / 10           single split, table on its pages
                 500 / 5000 / quadratic / div / 5            window, table on its pages
                 50 / 2500 / log / quadratic / 1             STAMP's split, table on its pages
                 500 / 10000 / quadratic / quadratic / 10    STAMP's split, single: that of the row in file order
    RSC15/64     1000 / 5000 / log / quadratic / 2           single split, configuration file and table
    RSC15/4      1000 / 1000 / log / quadratic / 5           single split, configuration file and table
    RSC15        100 / 1000 / quadratic / quadratic / 0      window, table on its pages

Left out: its weighting `linear` (0 for all clicks after the tenth), which none of these published settings uses.

Ours, because the papers leave it open: of equally similar sessions the newer one is the nearer neighbour. Similarities
are ratios of whole numbers, or with weights=log sums over the same steps in the same order, so ties do not depend on
how the items are numbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from scipy import sparse

from reproduce.fitting.recommender import Journal, Recommender, setting
from reproduce.reading.sessions import Sessions

ROWS = 256  # prefixes scored at a time, however many are asked for; bounds the memory of the candidates
POWERS = {"same": 0, "div": 1, "quadratic": 2}


@dataclass(kw_only=True)
class SKNN(Recommender):
    """S-KNN: cosine similarity between sets of items."""

    name: ClassVar[str] = "sknn"
    label: ClassVar[str] = "S-KNN"
    learns_order: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    neighbours: int = setting(500, low=1, high=10_000_000, search=[50, 100, 200, 500, 1000])  # k
    sample: int = setting(1000, low=1, high=10_000_000, search=[500, 1000, 2500, 5000])

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        items, owner = train.clicks()
        shape = (len(train), train.n_items)
        self.contains_ = sparse.csr_array((np.ones(len(items), np.float32), (owner, items)), shape=shape)
        self.contains_.data[:] = 1  # a session contains an item or not
        self.distinct_ = np.diff(self.contains_.indptr)  # (sessions,) |n|
        with_item = self.contains_.tocsc()
        with_item.sort_indices()  # an item's sessions, oldest first
        count = np.diff(with_item.indptr)  # (m,)
        # A session among the newest of all that share a click is also among the newest that share this click.
        ends = with_item.indptr[1:].astype(np.int64)
        self.newest_ = Sessions(
            with_item.indices.astype(np.int64), ends - np.minimum(count, self.sample), ends, len(train)
        )  # row i: the newest training sessions with item i
        clicks = np.bincount(items, minlength=train.n_items)  # (m,)
        self.item_weight_ = self.item_weight(clicks, count, len(train)).astype(np.float32)  # (m,)
        self.device_ = device

    def score(self, prefixes: Sessions) -> torch.Tensor:
        scores = np.zeros((len(prefixes), prefixes.n_items), dtype=np.float32)
        for begin in range(0, len(prefixes), ROWS):
            near = self.nearest(prefixes.take(slice(begin, begin + ROWS)))
            np.multiply((near @ self.contains_).toarray(), self.item_weight_, out=scores[begin : begin + ROWS])
        return torch.as_tensor(scores, device=self.device_)

    def nearest(self, prefixes: Sessions) -> sparse.csr_array:
        """Return what each session adds to the score of its items, (prefixes, sessions); 0 if it is no neighbour."""
        row, item, step = last_clicks(prefixes)
        size = np.bincount(row, minlength=len(prefixes))  # (prefixes,) |s|
        session, entry = self.newest_.take(item).clicks()
        # One integer key for each candidate session of each item. Sorted, the keys of a pair (prefix, session) are
        # adjacent, with the oldest session first and the latest shared click first.
        n, deepest = len(self.distinct_), int(prefixes.lengths.max(initial=0)) + 1
        key = (row[entry] * n + session) * deepest + step[entry]
        key.sort()
        pair, step = np.divmod(key, deepest)
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        row, session = np.divmod(pair, n)
        shared = np.add.reduceat(self.click_weight(step, prefixes.lengths[row]), first) if len(first) else first
        row, session, step = row[first], session[first], step[first]
        age = np.cumsum(np.bincount(row, minlength=len(prefixes)))[row] - 1 - np.arange(len(row))  # 0 is the newest
        new = age < self.sample
        row, session, step, shared, age = row[new], session[new], step[new], shared[new], age[new]

        similar = self.similarity(shared, size[row], prefixes.lengths[row], self.distinct_[session])
        by_age = np.full((len(prefixes), int(age.max(initial=-1)) + 1), -1.0)
        by_age[row, age] = similar
        # A stable sort keeps the newer of two equally similar sessions in front.
        best = np.argsort(-by_age, axis=1, kind="stable")[:, : self.neighbours]
        is_best = np.zeros(by_age.shape, dtype=bool)
        np.put_along_axis(is_best, best, True, axis=1)
        near = is_best[row, age]
        value = (similar * self.decay(step))[near].astype(np.float32)
        return sparse.csr_array((value, (row[near], session[near])), shape=(len(prefixes), n))

    # What V-SKNN replaces.

    def click_weight(self, step: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return what a shared click adds to the similarity, from its step counted back from the end of s."""
        return np.ones_like(step)

    def similarity(self, shared: np.ndarray, size: np.ndarray, length: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the similarity from the summed weights, |s|, the number of clicks of s, and |n|.

        Equal ratios of whole numbers give equal floats.
        """
        return np.asarray(np.sqrt(shared * shared / (size * other)))

    def decay(self, step: np.ndarray) -> np.ndarray:
        """Return d(s, n) from the step of the last click that n shares."""
        return np.ones(len(step))

    def item_weight(self, clicks: np.ndarray, having: np.ndarray, sessions: int) -> np.ndarray:
        """Return a factor on the score of each item, (m,), from its training clicks and sessions."""
        return np.ones(len(having))


@dataclass(kw_only=True)
class VSKNN(SKNN):
    """V-SKNN: a dot product in which clicks near the end of the session count more."""

    name: ClassVar[str] = "vsknn"
    label: ClassVar[str] = "V-SKNN"

    neighbours: int = setting(1500, low=1, high=10_000_000, search=[50, 100, 500, 1000, 1500])
    sample: int = setting(10000, low=1, high=10_000_000, search=[500, 1000, 2500, 5000, 10000])
    weights: Literal["same", "div", "quadratic", "log"] = setting(
        "quadratic",
        search=["same", "div", "quadratic", "log"],
        note="w: 1, place / length, its square, 1 / log10(step + 0.7)",
    )
    decays: Literal["same", "div", "linear", "linear-to-0", "quadratic", "log"] = setting(
        "linear",
        search=["same", "div", "linear", "quadratic", "log"],
        note="d: 1, 1 / step, 1 - step / 10 (negative beyond step 10, 0 beyond 100), the same but never below 0, "
        "1 / step squared, 1 / log10(step + 1.7); the last click is step 1",
    )
    idf: float = setting(10.0, low=0.0, high=1e9, search=[0.0, 1.0, 2.0, 5.0, 10.0])  # lambda
    idf_counts: Literal["clicks", "sessions"] = setting(
        "clicks", note="idf_i: log of training sessions / clicks on i, or / sessions with i"
    )

    def click_weight(self, step: np.ndarray, length: np.ndarray) -> np.ndarray:
        if self.weights == "log":
            return np.asarray(1 / np.log10(step + 0.7))
        return np.asarray((length - step + 1) ** POWERS[self.weights])  # whole numbers; `similarity` divides

    def similarity(self, shared: np.ndarray, size: np.ndarray, length: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(shared / length ** POWERS.get(self.weights, 0))

    def decay(self, step: np.ndarray) -> np.ndarray:
        if self.decays == "linear":
            return np.where(step <= 100, 1 - step / 10, 0)
        if self.decays == "linear-to-0":
            return np.maximum(1 - step / 10, 0)
        if self.decays == "log":
            return np.asarray(1 / np.log10(step + 1.7))
        return np.asarray(1 / step ** POWERS[self.decays])

    def item_weight(self, clicks: np.ndarray, having: np.ndarray, sessions: int) -> np.ndarray:
        count = clicks if self.idf_counts == "clicks" else having
        return np.asarray(1 + self.idf * np.log(sessions / np.maximum(count, 1)))


def last_clicks(prefixes: Sessions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row, item and step of the last click on each item of every prefix; the prefix's last click is step 1."""
    items, row = prefixes.clicks()
    step = np.cumsum(prefixes.lengths)[row] - np.arange(len(row))
    pair, at = np.unique((row * prefixes.n_items + items)[::-1], return_index=True)  # the first, seen from the end
    row, item = np.divmod(pair, prefixes.n_items)
    return row, item, step[::-1][at]
