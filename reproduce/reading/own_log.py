"""Make a split from a user's own table of clicks by the paper's rules, in the paper's order; `Rules` has the options.

    rows -> sessions (clicks by time) -> of two clicks or more -> items of five clicks or more -> train | test by the
    sessions' ends -> test without items that train lacks

A session's clicks may be anywhere in the file. The paper dates a session by its last row; here it is dated by its
latest click, which is the same if the log is in time order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reproduce.errors import InputError, UsageError
from reproduce.reading import own_columns, own_table, split_cache
from reproduce.reading.clicklog import ClickLog
from reproduce.reading.own_table import Table
from reproduce.reading.own_times import UNITS
from reproduce.reading.preprocessing import (
    DatedSessions,
    frequent_items,
    known_items,
    numbered_again,
    sessions_of,
    split_by_date,
)
from reproduce.reading.sessions import Provenance, Sessions, Split, count

DAY = 86_400
SPANS = {"s": 1, "m": 60, "h": 3_600, "d": DAY}


@dataclass(frozen=True)
class Rules:
    """How to read, cut, filter and split a log. The defaults are those of the paper for YOOCHOOSE."""

    columns: Mapping[str, str] = field(default_factory=dict)  # session, user, item or time -> column name
    gap: int | None = None  # a user's next session begins after more than this many seconds without a click
    time_unit: str | None = None  # of numeric times: s, ms or us; None: inferred from their size
    test_days: int = 1  # sessions that end in the last test_days days are the test
    test_share: float | None = None  # instead: this share of the sessions, those that end last, is the test
    min_support: int = 5  # fewest clicks of an item that is kept
    min_length: int = 2  # fewest clicks of a session that is kept

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rules:
        """Make the rules from options, given as text or as plain values.

        Raises:
            UsageError: an option is wrong; it names the option.
        """
        values: dict[str, Any] = {}
        if given.get("columns"):
            values["columns"] = _columns(given["columns"])
        if given.get("gap") is not None:
            values["gap"] = _seconds(str(given["gap"]))
        if given.get("time_unit") is not None:
            if given["time_unit"] not in UNITS:
                raise UsageError(f"--time-unit {given['time_unit']}: there is: {', '.join(UNITS)}")
            values["time_unit"] = given["time_unit"]
        for key, low in (("test_days", 1), ("min_support", 1), ("min_length", 2)):
            if given.get(key) is not None:
                values[key] = _whole(key, given[key], low)
        if given.get("test_share") is not None:
            if given.get("test_days") is not None:
                raise UsageError("--test-days and --test-share: only one of them can say what the test is")
            values["test_share"] = _share(given["test_share"])
        return cls(**values)

    def __str__(self) -> str:
        """The rules that shape the split, as part of its digest; column names and the unit of times are left out."""
        test = f"test_days={self.test_days}" if self.test_share is None else f"test_share={self.test_share:g}"
        gap = "" if self.gap is None else f" gap={self.gap}"
        return f"{test} min_support={self.min_support} min_length={self.min_length}{gap}"


def read(name: str, file: Path, rules: Rules) -> Split:
    """Read a table of clicks and split it.

    Raises:
        InputError: the file is absent or broken, a row is malformed, or the rules leave no training or test session.
        UsageError: the columns that the user names do not fit the table.
    """
    choose = partial(_choose, rules)
    table = own_table.read(file, choose, rules.time_unit)
    session = table.owner if rules.gap is None else cut(table.owner, table.time, rules.gap)
    train, test, ends = split_table(session, table, rules)
    _check(train, test, file, rules)
    before = np.concatenate([train.clicks()[0], test.clicks()[0]])
    train, test = numbered_again(train, test)
    vocabulary = np.empty(train.n_items, dtype=object)
    vocabulary[np.concatenate([train.clicks()[0], test.clicks()[0]])] = np.array(table.items, dtype=object)[before]
    provenance = Provenance(
        source="own log",
        order="time",
        emulated=False,
        files={file.name: split_cache.sha256(file)},
        counts=count(train, test),
        note=_told(table, session, rules, ends),
        rules=str(rules),
    )
    return Split(name, train, test, provenance, vocabulary)


def _choose(rules: Rules, header: list[str], where: str) -> dict[str, int]:
    return own_columns.recognised(header, rules.columns, rules.gap is not None, where)


def cut(user: np.ndarray, time: np.ndarray, gap: int) -> np.ndarray:
    """Cut sessions from a log that has none: a user's next one begins after more than `gap` seconds without a click.

    Args:
        user: (rows,) numbers from 0.
        time: (rows,) microseconds.
        gap: seconds.

    Returns:
        The session number of every row, (rows,).
    """
    order = np.lexsort((time, user))
    begins = (np.diff(user[order], prepend=-1) != 0) | (np.diff(time[order], prepend=time[:1]) > gap * 10**6)
    session = np.empty(len(user), np.int64)
    session[order] = np.cumsum(begins) - 1
    return session


def split_table(session: np.ndarray, table: Table, rules: Rules) -> tuple[Sessions, Sessions, int]:
    """Return train and test, with the item numbers of the table, and how many sessions are in neither part."""
    log = ClickLog(session, table.item, table.time // 10**6, table.time)
    sessions = sessions_of(log, by_time=True)
    number, names = pd.factorize(session)
    ends = np.zeros(len(names), np.int64)
    np.maximum.at(ends, number, log.date)
    sessions = DatedSessions(sessions.items, sessions.lengths, ends)
    sessions = sessions.keep(sessions.lengths >= rules.min_length)
    sessions = frequent_items(sessions, rules.min_support, rules.min_length)
    if rules.test_share is None:
        train, test = split_by_date(sessions, rules.test_days * DAY)
    else:
        train, test = newest_share(sessions, rules.test_share)
    neither = len(sessions) - len(train) - len(test)
    return train.sessions(), known_items(test, train, rules.min_length).sessions(), neither


def newest_share(sessions: DatedSessions, share: float) -> tuple[DatedSessions, DatedSessions]:
    """Split into train and test: of n sessions, the round(n * share) that end last, at least one, are the test.

    Sessions that end in the same second as the first of these also go to the test, so it may hold a few more.
    """
    if not len(sessions):
        return sessions, sessions
    n = max(round(len(sessions) * share), 1)
    first = np.sort(sessions.dates)[-n]
    return sessions.keep(sessions.dates < first), sessions.keep(sessions.dates >= first)


def _check(train: Sessions, test: Sessions, file: Path, rules: Rules) -> None:
    """Raise InputError, naming the rules, if they leave no training or no test session."""
    for part, sessions in (("training", train), ("test", test)):
        if not len(sessions):
            raise InputError(
                f"{file}: no {part} session is left by the rules {rules}; choose others with --test-days or "
                "--test-share, --min-support, --min-length"
            )


def _told(table: Table, session: np.ndarray, rules: Rules, neither: int) -> str:
    """Describe, for the foot of a page, what was recognised and the rules in words."""
    shown = [f"{role} {_short(name)}" for role, name in table.names.items()]
    parts = [f"columns: {', '.join(shown)}", f"times: {table.times}"]
    if rules.gap is not None:
        parts.append(f"sessions cut after {rules.gap:,} seconds without a click")
    test = f"the last {rules.test_days} day{'s' * (rules.test_days > 1)}"
    parts.append(f"test: {test if rules.test_share is None else f'the {rules.test_share:.4g} that end last'}")
    parts.append(f"items of {rules.min_support} clicks or more, sessions of {rules.min_length} or more")
    if neither:
        parts.append(f"{neither:,} sessions that end on the second of the border are in neither part")
    rows = pd.DataFrame({"session": session, "item": table.item, "time": table.time})
    again = int(rows.duplicated().sum())
    if again:
        parts.append(f"{again:,} rows equal another in session, item and time and were kept")
    return "; ".join(parts)


def _short(name: str) -> str:
    shown = repr(name)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _columns(given: Any) -> dict[str, str]:
    pairs = given.items() if isinstance(given, Mapping) else (str(word).partition("=")[::2] for word in given)
    columns = {str(role): str(name) for role, name in pairs}
    for role, name in columns.items():
        if role not in own_columns.USUAL or not name:
            raise UsageError(f"--columns {role}={name}: expected ROLE=NAME, ROLE one of {', '.join(own_columns.USUAL)}")
    return columns


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found or not int(found[1]):
        raise UsageError(f"--gap {text}: expected a number and s, m, h or d, such as 30m")
    return int(found[1]) * SPANS[found[2]]


def _whole(key: str, value: Any, low: int) -> int:
    text = str(value)
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < low:
        raise UsageError(f"--{key.replace('_', '-')} {text}: expected a whole number from {low} on")
    return int(text)


def _share(value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"--test-share {value}: expected a number between 0 and 1, such as 0.1")
    return share
