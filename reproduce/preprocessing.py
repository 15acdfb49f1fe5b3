"""The paper's rules, as functions on arrays. Reading a log is the business of datasets/."""

from __future__ import annotations

import numpy as np

from reproduce.sessions import Sessions, number_items


def newest_prefixes(sessions: Sessions, keep: int) -> Sessions:
    """Of all prefixes in time order keep the last `keep`; a session on the boundary keeps its shortest ones.

    The fractions 1/64 and 1/4 of YOOCHOOSE (PAPER.md section 3). Sessions come in time order; each lists its prefixes
    longest first, so cutting the boundary session's longest prefixes is cutting its last clicks.
    """
    examples = np.maximum(sessions.lengths - 1, 0)
    from_here_on = np.cumsum(examples[::-1])[::-1]  # prefixes of this session and all later ones
    if keep >= from_here_on[0]:
        return sessions
    first = int(np.searchsorted(-from_here_on, -keep, side="right")) - 1  # the earliest session that is needed
    surplus = int(from_here_on[first]) - keep
    stops = sessions.stops[first:].copy()
    stops[0] -= surplus
    kept = Sessions(sessions.items, sessions.starts[first:], stops, sessions.n_items)
    return kept if kept.lengths[0] > 1 else kept.take(slice(1, None))


def sort_by_item(items: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Every session's clicks stably sorted by order[item], as DIGINETICA's raw file lists them: (clicks,)."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return items[np.lexsort((order[items], owner))]


def to_sessions(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> tuple[Sessions, Sessions]:
    """(items, lengths) of train and of test, in any item ids -> Sessions over one numbering by first appearance."""
    train_items, test_items, n_items = number_items(train[0], test[0])
    return Sessions.packed(train_items, train[1], n_items), Sessions.packed(test_items, test[1], n_items)
