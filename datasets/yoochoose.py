"""YOOCHOOSE: the click log of the RecSys Challenge 2015 (CC BY-NC-ND 4.0); the paper uses its newest 1/64 and 1/4.

The test sessions are those of the log's last 24 hours. The fractions are counted in training prefixes. Both have the
same test set, filtered by the full training set: that of 1/64 has items that its own training set lacks.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from reproduce.paper import numbers
from reproduce.reading import preprocessing as rules
from reproduce.reading import processed, split_cache, table
from reproduce.reading.columns import Form
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset, raw_log

RAW = "yoochoose-clicks.dat"
UNREADABLE = (f"{RAW}.7z", "yoochoose-clicks.7z", "yoochoose-data.7z")  # found in order to say so
FORM = Form(
    usual={"session": ("sessionid",), "time": ("timestamp",), "item": ("itemid",)},
    bare={"session": "1", "time": "2", "item": "3"},  # the fourth is the category, which is not read
    separator=",",
    unit="iso",
    whole=True,
    member=RAW,
)
FRACTION = {"yoochoose1_64": 64, "yoochoose1_4": 4}
# Training prefixes in each fraction: int(n / 64) and int(n / 4) of the full log's n = 23,670,982.
KEEP = {"yoochoose1_64": 369_859, "yoochoose1_4": 5_917_745}


def full_split(log: rules.ClickLog) -> tuple[Sessions, Sessions]:
    """Split the whole log into training and test sets by the paper's rules, with sessions in time order.

    The rows of a session are already in time order.
    """
    sessions = rules.sessions_of(log)
    del log  # 400 MB, which the caller need not hold either
    sessions = rules.frequent_items(rules.longer_than_one(sessions))
    train, test = rules.split_by_date(sessions, seconds=rules.DAY)
    return train.sessions(), rules.known_items(test, train).sessions()


def newest(train: Sessions, test: Sessions, fraction: int) -> tuple[Sessions, Sessions]:
    """Keep the newest 1/`fraction` of the training prefixes; return them and the test, with items numbered anew."""
    prefixes = int((train.lengths - 1).sum())
    return rules.numbered_again(rules.newest_prefixes(train, prefixes // fraction), test)


def _find(name: str, data: Path) -> list[Path]:
    return raw_log(data, RAW) or processed.find(data / name) or raw_log(data, *UNREADABLE)


def _read(name: str, data: Path) -> Split:
    """Read the raw log; or the processed files, and cut the boundary session to the paper's number of prefixes."""
    files = _find(name, data)
    if len(files) == 1:
        source, hashes = "raw log", {files[0].name: split_cache.sha256(files[0])}
        train, test = newest(*full_split(table.read(files, FORM)), FRACTION[name])
    else:
        source = "processed files"
        *parts, hashes = processed.read(data / name)
        train, test = rules.to_sessions(*parts)
        train = rules.newest_prefixes(train, KEEP[name])
        train, test = rules.numbered_again(train, test)  # the cut may leave fewer items
    counts = count(train, test, items_without_labels=True)
    published = numbers.TABLE1[numbers.PAPER_COLUMN[name]]
    return Split(name, train, test, Provenance(source, files=hashes, counts=counts, published=published))


DATASETS = tuple(
    Dataset(
        name,
        title,
        find=partial(_find, name),
        read=partial(_read, name),
        obtain=processed.OBTAIN.format("the RecSys Challenge 2015 click log (YOOCHOOSE, CC BY-NC-ND 4.0)", RAW, name),
        raw=(RAW,),
        form=FORM,
    )
    for name, title in (("yoochoose1_64", "YOOCHOOSE 1/64"), ("yoochoose1_4", "YOOCHOOSE 1/4"))
)
