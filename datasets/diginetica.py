"""DIGINETICA: the click log of the CIKM Cup 2016; the last week is the test.

The paper kept the clicks of a session in the order of the raw file's rows, which is no time order: rows are grouped by
item, and the items follow one global order. Later papers sort by timeframe. So there are two data sets: `diginetica`
(by time: the honest task) and `diginetica-file-order` (the paper's). From the raw log both are exact; the processed
files are sorted, and from them the file's order can only be emulated, by one fixed random order of the items.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from reproduce.paper import numbers
from reproduce.reading import clicklog, parsers, processed, split_cache
from reproduce.reading.clicklog import ClickLog, Column, Format
from reproduce.reading.preprocessing import (
    frequent_items,
    known_items,
    longer_than_one,
    numbered_again,
    sessions_of,
    sort_by_item,
    split_by_date,
    to_sessions,
)
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset

RAW = "train-item-views.csv"
FORMAT = Format(
    separator=";",
    fields=5,  # the second is the user
    columns={
        "session": Column(0, ("sessionId", "session_id"), parsers.integers, "an integer"),
        "item": Column(2, ("itemId", "item_id"), parsers.integers, "an integer"),
        "time": Column(3, ("timeframe",), parsers.integers, "milliseconds, an integer"),
        "date": Column(4, ("eventdate",), parsers.dates, "a date like 2016-05-09"),
    },
)
FOLDER = "diginetica"
BY_TIME, IN_FILE_ORDER = "diginetica", "diginetica-file-order"
EMULATION_SEED = 0  # ours: any fixed order of the items serves


def read_log(file: Path) -> ClickLog:
    """The raw log, its rows as they stand."""
    columns = clicklog.read(file, FORMAT, RAW)
    return ClickLog(columns["session"], columns["item"], columns["date"], columns["time"])


def full_split(log: ClickLog, *, by_time: bool) -> tuple[Sessions, Sessions]:
    """Train and test by the paper's rules. In both orders of clicks a session's date is its last row's in the file."""
    sessions = frequent_items(longer_than_one(sessions_of(log, by_time=by_time)))
    train, test = split_by_date(sessions, seconds=7 * parsers.DAY)
    return numbered_again(train.sessions(), known_items(test, train).sessions())


def _read_raw(name: str, file: Path) -> Split:
    train, test = full_split(read_log(file), by_time=name == BY_TIME)
    return _split(name, train, test, "raw log", {file.name: split_cache.sha256(file)})


def _read_processed(name: str, folder: Path) -> Split:
    train_clicks, test_clicks, files = processed.read(folder)
    if name == BY_TIME:
        return _split(name, *to_sessions(train_clicks, test_clicks), "processed files", files)
    order = np.random.default_rng(EMULATION_SEED).permutation(
        1 + max(int(train_clicks[0].max()), int(test_clicks[0].max()))
    )
    train, test = to_sessions(
        *((sort_by_item(items, lengths, order), lengths) for items, lengths in (train_clicks, test_clicks))
    )
    return _split(name, train, test, "processed files", files, emulated=True)


def _split(
    name: str, train: Sessions, test: Sessions, source: str, files: dict[str, str], *, emulated: bool = False
) -> Split:
    provenance = Provenance(
        source=source,
        order="time" if name == BY_TIME else "file",
        emulated=emulated,
        files=files,
        counts=count(train, test),
        published=numbers.TABLE1[numbers.PAPER_COLUMN[name]],
        note="file order emulated by one fixed random order of the items" if emulated else "",
    )
    return Split(name, train, test, provenance)


def find_log(data: Path) -> list[Path]:
    return clicklog.find(data, RAW)


def _find(data: Path) -> list[Path]:
    packed = clicklog.find_unreadable(data, RAW + ".7z", "train-item-views.7z")
    return find_log(data) or processed.find(data / FOLDER) or packed


def _read(name: str, data: Path) -> Split:
    files = _find(data)
    return _read_raw(name, files[0]) if len(files) == 1 else _read_processed(name, data / FOLDER)


def _dataset(name: str, title: str) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        find=_find,
        read=partial(_read, name),
        obtain=(
            f"the CIKM Cup 2016 Track 2 data (DIGINETICA, the Cup's terms): put {RAW}, or it as .gz or .zip, "
            f"into {{data}}/; or put the processed {processed.TRAIN} and {processed.TEST} that circulate with later "
            f"papers into {{data}}/{FOLDER}/"
        ),
        find_log=find_log,
        read_log=read_log,
    )


DATASETS = (
    _dataset(IN_FILE_ORDER, "DIGINETICA in file order (the paper's)"),
    _dataset(BY_TIME, "DIGINETICA by time"),
)
