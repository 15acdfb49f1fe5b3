"""What a search comes to: trials by a protocol, the best of them fitted anew, and which of these is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce.errors import ModelError

VERSION = 2  # of how a search is made; 1 chose by one fit, on the last sessions by position, and counted repeated draws


@dataclass(frozen=True)
class Protocol:
    """How a search is made, and its budget. Only searches with equal ones compare like with like."""

    version: int
    trials: int  # different settings, the defaults among them
    trial_epochs: int | None  # the most epochs that a network is trained in a trial; None: as many as it says itself
    refitted: int  # of the best trials
    refits: int  # of each of these, a seed each, with all of their epochs

    def __str__(self) -> str:
        trials = f"{self.trials} trials"
        if self.trial_epochs is not None:
            trials += f", a network in each for at most {self.trial_epochs} epochs"
        if self.version < VERSION:
            return f"{trials} by an older protocol: the best of single fits"
        return f"{trials}; the best {self.refitted} fitted anew with {self.refits} seeds each"


@dataclass(frozen=True)
class Trial:
    """What was tried, and how it did on the held-out sessions; None where the model failed, and why it did."""

    fields: Mapping[str, Any]
    recall: float | None
    mrr: float | None
    why: str | None = None


@dataclass(frozen=True)
class Refit:
    """One of the best trials fitted anew: Recall@20 and MRR@20 of each seed; shorter where a fit failed, and why."""

    fields: Mapping[str, Any]
    recalls: Sequence[float]
    mrrs: Sequence[float]
    why: str | None = None

    @property
    def recall(self) -> float:
        return float(np.mean(self.recalls))

    @property
    def mrr(self) -> float:
        return float(np.mean(self.mrrs))


@dataclass(frozen=True)
class Outcome:
    """What a search came to: its trials in the order they were made, and the best of them fitted anew, best first."""

    protocol: Protocol
    scored_on: str
    trials: Sequence[Trial]
    refits: Sequence[Refit]

    @property
    def best(self) -> Trial:
        """The trial whose refits have the highest mean Recall@20; of equals the highest mean MRR@20, then the earlier.

        Raises:
            ModelError: each of the best trials failed with another seed.
        """
        sound = [one for one in self.refits if one.why is None]
        if not sound:
            raise ModelError(f"the best trials failed with other seeds: {self.refits[0].why}")
        top = max(sound, key=lambda one: (one.recall, one.mrr))
        return next(one for one in self.trials if one.fields == top.fields)


def best_of(trials: Sequence[Trial]) -> list[Trial]:
    """Those that did not fail, by Recall@20, of equals by MRR@20, then the earlier. Raises ModelError without any."""
    scored = [one for one in trials if one.recall is not None]
    if not scored:
        raise ModelError("every trial failed; the messages above say why")
    return sorted(scored, key=lambda one: (-(one.recall or 0.0), -(one.mrr or 0.0)))


def told(trial: Trial) -> str:
    """How a trial did, in a line."""
    chosen = ", ".join(f"{key}={value}" for key, value in trial.fields.items())
    outcome = f"Recall@20 {trial.recall:.2f}, MRR@20 {trial.mrr:.2f}" if trial.recall is not None else f"{trial.why}"
    return f"{outcome}  {chosen}"
