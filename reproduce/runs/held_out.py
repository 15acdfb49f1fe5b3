"""The data that a search scores on, and how: the newest tenth of the training sessions, held out as whole sessions.

The test part is newer than train, so the newest training sessions stand in for it. Newest is by the sessions' dates. A
split of processed files has no dates; there it is by position, which is the order of time only if the files are sorted
by time. `drift` measures whether they are, without looking at the test part.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import ModelError
from reproduce.evaluation import ranking
from reproduce.fitting import user_model
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions
from reproduce.runs import memory
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.deadline import Deadline
from reproduce.runs.environment import circumstances

SHARE = 0.1  # of the training sessions are held out
PARTS = 10  # the parts that `drift` compares
CLEAR = 0.8  # rank correlation; with shuffled sessions, ten parts reach it in one case of two hundred


@dataclass(frozen=True)
class HeldOut:
    """The training sessions in two parts, and in words how the second was chosen."""

    fitting: Sessions
    scoring: Sessions
    told: str


def hold_out(train: Sessions) -> HeldOut:
    """Split off the newest tenth of the sessions for scoring; each part has at least one session."""
    order = np.arange(len(train)) if train.dates is None else np.argsort(train.dates, kind="stable")
    first = min(max(1, round((1 - SHARE) * len(train))), len(train) - 1)
    older, newer = train.take(order[:first]), train.take(order[first:])
    if train.dates is not None:
        return HeldOut(older, newer, f"the newest {len(newer):,} training sessions by time, held out whole")
    seen = drift(train)
    order_told = f"what is clicked drifts along that order, rank correlation {seen:.2f}"
    if not seen >= CLEAR:
        order_told = "and whether that is the order of time does not show in what is clicked"
    told = f"the last {len(newer):,} training sessions in the order of files without times, held out whole"
    return HeldOut(older, newer, f"{told} ({order_told})")


def drift(sessions: Sessions) -> float:
    """How steadily ten consecutive parts of the sessions grow more similar to the last: a rank correlation, at most 1.

    Similarity is the cosine between the parts' numbers of clicks per item. In a log in the order of time, what is
    clicked drifts, so nearby parts are more alike; in a shuffled log they are not. An order from new to old gives the
    same result. NaN if there are fewer sessions than parts.
    """
    if len(sessions) < PARTS:
        return float("nan")
    bounds = np.arange(PARTS + 1) * len(sessions) // PARTS
    clicks = np.stack(
        [
            np.bincount(sessions.take(slice(begin, end)).clicks()[0], minlength=sessions.n_items)
            for begin, end in pairwise(bounds)
        ]
    ).astype(np.float64)  # (parts, items)
    clicks /= np.maximum(np.linalg.norm(clicks, axis=1, keepdims=True), 1e-30)
    alike = clicks[:-1] @ clicks[-1]  # (parts - 1,)
    places = np.arange(PARTS - 1)
    return float(np.corrcoef(np.argsort(np.argsort(alike)), places)[0, 1])


@dataclass(frozen=True)
class Fit:
    """Fits models to the older sessions and scores them on the newer ones; an interrupted fit resumes.

    Args:
        place: the path of the checkpoints, without the ending.
        identity: of the search, so that no other search takes the checkpoints for its own.
        fresh: do not resume from a checkpoint.
        deadline: when to stop, between two epochs.
    """

    parts: HeldOut
    place: Path
    identity: str
    device: torch.device
    quiet: bool
    fresh: bool
    deadline: Deadline | None

    def score(self, model: Recommender, seed: int) -> tuple[float, float]:
        """Fit a model and return its Recall@20 and MRR@20 on all prefixes of the held-out sessions, in per cent.

        Raises:
            ModelError: the model failed.
            UsageError: an epoch takes longer than the whole deadline.
            TimeIsUp: the deadline came first; the checkpoint is kept.
        """
        if self.deadline is not None:
            self.deadline.check()
        prefixes, targets = self.parts.scoring.prefixes()
        made_of = json.dumps([self.identity, catalog.resolved(model), seed], sort_keys=True)
        identity = hashlib.sha256(made_of.encode()).hexdigest()
        journal = RunJournal(
            title=model.name,
            checkpoint=Path(f"{self.place}-{identity[:16]}.checkpoint"),
            identity=identity,
            circumstances=circumstances(self.device, prefixes.n_items),
            quiet=self.quiet,
            fresh=self.fresh,
            deadline=self.deadline,
        )
        guarded = user_model.guarded(model)
        try:
            with deterministic():
                memory.fit(
                    model, lambda: guarded.fit(self.parts.fitting, seed=seed, device=self.device, journal=journal)
                )
                greater, equal, _ = memory.rank_all(guarded, prefixes, targets, model.name, self.device)
        except ModelError:
            journal.discard()
            raise
        journal.discard()
        ranks = ranking.rank(greater, equal)
        return ranking.recall_at(ranks), ranking.mrr_at(ranks)

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)
