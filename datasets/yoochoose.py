"""YOOCHOOSE: the click log of the RecSys Challenge 2015 (CC BY-NC-ND 4.0); the paper uses its newest 1/64 and 1/4.

The test sessions are those of the log's last 24 hours. The fractions are counted in training prefixes, and both have
the same test: it was filtered by the full train, so the test of 1/64 has items that its own train lacks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from reproduce.paper import numbers
from reproduce.reading import clicklog, parsers, processed
from reproduce.reading.clicklog import ClickLog, Column, Format
from reproduce.reading.either import TwoForms
from reproduce.reading.preprocessing import (
    frequent_items,
    known_items,
    longer_than_one,
    newest_prefixes,
    numbered_again,
    sessions_of,
    split_by_date,
    to_sessions,
)
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset

RAW = "yoochoose-clicks.dat"
FORMAT = Format(
    separator=",",
    fields=4,  # the last is the category, which is not read
    columns={
        "session": Column(0, ("session_id", "sessionId"), parsers.integers, "an integer"),
        "date": Column(1, ("timestamp",), parsers.timestamps, "a time like 2014-04-07T10:51:09.277Z"),
        "item": Column(2, ("item_id", "itemId"), parsers.integers, "an integer"),
    },
)
FRACTION = {"yoochoose1_64": 64, "yoochoose1_4": 4}
# Training prefixes in each fraction: int(n / 64) and int(n / 4) of the full log's n = 23,670,982.
KEEP = {"yoochoose1_64": 369_859, "yoochoose1_4": 5_917_745}


def read_log(file: Path) -> ClickLog:
    """Read the raw log, in which the rows of a session are already in time order."""
    columns = clicklog.read(file, FORMAT, RAW)
    return ClickLog(columns["session"], columns["item"], columns["date"], time=columns["date"])


def full_split(log: ClickLog) -> tuple[Sessions, Sessions]:
    """Split the whole log into train and test by the paper's rules, with sessions in time order."""
    sessions = frequent_items(longer_than_one(sessions_of(log)))
    train, test = split_by_date(sessions, seconds=parsers.DAY)
    return train.sessions(), known_items(test, train).sessions()


def newest(train: Sessions, test: Sessions, fraction: int) -> tuple[Sessions, Sessions]:
    """Keep the newest 1/`fraction` of the training prefixes; return them and the test, with items numbered anew."""
    prefixes = int((train.lengths - 1).sum())
    return numbered_again(newest_prefixes(train, prefixes // fraction), test)


def _split_raw(name: str, log: ClickLog, files: dict[str, str]) -> Split:
    return _split(name, *newest(*full_split(log), FRACTION[name]), "raw log", files)


def _split_processed(name: str, folder: Path) -> Split:
    """Read the processed files, and cut the boundary session so that train has the paper's number of prefixes."""
    train_clicks, test_clicks, files = processed.read(folder)
    train, test = to_sessions(train_clicks, test_clicks)
    train, test = numbered_again(newest_prefixes(train, KEEP[name]), test)  # the cut may leave fewer items
    return _split(name, train, test, "processed files", files)


def _split(name: str, train: Sessions, test: Sessions, source: str, files: dict[str, str]) -> Split:
    provenance = Provenance(
        source=source,
        order="time",
        emulated=False,
        files=files,
        counts=count(train, test, items_without_labels=True),
        published=numbers.TABLE1[numbers.PAPER_COLUMN[name]],
    )
    return Split(name, train, test, provenance)


def _dataset(name: str, title: str) -> Dataset:
    forms = TwoForms(
        name,
        RAW,
        archives=(RAW + ".7z", "yoochoose-clicks.7z", "yoochoose-data.7z"),
        folder=name,
        read_log=read_log,
        split_raw=partial(_split_raw, name),
        split_processed=partial(_split_processed, name),
    )
    return forms.dataset(title, "the RecSys Challenge 2015 click log (YOOCHOOSE, CC BY-NC-ND 4.0)")


DATASETS = (
    _dataset("yoochoose1_64", "YOOCHOOSE 1/64"),
    _dataset("yoochoose1_4", "YOOCHOOSE 1/4"),
)
