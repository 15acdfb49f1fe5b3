"""The attention of a model on the test prefixes, in the form that a record keeps to draw figures without the model.

A record keeps the weights of every test session's longest prefix, and means over all prefixes: by position, by
distance from the end, and on clicks on the target. The paper's section on attention gives no numbers for these means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions

LONGEST = 19  # clicks: the longest prefixes for which means are kept, the paper's truncation
CHUNK = 512


@dataclass(frozen=True, eq=False)
class Attention:
    """Weights over the kept clicks of each test session's longest prefix, one session after the other."""

    weights: np.ndarray  # (kept clicks,) float16
    is_target: np.ndarray  # (kept clicks,) bool: the click is the item to be predicted
    lengths: np.ndarray  # (test sessions,) clicks kept of each longest prefix
    means: dict[str, Any]  # over all prefixes, see `collect`

    def of_session(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights and the target marks of test session i, (kept clicks,) each."""
        stop = int(self.lengths[: i + 1].sum())
        span = slice(stop - int(self.lengths[i]), stop)
        return self.weights[span], self.is_target[span]


def collect(model: Recommender, test: Sessions, truncation: str) -> Attention | None:
    """Collect the attention of a model on all test prefixes; None if the model has none.

    `truncation` says which clicks of a long prefix the model keeps. The result's `means` holds:

    - "examples": the number of prefixes with n kept clicks, n = 1..19;
    - "weight": for each n, the mean weight of each position;
    - "repeat": over the prefixes that contain their target, their number, the mean total weight of the clicks on the
      target, and the total weight these clicks would have if all weights were equal;
    - "saturated": the mean over all kept clicks of the share of the attention's units that are saturated, if the model
      reports it. Records made before models reported it lack this number.
    """
    prefixes, targets = test.prefixes()
    longest = np.diff(test.prefix_owner(), append=-1) != 0  # shortest first: a session's last prefix is its longest
    means = _Means()
    weights, marks, lengths = [], [], []
    for begin in range(0, len(prefixes), CHUNK):
        here = slice(begin, begin + CHUNK)
        part = prefixes.take(here)
        extras = model.extras(part)
        answer = extras.get("attention")
        if answer is None:
            return None
        T = answer.shape[1]
        kept = np.minimum(part.lengths, T)  # (n,)
        skipped = part.lengths - kept if truncation == "last" else np.zeros_like(kept)
        valid = np.arange(T) < kept[:, None]  # (n, T)
        places = np.minimum((part.starts + skipped)[:, None] + np.arange(T), len(part.items) - 1)
        hit = valid & (part.items[places] == targets[here, None])  # (n, T)
        mine = longest[here]
        weights.append(answer[mine][valid[mine]].astype(np.float16))
        marks.append(hit[mine][valid[mine]])
        lengths.append(kept[mine])
        means.add(answer, kept, valid, hit, extras.get("saturated"))
    if not weights:
        return None
    return Attention(np.concatenate(weights), np.concatenate(marks), np.concatenate(lengths), means.as_plain())


class _Means:
    """Sums over all prefixes, added chunk by chunk, and the means computed from them."""

    def __init__(self) -> None:
        self.examples = np.zeros(LONGEST, dtype=np.int64)
        self.total = np.zeros((LONGEST, LONGEST))
        self.repeat, self.saturated = np.zeros(3), np.zeros(2)

    def add(
        self, answer: np.ndarray, kept: np.ndarray, valid: np.ndarray, hit: np.ndarray, saturated: np.ndarray | None
    ) -> None:
        """Add a chunk of n prefixes; answer, valid, hit and saturated are (n, T), kept is (n,)."""
        short = kept <= LONGEST
        width = min(answer.shape[1], LONGEST)
        np.add.at(self.examples, kept[short] - 1, 1)
        np.add.at(self.total[:, :width], kept[short] - 1, np.where(valid, answer, 0.0)[short][:, :width])
        has = hit.any(1)
        self.repeat += [has.sum(), (answer * hit)[has].sum(), (hit.sum(1) / np.maximum(kept, 1))[has].sum()]
        if saturated is not None:
            self.saturated += [saturated[valid].sum(dtype=np.float64), valid.sum()]

    def as_plain(self) -> dict[str, Any]:
        """Return the means as plain numbers and lists, as a record stores them."""
        found, weight, even = self.repeat
        means: dict[str, Any] = {
            "examples": self.examples.tolist(),
            "weight": [
                [round(float(value), 6) for value in self.total[n, : n + 1] / max(int(self.examples[n]), 1)]
                for n in range(LONGEST)
            ],
            "repeat": {
                "examples": int(found),
                "weight": round(weight / max(found, 1), 6),
                "even": round(even / max(found, 1), 6),
            },
        }
        if self.saturated[1]:
            means["saturated"] = round(float(self.saturated[0] / self.saturated[1]), 6)
        return means
