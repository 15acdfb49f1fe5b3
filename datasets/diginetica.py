"""DIGINETICA: the click log of the CIKM Cup 2016; the last week is the test.

The paper kept the clicks of a session in the order of the raw file's rows, which is not the order of time: rows are
grouped by item, and the items follow one order throughout the file. Later papers sort by timeframe. So there are two
data sets: `diginetica` (by time) and `diginetica-file-order` (the paper's). Both are exact when read from the raw log.

The processed files are sorted by time, so the order of the raw file is lost. This much is known of it: the public code
of STAMP (github.com/uestcnlp/STAMP) includes the output of a run that prints all 15,963 test sessions with the raw item
ids in file order. Of the pairs of adjacent items of one category in these sessions, 39,518 of 39,524 are in the order
of the Cup's product-categories.csv, and so are all 5,575 in a sample of the raw log. Across categories the sessions
agree with each other (20 of 136,094 pairs occur in both directions) but not with that list. So the order is that of a
catalogue with similar products near each other, and the list is the same order grouped by category.

If item_order.txt lies beside the processed files, sessions are sorted by the order of items it gives: a reconstruction
of the raw file's order. The project's own file was made from the sessions above. Items of the test set (21,038 of
43,097, 69 % of the training clicks) are in a topological order of their pairs, which keeps 98.8 % of the pairs; every
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
from reproduce.reading import preprocessing as rules
from reproduce.reading import processed, split_cache, table
from reproduce.reading.columns import Form
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset, raw_log

RAW = "train-item-views.csv"
FORM = Form(  # timeframe is in milliseconds
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


def full_split(log: rules.ClickLog, *, by_time: bool) -> tuple[Sessions, Sessions]:
    """Split the log into training and test sets by the paper's rules.

    In either order of clicks, a session has the date of its last row in the file.
    """
    sessions = rules.frequent_items(rules.longer_than_one(rules.sessions_of(log, by_time=by_time)))
    train, test = rules.split_by_date(sessions, seconds=7 * rules.DAY)
    return rules.numbered_again(train.sessions(), rules.known_items(test, train).sessions())


def _find(name: str, data: Path) -> list[Path]:
    folder = data / FOLDER
    if files := raw_log(data, RAW) or processed.find(folder):
        return files + [folder / ORDER] * (len(files) > 1 and name == IN_FILE_ORDER and (folder / ORDER).exists())
    return raw_log(data, f"{RAW}.7z", "train-item-views.7z")  # found in order to say that it is not read


def _read(name: str, data: Path) -> Split:
    files = _find(name, data)
    by_time, note, reconstructed = name == BY_TIME, "", False
    if len(files) == 1:
        source, hashes = "raw log", {files[0].name: split_cache.sha256(files[0])}
        train, test = full_split(table.read(files, FORM), by_time=by_time)
    else:
        source = "processed files"
        *parts, hashes = processed.read(data / FOLDER)
        if not by_time:
            items = np.union1d(parts[0][0], parts[1][0])
            reconstructed = files[-1].name == ORDER
            if reconstructed:
                places, hashes[ORDER] = read_order(files[-1], items)
                note = f"the items come as in {ORDER}, a reconstruction of the raw file's order"
            else:
                places = _random_places(items)
                note = "file order emulated by one fixed random order of the items"
            parts = [(rules.sort_by_item(np.searchsorted(items, ids), n, places), n) for ids, n in parts]
        train, test = rules.to_sessions(*parts)
    provenance = Provenance(
        source, "time" if by_time else "file", emulated=bool(note), files=hashes, counts=count(train, test),
        published=numbers.TABLE1[numbers.PAPER_COLUMN[name]], note=note, reconstructed=reconstructed,
    )  # fmt: skip
    return Split(name, train, test, provenance)


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
    """Return the place in the raw file of each of `items`, all those of the processed files, and the file's sha256.

    Raises:
        InputError: the file cannot be read, or does not list every item once and nothing else.
    """
    remedy = f"expected every item of {processed.TRAIN} and {processed.TEST} once, one a line; mend it, or take it away"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); {remedy}") from error
    try:
        order = np.array([int(text) for text in content.split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{file}: not a list of item numbers; {remedy}") from error
    if not np.array_equal(np.sort(order), items):
        raise InputError(f"{file}: not the items of the files, each once; {remedy}")
    return np.argsort(order), hashlib.sha256(content).hexdigest()


OBTAIN = processed.OBTAIN.format("the CIKM Cup 2016 Track 2 data (DIGINETICA, the Cup's terms)", RAW, FOLDER)
DATASETS = tuple(
    Dataset(
        name,
        title,
        find=partial(_find, name),
        read=partial(_read, name),
        obtain=OBTAIN + f", and beside them {ORDER}, if you have it" * (name == IN_FILE_ORDER),
        raw=(RAW,),
        form=FORM,
    )
    for name, title in ((IN_FILE_ORDER, "DIGINETICA, file order"), (BY_TIME, "DIGINETICA, time order"))
)
