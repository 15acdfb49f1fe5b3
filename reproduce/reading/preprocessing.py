"""The paper's preprocessing rules, each a function on arrays.

A data set's file in datasets/ reads the log and applies the rules in the paper's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from reproduce.reading.sessions import Sessions, number_items

# The version of everything between a source and its split: this file, the rest of reading/, and datasets/. Raise it
# when any split changes; otherwise the cache returns splits made by the old rules. test_rules_version.py checks it.
RULES_VERSION = 1
DAY = 86_400  # seconds


@dataclass(frozen=True, eq=False)
class ClickLog:
    """The rows of a log in file order. Each array has shape (rows,), except those of ids."""

    session: np.ndarray  # the session's number; the user's, if sessions are to be cut; the log's, if whole
    item: np.ndarray
    time: np.ndarray  # microseconds since 1970, UTC
    order: np.ndarray | None  # what orders clicks of one time, if there is such a column
    session_ids: np.ndarray  # the log's own ids, by number; empty if whole
    item_ids: np.ndarray
    names: Mapping[str, str]  # role -> column in the log
    times: str  # the form of the times, in words
    events: tuple[str, ...]  # the values of a column that looks like the type of the event; at most a dozen
    left_out: int  # rows that `where` leaves out
    of_file: tuple[int, ...]  # rows of each file


@dataclass(frozen=True, eq=False)
class DatedSessions:
    """Whole sessions stored one after the other, each with its date. Items are numbered from 0."""

    items: np.ndarray  # (clicks,)
    lengths: np.ndarray  # (sessions,)
    dates: np.ndarray  # (sessions,) seconds since 1970, UTC
    numbers: np.ndarray  # (sessions,) the session's number in the log

    def __len__(self) -> int:
        return len(self.lengths)

    def keep(self, which: np.ndarray) -> DatedSessions:
        """Keep the sessions that `which`, (sessions,) bool, marks."""
        items = self.items[np.repeat(which, self.lengths)]
        return DatedSessions(items, self.lengths[which], self.dates[which], self.numbers[which])

    def keep_clicks(self, which: np.ndarray, shortest: int = 2) -> DatedSessions:
        """Keep the clicks that `which`, (clicks,) bool, marks; drop sessions left with fewer than `shortest` clicks."""
        kept_before = np.concatenate([[0], np.cumsum(which)])
        lengths = np.diff(kept_before[np.concatenate([[0], np.cumsum(self.lengths)])])
        kept = replace(self, items=self.items[which], lengths=lengths)
        return kept.keep(lengths >= shortest)

    def sessions(self) -> Sessions:
        """Sort the sessions by date; sessions of the same date keep their order, that of their first rows."""
        order = np.argsort(self.dates, kind="stable")
        stops = np.cumsum(self.lengths)
        n_items = int(self.items.max(initial=-1)) + 1
        return Sessions(self.items, (stops - self.lengths)[order], stops[order], n_items, dates=self.dates[order])


def sessions_of(log: ClickLog, *, by_time: bool = False) -> DatedSessions:
    """Collect the rows of each session, wherever they are in the file.

    A session has the date of its last row. Clicks keep the file's order; with `by_time` they are sorted by the order
    column, or by time if there is none, and equal ones keep the file's order. Sessions are in the order of their first
    rows.
    """
    begins = np.flatnonzero(np.diff(log.session, prepend=log.session[:1] - 1))
    runs = np.diff(np.append(begins, len(log.session)))
    number, names = pd.factorize(log.session[begins])  # numbered by first appearance
    items = pd.factorize(log.item)[0].astype(np.int32)
    lengths, last = runs, np.cumsum(runs) - 1
    if by_time or len(names) < len(begins):
        owner = np.repeat(number, runs)
        in_file_order = np.argsort(owner, kind="stable")
        lengths = np.bincount(owner)
        last = in_file_order[np.cumsum(lengths) - 1]
        time = log.time if log.order is None else log.order
        items = items[np.lexsort((time, owner)) if by_time else in_file_order]
    return DatedSessions(items, lengths, log.time[last] // 10**6, np.asarray(names))


def longer_than_one(sessions: DatedSessions) -> DatedSessions:
    """Drop sessions of one click."""
    return sessions.keep(sessions.lengths > 1)


def frequent_items(sessions: DatedSessions, least: int = 5, shortest: int = 2) -> DatedSessions:
    """Drop clicks on items with fewer than `least` clicks in all sessions, once: counts are not recomputed afterwards.

    Then drop sessions left with fewer than `shortest` clicks. Training and test sessions are not split yet.
    """
    return sessions.keep_clicks((np.bincount(sessions.items) >= least)[sessions.items], shortest)


def split_by_date(sessions: DatedSessions, seconds: int) -> tuple[DatedSessions, DatedSessions]:
    """Split into training and test sessions: the last day (YOOCHOOSE) or week (DIGINETICA) is the test set.

    Both comparisons are strict, to the second: a session dated exactly `seconds` before the latest one is in neither.
    """
    split = sessions.dates.max(initial=0) - seconds
    return sessions.keep(sessions.dates < split), sessions.keep(sessions.dates > split)


def known_items(test: DatedSessions, train: DatedSessions, shortest: int = 2) -> DatedSessions:
    """Drop test clicks on items that the full training set lacks: collaborative filtering cannot predict them.

    Then drop test sessions left with fewer than `shortest` clicks.
    """
    known = np.zeros(max(train.items.max(initial=-1), test.items.max(initial=-1)) + 1, dtype=bool)
    known[train.items] = True
    return test.keep_clicks(known[test.items], shortest)


def newest_prefixes(sessions: Sessions, keep: int) -> Sessions:
    """Keep the last `keep` of all prefixes in time order; a session on the boundary keeps its shortest ones.

    This makes the fractions 1/64 and 1/4 of YOOCHOOSE. Sessions must be in time order. Each lists its prefixes longest
    first, so removing the boundary session's longest prefixes means removing its last clicks.
    """
    examples = np.maximum(sessions.lengths - 1, 0)
    from_here_on = np.cumsum(examples[::-1])[::-1]  # prefixes of this session and all later ones
    if keep >= examples.sum():
        return sessions
    first = int(np.searchsorted(-from_here_on, -keep, side="right")) - 1  # the earliest session needed
    surplus = int(from_here_on[first]) - keep
    stops = sessions.stops[first:].copy()
    stops[0] -= surplus
    dates = None if sessions.dates is None else sessions.dates[first:]
    kept = Sessions(sessions.items, sessions.starts[first:], stops, sessions.n_items, dates=dates)
    return kept if kept.lengths[0] > 1 else kept.take(slice(1, None))


def sort_by_item(items: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Sort every session's clicks stably by order[item], as in DIGINETICA's raw file; return the items, (clicks,)."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return items[np.lexsort((order[items], owner))]


Flat = tuple[np.ndarray, np.ndarray]  # the items of all sessions, (clicks,), and their lengths, (sessions,)


def flat(sessions: list[list[int]]) -> Flat:
    """Return the items of all sessions, one after the other, and the sessions' lengths."""
    lengths = np.array([len(session) for session in sessions], np.int64)
    return np.fromiter((item for session in sessions for item in session), np.int64, int(lengths.sum())), lengths


def to_sessions(train: Flat, test: Flat) -> tuple[Sessions, Sessions]:
    """Make Sessions from training and test sessions of any item ids, numbering the items by first appearance."""
    train_items, test_items, n_items = number_items(train[0], test[0])
    return Sessions.packed(train_items, train[1], n_items), Sessions.packed(test_items, test[1], n_items)


def numbered_again(train: Sessions, test: Sessions) -> tuple[Sessions, Sessions]:
    """Pack the sessions' clicks one after the other and number anew the items that are left, by first appearance."""
    parts = to_sessions((train.clicks()[0], train.lengths), (test.clicks()[0], test.lengths))
    return replace(parts[0], dates=train.dates), replace(parts[1], dates=test.dates)
