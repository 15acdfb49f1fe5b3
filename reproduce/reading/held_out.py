"""The held-out split of a data set, on which searches compare settings: its newest training sessions stand in for test.

Every data set of the catalogue has one, under its name and "-held-out". Its test set is the newest tenth of the
training sessions, held out whole; the data set's own test set is not in it. Newest is by the sessions' dates. A split
of processed files has no dates; there it is by position, which is the order of time only if the files are sorted by
time. `drift` measures whether they are.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from reproduce.reading.sessions import Sessions, Split, count

SUFFIX = "-held-out"
SHARE = 0.1  # of the training sessions are held out
PARTS = 10  # the parts that `drift` compares
CLEAR = 0.8  # rank correlation; with shuffled sessions, ten parts reach it in one case of two hundred


def hold_out(split: Split) -> Split:
    """Split the training sessions into older ones and the newest tenth; each part has at least one session."""
    train = split.train
    order = np.arange(len(train)) if train.dates is None else np.argsort(train.dates, kind="stable")
    first = min(max(1, round((1 - SHARE) * len(train))), len(train) - 1)
    older, newer = train.take(order[:first]), train.take(order[first:])
    if train.dates is not None:
        note = f"the newest {len(newer):,} training sessions by time, held out whole"
    else:
        seen = drift(train)
        time = f"what is clicked drifts along that order, rank correlation {seen:.2f}"
        if not seen >= CLEAR:
            time = "and whether that is the order of time does not show in what is clicked"
        note = f"the last {len(newer):,} training sessions in the order of files without times, held out whole ({time})"
    provenance = replace(split.provenance, counts=count(older, newer), published={}, note=note, chosen=False)
    return Split(f"{split.name}{SUFFIX}", older, newer, provenance, split.vocabulary)


def drift(sessions: Sessions) -> float:
    """How steadily ten consecutive parts of the sessions grow more similar to the last: a rank correlation, at most 1.

    Similarity is the cosine between the parts' numbers of clicks per item. In a log in the order of time, what is
    clicked drifts, so nearby parts are more alike; in a shuffled log they are not. An order from new to old gives the
    same result. NaN if there are fewer sessions than parts.
    """
    if len(sessions) < PARTS:
        return float("nan")
    bounds = np.arange(PARTS + 1) * len(sessions) // PARTS
    parts = [sessions.take(slice(begin, end)).clicks()[0] for begin, end in pairwise(bounds)]
    clicks = np.stack([np.bincount(items, minlength=sessions.n_items) for items in parts]).astype(float)
    clicks /= np.maximum(np.linalg.norm(clicks, axis=1, keepdims=True), 1e-30)
    alike = clicks[:-1] @ clicks[-1]  # (parts - 1,)
    places = np.arange(PARTS - 1)
    return float(np.corrcoef(np.argsort(np.argsort(alike)), places)[0, 1])
