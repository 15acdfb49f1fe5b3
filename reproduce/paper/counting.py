"""How a number was counted: which ranks are hits, and what becomes of an item that ties with the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ties = Literal["against", "at random", "in favour"]


@dataclass(frozen=True)
class Counting:
    """A rule by which ranks become Recall@k and MRR@k."""

    below: bool = False  # a hit has a rank below k, so that "Recall@20" is Recall@19; else up to k
    ties: Ties = "against"  # items tied with the target stand before it, in a random order with it, or behind it

    def told(self, k: int = 20) -> str:
        """In words, as under a table."""
        return f"rank {'<' if self.below else '<='} {k}, ties {self.ties}"


OURS = Counting()
# The evaluation that was published with GRU4Rec in 2016. It compares with `<`, and adds tiny random numbers to all
# scores, so that ties fall at random. GRU4Rec's own was changed to `<=` in June 2018, its baselines' never.
EVALUATION_2016 = Counting(below=True, ties="at random")
# NARM's own code: argsort of the scores, targets counted where as many as 20 items or fewer are strictly above.
NARM_CODE = Counting(ties="in favour")
