"""YOOCHOOSE: the click log of the RecSys Challenge 2015 (CC BY-NC-ND 4.0); the paper uses its newest 1/64 and 1/4.

The split is a day long: the test sessions are those of the log's last 24 hours. The fractions are counted in training
prefixes, and the test is the same for both: it was filtered by the full train, so 1/64 meets items in its test that
its own train lacks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from reproduce.paper import numbers
from reproduce.reading import clicklog, parsers, processed, split_cache
from reproduce.reading.clicklog import ClickLog, Column, Format
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


def _read_raw(name: str, file: Path) -> Split:
    train, test = newest(*full_split(read_log(file)), FRACTION[name])
    return _split(name, train, test, "raw log", {file.name: split_cache.sha256(file)})


def _read_processed(name: str, folder: Path) -> Split:
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


def find_log(data: Path) -> list[Path]:
    return clicklog.find(data, RAW)


def _find(name: str, data: Path) -> list[Path]:
    packed = clicklog.find_unreadable(data, RAW + ".7z", "yoochoose-clicks.7z", "yoochoose-data.7z")
    return find_log(data) or processed.find(data / name) or packed


def _read(name: str, data: Path) -> Split:
    files = _find(name, data)
    return _read_raw(name, files[0]) if len(files) == 1 else _read_processed(name, data / name)


def _dataset(name: str, title: str) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        find=partial(_find, name),
        read=partial(_read, name),
        obtain=(
            f"the RecSys Challenge 2015 click log (YOOCHOOSE, CC BY-NC-ND 4.0): put {RAW}, or it as .gz or .zip, "
            f"into {{data}}/; or put the processed {processed.TRAIN} and {processed.TEST} that circulate with later "
            f"papers into {{data}}/{name}/"
        ),
        find_log=find_log,
        read_log=read_log,
    )


DATASETS = (
    _dataset("yoochoose1_64", "YOOCHOOSE 1/64"),
    _dataset("yoochoose1_4", "YOOCHOOSE 1/4"),
)
