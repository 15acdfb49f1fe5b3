"""What a record says of itself against what follows from its arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reproduce.runs.experiment import identity
from reproduce.runs.record import Result


def faults(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """What a record says of itself against what follows from its arrays."""
    cause = result.experiment
    source = result.environment.get("source")  # of an own model
    if identity(result.split["digest"], cause.model, result.fields, cause.seed, source) != result.identity:
        yield "its identity does not follow from its split, fields and seed"
    n_items, counts = result.split["n_items"], result.split["provenance"]["counts"]
    if (result.greater < 0).any() or (result.equal < 0).any() or (result.ranks() > n_items).any():
        yield f"a rank outside 1 to {n_items}"
    sessions = len(np.unique(result.session))
    for what, found, said in (
        ("prefixes", len(result.greater), counts["test_sequences"]),
        ("test sessions", sessions, counts["test_sessions"]),
        ("prefixes", len(result.greater), content["examples"]),
    ):
        if found != said:
            yield f"{found:,} {what} where {said:,} are due"
    starts = np.flatnonzero(np.diff(result.session, prepend=-1))
    due = np.arange(len(result.session)) - np.repeat(starts, np.diff(starts, append=len(result.session))) + 1
    if not np.array_equal(result.length, due):
        yield "the prefixes of a session do not count 1, 2, 3, ..."
    for metric, value in (("recall_at_20", result.recall()), ("mrr_at_20", result.mrr())):
        if abs(content[metric] - value) > 1e-9:
            yield f"{metric} is said to be {content[metric]}, its ranks give {value}"
    if content["best_epoch"] != result.best_epoch:
        yield f"epoch {content['best_epoch']} was kept, validation says {result.best_epoch}"
    if [one["epoch"] for one in result.epochs] != list(range(1, len(result.epochs) + 1)):
        yield "its epochs do not count 1, 2, 3, ..."
