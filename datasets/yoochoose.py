"""YOOCHOOSE: the click log of the RecSys Challenge 2015 (CC BY-NC-ND 4.0); the paper uses its newest 1/64 and 1/4.

The split is a day long: the test sessions are those of the log's last 24 hours. The fractions are counted in training
prefixes, and the test is the same for both: it was filtered by the full train, so 1/64 meets items in its test that
its own train lacks.
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
    fields=4,  # the last is the category
    columns={
        "session": Column(0, ("session_id", "sessionId"), parsers.integers, "an integer"),
        "date": Column(1, ("timestamp",), parsers.timestamps, "a time like 2014-04-07T10:51:09.277Z"),
        "item": Column(2, ("item_id", "itemId"), parsers.integers, "an integer"),
    },
)
FRACTION = {"yoochoose1_64": 64, "yoochoose1_4": 4}
# Training prefixes of the full log's fractions: int(n / 64) and int(n / 4) of n = 23,670,982.
KEEP = {"yoochoose1_64": 369_859, "yoochoose1_4": 5_917_745}


def read_log(file: Path) -> ClickLog:
    """The raw log. A session's rows are in time order as they stand."""
    columns = clicklog.read(file, FORMAT, RAW)
    return ClickLog(columns["session"], columns["item"], columns["date"], time=columns["date"])


def full_split(log: ClickLog) -> tuple[Sessions, Sessions]:
    """Train and test of the whole log by the paper's rules, in time order."""
    sessions = frequent_items(longer_than_one(sessions_of(log)))
    train, test = split_by_date(sessions, seconds=parsers.DAY)
    return train.sessions(), known_items(test, train).sessions()


def newest(train: Sessions, test: Sessions, fraction: int) -> tuple[Sessions, Sessions]:
    """The newest training prefixes, one in `fraction`, and the test."""
    prefixes = int((train.lengths - 1).sum())
    return numbered_again(newest_prefixes(train, prefixes // fraction), test)


def _split_raw(name: str, log: ClickLog, files: dict[str, str]) -> Split:
    return _split(name, *newest(*full_split(log), FRACTION[name]), "raw log", files)


def _split_processed(name: str, folder: Path) -> Split:
    """The processed files, the boundary session cut to the number of prefixes the paper trained on."""
    train_clicks, test_clicks, files = processed.read(folder)
    train, test = to_sessions(train_clicks, test_clicks)
    train, test = numbered_again(newest_prefixes(train, KEEP[name]), test)  # fewer items may be left
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
