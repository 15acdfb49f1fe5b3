"""DIGINETICA: the click log of the CIKM Cup 2016; the last week is the test.

The paper kept the clicks of a session in the order of the raw file's rows, which is not the order of time: rows are
grouped by item, and the items follow one order throughout the file. Later papers sort by timeframe. So there are two
data sets: `diginetica` (by time) and `diginetica-file-order` (the paper's). Both are exact when read
from the raw log.

The processed files are sorted by time, so the order of the raw file is lost. This much is known of it: the public code
of STAMP (github.com/uestcnlp/STAMP) includes the output of a run that prints all 15,963 test sessions with the raw item
ids in file order. Of the pairs of adjacent items of one category in these sessions, 39,518 of 39,524 are in the order
of the Cup's product-categories.csv, and so are all 5,575 in a sample of the raw log. Across categories the sessions
agree with each other (20 of 136,094 pairs occur in both directions) but not with that list. So the order is that of a
catalogue with similar products near each other, and the list is the same order grouped by category. The order favours
neither popular nor rare items (rank correlation 0.03).

If item_order.txt lies beside the processed files, sessions are sorted by the order of items it gives: a reconstruction
of the raw file's order. The project's own file was made from the sessions above. Items that occur in test (21,038 of
43,097, 69 % of the clicks in train) are in a topological order of their pairs, which keeps 98.8 % of the pairs; every
other item is at the mean place of the items it is clicked with. Without the file, the order is emulated by one fixed
random order of the items, in which similar products are not near each other; the audit page shows how much that
matters.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.paper import numbers
from reproduce.reading import processed, split_cache, table
from reproduce.reading.columns import Form
from reproduce.reading.preprocessing import (
    DAY,
    ClickLog,
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
from reproduce.reading.source import Dataset, raw_log

RAW = "train-item-views.csv"
FORM = Form(
    usual={"session": ("sessionid",), "item": ("itemid",), "order": ("timeframe",), "time": ("eventdate",)},
    bare={"session": "1", "item": "3", "order": "4", "time": "5"},  # the second is the user, who is not read
    separator=";",
    unit="iso",
    whole=True,
    member=RAW,
)
FOLDER = "diginetica"
BY_TIME, IN_FILE_ORDER = "diginetica", "diginetica-file-order"
ORDER = "item_order.txt"  # beside the processed files: their items in the raw file's order, one per line
MAX_NUMBER = 10_000_000  # the largest item number that may decide the size of an array
EMULATION_SEED = 0  # ours: any fixed order of the items would do


def read_log(file: Path) -> ClickLog:
    """Read the raw log, with its rows in file order; their time is the timeframe, in milliseconds."""
    log = table.read([file], FORM)
    assert log.order is not None
    return ClickLog(log.owner, log.item, log.time // 10**6, log.order)


def full_split(log: ClickLog, *, by_time: bool) -> tuple[Sessions, Sessions]:
    """Split the log into train and test by the paper's rules.

    In either order of clicks, a session has the date of its last row in the file.
    """
    sessions = frequent_items(longer_than_one(sessions_of(log, by_time=by_time)))
    train, test = split_by_date(sessions, seconds=7 * DAY)
    return numbered_again(train.sessions(), known_items(test, train).sessions())


def _find_log(data: Path) -> list[Path]:
    return raw_log(data, RAW)


def _find(name: str, data: Path) -> list[Path]:
    folder = data / FOLDER
    if files := _find_log(data) or processed.find(folder):
        return files + [folder / ORDER] * (len(files) > 1 and name == IN_FILE_ORDER and (folder / ORDER).exists())
    return raw_log(data, f"{RAW}.7z", "train-item-views.7z")  # found in order to say that it is not read


def _read(name: str, data: Path) -> Split:
    if len(files := _find(name, data)) == 1:
        parts = full_split(read_log(files[0]), by_time=name == BY_TIME)
        return _split(name, *parts, "raw log", {files[0].name: split_cache.sha256(files[0])})
    return _split_processed(name, data / FOLDER)


def _split_processed(name: str, folder: Path) -> Split:
    train_clicks, test_clicks, files = processed.read(folder)
    if name == BY_TIME:
        return _split(name, *to_sessions(train_clicks, test_clicks), "processed files", files)
    items = np.union1d(train_clicks[0], test_clicks[0])
    file = folder / ORDER
    if reconstructed := file.exists():
        places, files[ORDER] = read_order(file, items)
        note = f"the items come as in {ORDER}, a reconstruction of the raw file's order"
    else:
        places = _random_places(items)
        note = "file order emulated by one fixed random order of the items"
    train, test = to_sessions(
        *(
            (sort_by_item(np.searchsorted(items, clicks), lengths, places), lengths)
            for clicks, lengths in (train_clicks, test_clicks)
        )
    )
    return _split(name, train, test, "processed files", files, note, reconstructed=reconstructed)


def _random_places(items: np.ndarray) -> np.ndarray:
    """Give each item its place in one fixed random order of the items, (len(items),).

    All numbers up to the greatest item are permuted: DIGINETICA's are below a million. If there are items from
    MAX_NUMBER on, only the items themselves are permuted.
    """
    rng = np.random.default_rng(EMULATION_SEED)
    if items[-1] < MAX_NUMBER:
        return rng.permutation(1 + int(items[-1]))[items]
    return rng.permutation(len(items))


def read_order(file: Path, items: np.ndarray) -> tuple[np.ndarray, str]:
    """Read each item's place in the raw file from item_order.txt; also return the sha256 of that file.

    Args:
        items: all items of the processed files, each once and sorted.

    Returns:
        The places, (len(items),), in the order of `items`, and the sha256.

    Raises:
        InputError: the file cannot be read, or does not list every item once and nothing else; it names the line.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); {_REMEDY}") from error
    line_of: dict[int, int] = {}
    known = set(items.tolist())
    for line, text in enumerate(content.splitlines(), start=1):
        if not text.isdigit() or len(text) > 18:
            raise _misfit(
                file, line, f"found {text[:40].decode('ascii', 'backslashreplace')!r}, expected an item number"
            )
        item = int(text)
        if item in line_of:
            raise _misfit(file, line, f"item {item} stands in line {line_of[item]} already")
        if item not in known:
            raise _misfit(file, line, f"item {item} is in neither {processed.TRAIN} nor {processed.TEST}")
        line_of[item] = line
    if missing := sorted(known - line_of.keys()):
        told = f"the file ends without item {missing[0]}" + f" and {len(missing) - 1:,} more" * (len(missing) > 1)
        raise _misfit(file, len(line_of) + 1, told)
    places = np.zeros(len(items), dtype=np.int64)
    places[np.searchsorted(items, list(line_of))] = list(line_of.values())
    return places, hashlib.sha256(content).hexdigest()


_REMEDY = (
    f"put a file there that lists every item of {processed.TRAIN} and {processed.TEST} once, one a line, or take it "
    "away for a random order of the items"
)


def _misfit(file: Path, line: int, why: str) -> InputError:
    return InputError(f"{file}: line {line}: {why}; {_REMEDY}")


def _split(
    name: str,
    train: Sessions,
    test: Sessions,
    source: str,
    files: dict[str, str],
    note: str = "",
    *,
    reconstructed: bool = False,
) -> Split:
    """Make a split with its provenance.

    Args:
        note: how the order of the clicks was made, if it is not the source's own; else empty.
    """
    provenance = Provenance(
        source=source,
        order="time" if name == BY_TIME else "file",
        emulated=bool(note),
        files=files,
        counts=count(train, test),
        published=numbers.TABLE1[numbers.PAPER_COLUMN[name]],
        note=note,
        reconstructed=reconstructed,
    )
    return Split(name, train, test, provenance)


def _dataset(name: str, title: str) -> Dataset:
    obtain = processed.OBTAIN.format("the CIKM Cup 2016 Track 2 data (DIGINETICA, the Cup's terms)", RAW, FOLDER)
    return Dataset(
        name,
        title,
        find=partial(_find, name),
        read=partial(_read, name),
        obtain=obtain + f", and beside them {ORDER}, if you have it" * (name == IN_FILE_ORDER),
        find_log=_find_log,
        read_log=read_log,
    )


DATASETS = (
    _dataset(IN_FILE_ORDER, "DIGINETICA in file order (the paper's)"),
    _dataset(BY_TIME, "DIGINETICA by time"),
)
