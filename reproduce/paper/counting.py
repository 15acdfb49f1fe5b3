"""How a number was counted: which ranks are hits, and how ties with the target and unseen targets are treated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ties = Literal["against", "at random", "in favour"]


@dataclass(frozen=True)
class Counting:
    """A rule by which ranks become Recall@k and MRR@k."""

    below: bool = False  # a hit has rank < k, so that "Recall@20" is Recall@19; otherwise rank <= k
    ties: Ties = "against"  # tied items are ranked before the target, in random order with it, or after it
    unseen_missed: bool = False  # a target that is in no training session is a miss, not ranked like any other


OURS = Counting()
# The evaluation published with GRU4Rec in 2016. It compares with `<` and adds tiny random numbers to all scores, which
# breaks ties at random. Its classes of baselines know only the items of the training set: a click on any other is a
# miss, whatever was clicked before.
EVALUATION_2016 = Counting(below=True, ties="at random", unseen_missed=True)
# For GRU4Rec itself it ranks unseen items like any others. It was changed to `<=` in June 2018; for the baselines it
# never was.
GRU4REC_2016 = Counting(below=True, ties="at random")
# NARM's own code: the target's rank is 1 plus the number of items that score strictly higher; ranks up to 20 are hits.
NARM_CODE = Counting(ties="in favour")
