"""The outcome of a search: its protocol, its trials, the refits of the best trials, and the best of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce.errors import ModelError

VERSION = 2  # of the protocol; 1 chose by one fit, on the last sessions by position, and counted repeated draws


@dataclass(frozen=True)
class Protocol:
    """How a search is made, and its budget. Only searches with equal protocols can be compared."""

    version: int
    trials: int  # different settings, including the defaults
    trial_epochs: int | None  # the largest number of epochs of a neural network in a trial; None: its own
    refitted: int  # how many of the best trials are fitted again
    refits: int  # fits of each of these, each with another seed and all epochs
    sampler: str = "optuna"  # what draws the trials, or "random"

    def __str__(self) -> str:
        trials = f"{self.trials} trials" + (" drawn at random" if self.sampler == "random" else "")
        if self.trial_epochs is not None:
            trials += f", a network in each for at most {self.trial_epochs} epochs"
        if self.version < VERSION:
            return f"{trials} by an older protocol: the best of single fits"
        return f"{trials}; the best {self.refitted} fitted anew with {self.refits} seeds each"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and their scores on the held-out sessions; None, and why, if the model failed."""

    fields: Mapping[str, Any]
    recall: float | None
    mrr: float | None
    why: str | None = None

    def __str__(self) -> str:
        outcome = f"Recall@20 {self.recall:.2f}, MRR@20 {self.mrr:.2f}" if self.recall is not None else f"{self.why}"
        return f"{outcome}  {', '.join(f'{key}={value}' for key, value in self.fields.items())}"


@dataclass(frozen=True)
class Refit:
    """One of the best trials fitted again: Recall@20 and MRR@20 per seed, up to a fit that failed, and why it did."""

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
    """The outcome of a search: its trials in the order they were made, and the refits of the best, best trial first."""

    protocol: Protocol
    scored_on: str
    trials: Sequence[Trial]
    refits: Sequence[Refit]

    @property
    def best(self) -> Trial:
        """The trial whose refits have the highest mean Recall@20, then MRR@20; of equals, the better trial.

        Raises:
            ModelError: each of the best trials failed in a refit.
        """
        sound = [refit for refit in self.refits if refit.why is None]
        if not sound:
            raise ModelError(f"the best trials failed with other seeds: {self.refits[0].why}")
        top = max(sound, key=lambda refit: (refit.recall, refit.mrr))
        return next(trial for trial in self.trials if trial.fields == top.fields)


def best_of(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that did not fail, best first by Recall@20, MRR@20 and age. Raises ModelError if there are none."""
    scored = [trial for trial in trials if trial.recall is not None]
    if not scored:
        raise ModelError("every trial failed; the messages above say why")
    return sorted(scored, key=lambda trial: (-(trial.recall or 0.0), -(trial.mrr or 0.0)))
