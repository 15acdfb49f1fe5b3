"""Make a split from a user's own table of clicks by the paper's rules, in the paper's order; `Rules` has the options.

    rows -> sessions (clicks by time) -> of two clicks or more -> items of five clicks or more -> train | test by the
    sessions' ends -> test without items that training lacks

A session's clicks may be anywhere in the file. The paper dates a session by its last row; here it is dated by its
latest click, which is the same if the log is in time order.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reproduce.errors import InputError, UsageError, in_a_line
from reproduce.reading import content, preprocessing, split_cache, table
from reproduce.reading.columns import MISSING, ROLES, Form
from reproduce.reading.preprocessing import DAY, ClickLog, DatedSessions
from reproduce.reading.sessions import Provenance, Split, count
from reproduce.reading.table import ENDINGS
from reproduce.reading.times import PER_SECOND

LONG = 1_000  # characters of --where from which on records have its checksum
SPANS = {"s": 1, "m": 60, "h": 3_600, "d": DAY}


def _seconds(span: str) -> int:
    return int(span[:-1]) * SPANS[span[-1]]


# Of each option that is a word: a pattern for it, the same in words, and what makes its value.
WORDS: Mapping[str, tuple[str, str, Callable[[str], Any]]] = {
    "gap": ("0*[1-9][0-9]{0,5}[smhd]", "a number and s, m, h or d, such as 30m", _seconds),
    "time_unit": ("|".join(PER_SECOND), f"one of {', '.join(PER_SECOND)}", str),
    "time_format": (".*%.*", "a form such as %d.%m.%Y, as in strptime", str),
    "test": (".+", "a file", str),
    "test_share": (r"0?\.[0-9]*[1-9][0-9]*", "a number between 0 and 1, such as 0.1", float),
    **dict.fromkeys(("test_days", "min_support"), ("[1-9][0-9]{0,8}", "a whole number from 1 on", int)),
    **dict.fromkeys(("newest", "min_length", "max_length"), ("[2-9]|[1-9][0-9]{1,8}", "a whole number from 2 on", int)),
}


@dataclass(frozen=True)
class Rules:
    """How to read, cut, filter and split a log. The defaults are those of the paper for YOOCHOOSE."""

    columns: Mapping[str, str] = field(default_factory=dict)  # session, user, item, time, order -> column
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column -> values of the rows to read
    missing: frozenset[str] = MISSING  # words that stand for a missing value
    gap: int | None = None  # a user's next session begins after more than this many seconds without a click
    time_unit: str | None = None  # of numeric times; None: inferred from their size
    time_format: str | None = None  # of other times, as in strptime
    test: str | None = None  # a second table, which holds the test sessions
    test_days: int = 1  # else: sessions that end in the last test_days days are the test
    test_share: float | None = None  # else: this share of the sessions, those that end last, is the test
    newest: int | None = None  # keep only so many sessions, those that end last
    min_support: int | None = None  # fewest clicks of an item that is kept; 5, or with `test` 1
    min_length: int = 2  # fewest clicks of a session that is kept
    max_length: int | None = None  # most clicks of a session that is kept

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rules:
        """Make the rules from options, given as text or as plain values. Raises UsageError, which names the option."""
        values = {key: value for key, value in given.items() if value is not None}
        if unknown := sorted(values.keys() - set(OPTIONS)):
            raise UsageError(f"unknown rule {in_a_line(str(unknown[0]))}; available: {', '.join(OPTIONS)}")
        for key, (pattern, expected, value_of) in WORDS.items():
            if key in values:
                text = str(values[key])
                if not isinstance(values[key], str | int | float) or not re.fullmatch(pattern, text):
                    raise UsageError(f"--{key.replace('_', '-')} {in_a_line(text)}: expected {expected}")
                values[key] = value_of(text)
        for key in {"columns", "where", "missing"} & values.keys():
            values[key] = [values[key]] if isinstance(values[key], str) else values[key]
            if not isinstance(values[key], list | tuple | frozenset | Mapping):
                raise UsageError(f"--{key}: expected a list, not {in_a_line(str(values[key]))}")
        columns = _pairs("columns", values.pop("columns", []))
        for role, names in columns.items():
            if role not in ROLES:
                raise UsageError(f"--columns {role}={names[0]}: expected ROLE=NAME, ROLE one of {', '.join(ROLES)}")
            if len(names) > 1:
                raise UsageError(f"--columns {role}: named twice, as {' and '.join(names)}")
            if other := [key for key in columns if key != role and columns[key] == names]:
                raise UsageError(f"--columns {role}={names[0]} {other[0]}={names[0]}: one column for two roles")
        where = _pairs("where", values.pop("where", []))
        if "missing" in values:
            values["missing"] = frozenset({"", *values["missing"]})
        if len(tests := [key for key in ("test_days", "test_share", "test") if key in values]) > 1:
            options = " and ".join(f"--{key.replace('_', '-')}" for key in tests)
            raise UsageError(f"{options}: only one of them can say what the test is")
        return cls(columns={role: names[0] for role, names in columns.items()}, where=where, **values)

    @property
    def support(self) -> int:
        return self.min_support or (5 if self.test is None else 1)

    def __str__(self) -> str:
        """The rules that shape the split, as part of its digest; how the log is read is left out."""
        test = f"test_days={self.test_days}" if self.test_share is None else f"test_share={self.test_share:g}"
        words = ["test=given" if self.test else test, f"min_support={self.support}", f"min_length={self.min_length}"]
        words += [f"{key}={value}" for key in ("gap", "max_length", "newest") if (value := getattr(self, key))]
        where = " ".join(f"where {name}={'|'.join(values)}" for name, values in sorted(self.where.items()))
        if len(where) > LONG:
            where = f"where sha256={hashlib.sha256(where.encode()).hexdigest()}"
        return " ".join([*words, where]).strip()


OPTIONS = tuple(option.name for option in fields(Rules))


def _pairs(option: str, given: Any) -> dict[str, list[str]]:
    """Read KEY=VALUE words, or a mapping, into the values of each key."""
    mapped = isinstance(given, Mapping)
    words = given.items() if mapped else [str(word).partition("=")[::2] for word in given]
    pairs: dict[str, list[str]] = {}
    for key, value in words:
        values = list(map(str, value)) if isinstance(value, list | tuple) else [str(value)]
        if not key or not all(values):
            expected = "ROLE=NAME" if option == "columns" else "NAME=VALUE"
            raise UsageError(f"--{option} {key}={value}: expected {expected}")
        pairs.setdefault(str(key), []).extend(values)
    return pairs


def read(name: str, source: Any, rules: Rules = Rules()) -> Split:
    """Read a table of clicks and split it.

    Args:
        source: a file, a folder, a pattern, a list of files, or a data frame of pandas or polars.

    Raises:
        InputError: the source is absent or broken, a row is malformed, or the rules leave no training or test session.
        UsageError: the columns that the user names do not fit the table.
    """
    form = Form(rules.columns, rules.where, rules.gap is not None, rules.time_unit, rules.time_format, rules.missing)
    framed = not isinstance(source, str | Path | list | tuple)
    sources = [] if framed else content.parts(source, ENDINGS)
    tests = [] if rules.test is None else content.parts(rules.test, ENDINGS)
    log = table.read([*([source] if framed else sources), *tests], form)
    session, ids = (log.session, log.session_ids) if rules.gap is None else cut(log, rules.gap)
    n_train = sum(log.of_file[: len(log.of_file) - len(tests)])
    if tests:  # a session that occurs in both files is two
        session = np.concatenate([session[:n_train], session[n_train:] + len(ids)])
        ids = np.concatenate([ids, ids])
    number, _ = pd.factorize(session)
    by_time = np.lexsort((log.time, number) if log.order is None else (log.order, log.time, number))
    order = None if log.order is None else log.order[by_time]
    rows = replace(log, session=session[by_time], item=log.item[by_time], time=log.time[by_time], order=order)
    parts, notes = split(preprocessing.sessions_of(rows), rules, session[n_train:] if tests else None)
    train, test = preprocessing.numbered_again(*(part.sessions() for part in parts))
    for part, sessions in (("training", train), ("test", test)):
        if not len(sessions):
            raise InputError(
                f"{name if framed else source}: no {part} session is left by the rules {rules}; choose others with "
                "--test-days or --test-share, --min-support, --min-length"
            )
    if len(test) == 1:
        warnings.warn(f"{name}: the test is a single session; choose --test-days or --test-share", stacklevel=2)
    vocabulary, items = np.empty(train.n_items, dtype=object), log.item_ids[pd.unique(rows.item)]
    for dated, sessions in zip(parts, (train, test), strict=True):
        vocabulary[sessions.clicks()[0]] = items[dated.sessions().clicks()[0]]
    ties, of_ties = _ties(rows)
    provenance = Provenance(
        "own log", files={file.name: split_cache.sha256(file) for file in [*sources, *tests]},
        counts=count(train, test), note="; ".join([*_recognised(log, rules), *notes, *of_ties]), rules=str(rules),
        ties=ties,
    )  # fmt: skip
    test_sessions = ids[parts[1].numbers[np.argsort(parts[1].dates, kind="stable")]]
    return Split(name, train, test, provenance, vocabulary, test_sessions)


def cut(log: ClickLog, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut sessions from a log that has none: a user's next one begins after more than `gap` seconds without a click.

    Returns the session number of every row, (rows,), and an id for each number, such as u#2 for the second of user u.
    """
    order = np.lexsort((log.time, log.session))
    user, time = log.session[order], log.time[order]
    other = np.diff(user, prepend=-1) != 0
    begins = other | (np.diff(time, prepend=time[:1]) > gap * 10**6)
    session = np.empty(len(user), np.int64)
    session[order] = np.cumsum(begins) - 1
    first = np.maximum.accumulate(np.where(other, np.cumsum(begins), 0))[begins]  # the user's first session, from 1
    nth = np.arange(1, len(first) + 1) - first + 1
    return session, np.array([f"{log.session_ids[i]}#{n}" for i, n in zip(user[begins], nth, strict=True)], object)


def split(
    sessions: DatedSessions, rules: Rules, given: np.ndarray | None = None
) -> tuple[tuple[DatedSessions, DatedSessions], list[str]]:
    """Return the training and the test sessions (those numbered in `given`, if that is there), and what is left out."""
    long = sessions.lengths > (rules.max_length or sessions.lengths.max(initial=0))
    kept = sessions.keep((sessions.lengths >= rules.min_length) & ~long)
    if rules.newest is not None:
        newest = np.zeros(len(kept), bool)
        newest[np.argsort(kept.dates, kind="stable")[-rules.newest :]] = True
        kept = kept.keep(newest)
    kept = preprocessing.frequent_items(kept, rules.support, rules.min_length)
    if given is not None:
        is_test = np.isin(kept.numbers, given)
        train, test = kept.keep(~is_test), kept.keep(is_test)
    elif rules.test_share is not None:
        train, test = newest_share(kept, rules.test_share)
    else:
        train, test = preprocessing.split_by_date(kept, rules.test_days * DAY)
    notes = [f"{long.sum():,} sessions of more than {rules.max_length} clicks are left out"] if long.any() else []
    if neither := len(kept) - len(train) - len(test):
        notes.append(f"{neither:,} sessions that end on the second of the border are in neither part")
    return (train, preprocessing.known_items(test, train, rules.min_length)), notes


def newest_share(sessions: DatedSessions, share: float) -> tuple[DatedSessions, DatedSessions]:
    """Split into training and test: of n sessions, the round(n * share) that end last, at least one, are the test.

    Sessions that end in the same second as the first of these also go to the test, so it may hold a few more.
    """
    if not len(sessions):
        return sessions, sessions
    first = np.sort(sessions.dates)[-max(round(len(sessions) * share), 1)]
    return sessions.keep(sessions.dates < first), sessions.keep(sessions.dates >= first)


def _ties(rows: ClickLog) -> tuple[float, list[str]]:
    """Return, of rows by session and time, the share of neighbours whose order the file decides, and what to say."""
    inside = np.diff(rows.session) == 0
    same = inside & (np.diff(rows.time) == 0)
    beside = np.append(same, False) | np.insert(same, 0, False)
    tied = pd.DataFrame({"session": rows.session, "time": rows.time, "item": rows.item})[beside]
    again = int(tied.duplicated().sum())
    notes = [f"{again:,} rows equal another in session, item and time and were kept"] if again else []
    what, remedy = "time", " (--columns order=NAME names a column that decides)"
    if rows.order is not None:
        same &= np.diff(rows.order) == 0
        what, remedy = "time and order", ""
    if not same.any():
        return 0.0, notes
    share = float(same.sum() / inside.sum())
    said = f"{same.sum():,} of {inside.sum():,} neighbouring clicks ({share:.1%}) have the same {what}"
    return round(share, 6), [*notes, f"{said}, and the order of the file decides{remedy}"]


def _recognised(log: ClickLog, rules: Rules) -> list[str]:
    """Describe, for the foot of a page, what was recognised and the rules in words."""
    columns = ", ".join(f"{role} {name!r:.60}" for role, name in log.names.items())
    said = [f"columns: {columns}", f"times: {log.times}"]
    if log.events:
        kinds = f"{', '.join(log.events[:-1])} and {log.events[-1]}"
        said.append(f"{kinds} all count as clicks (--where {log.names['event']}={log.events[-1]} reads these alone)")
    if rules.where:
        chosen = ", ".join(f"{name}={'|'.join(values)}" for name, values in rules.where.items())
        chosen = chosen if len(chosen) <= 300 else f"{chosen[:297]}..."
        said.append(f"only rows with {chosen}, {log.left_out:,} others left out")
    if rules.gap is not None:
        said.append(f"sessions cut after {rules.gap:,} seconds without a click")
    if rules.newest is not None:
        said.append(f"only the newest {rules.newest:,} sessions")
    test = f"the last {rules.test_days} day{'s' * (rules.test_days > 1)}"
    if rules.test_share is not None:
        test = f"the {rules.test_share:.4g} that end last"
    test = test if rules.test is None else "the given file"
    return [*said, f"test: {test}", f"items of {rules.support} clicks or more, sessions of {rules.min_length} or more"]
