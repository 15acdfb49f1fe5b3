"""How a number was counted: which ranks are hits, and what becomes of an item that ties with the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ties = Literal["against", "at random", "in favour"]
Unseen = Literal["ranked", "missed", "dropped"]


@dataclass(frozen=True)
class Counting:
    """A rule by which ranks become Recall@k and MRR@k."""

    below: bool = False  # a hit has a rank below k, so that "Recall@20" is Recall@19; else up to k
    ties: Ties = "against"  # items tied with the target stand before it, in a random order with it, or behind it
    unseen: Unseen = "ranked"  # a target that no training session has: ranked as any other, always missed, left out

    def told(self, k: int = 20) -> str:
        """In words, as under a table."""
        unseen = {
            "ranked": "",
            "missed": ", items not in train always missed",
            "dropped": ", items not in train left out",
        }
        return f"rank {'<' if self.below else '<='} {k}, ties {self.ties}{unseen[self.unseen]}"


OURS = Counting()
# The evaluation that was published with GRU4Rec in 2016. It compares with `<`, and adds tiny random numbers to all
# scores, so that ties fall at random. GRU4Rec's own was changed to `<=` in June 2018, its baselines' never.
EVALUATION_2016 = Counting(below=True, ties="at random")
# On YOOCHOOSE its classes know the items of train only: a click on any other is a miss, whatever was clicked before.
EVALUATION_2016_YOOCHOOSE = Counting(below=True, ties="at random", unseen="missed")
# NARM's own code: the target's rank is 1 more than the number of items strictly above it, and counts up to 20.
NARM_CODE = Counting(ties="in favour")
