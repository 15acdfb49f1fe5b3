"""DIGINETICA: the click log of the CIKM Cup 2016; the last week is the test.

The paper kept the clicks of a session in the order of the raw file's rows, which is no time order: rows are grouped by
item, and the items follow one global order. Later papers sort by timeframe. So there are two data sets: `diginetica`
(by time: the honest task) and `diginetica-file-order` (the paper's). The processed files are sorted; from them the
file's order can only be emulated, by one fixed random order of the items.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from reproduce import paper, processed
from reproduce.dataset import Dataset
from reproduce.preprocessing import sort_by_item, to_sessions
from reproduce.sessions import Provenance, Split, count

FOLDER = "diginetica"
EMULATION_SEED = 0  # ours: any fixed order of the items serves


def _read(name: str, data: Path) -> Split:
    train_clicks, test_clicks, files = processed.read(data / FOLDER)
    emulated = name == "diginetica-file-order"
    if emulated:
        order = np.random.default_rng(EMULATION_SEED).permutation(
            1 + max(int(train_clicks[0].max()), int(test_clicks[0].max()))
        )
        train_clicks, test_clicks = (
            (sort_by_item(items, lengths, order), lengths) for items, lengths in (train_clicks, test_clicks)
        )
    train, test = to_sessions(train_clicks, test_clicks)
    provenance = Provenance(
        source="processed files",
        order="file" if emulated else "time",
        emulated=emulated,
        files=files,
        counts=count(train, test),
        published=paper.TABLE1[paper.PAPER_COLUMN[name]],
        note="file order emulated by one fixed random order of the items" if emulated else "",
    )
    return Split(name, train, test, provenance)


def _dataset(name: str, title: str) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        find=lambda data: processed.find(data / FOLDER),
        read=partial(_read, name),
        obtain=(
            "the CIKM Cup 2016 Track 2 data (DIGINETICA, the Cup's terms); "
            f"put the processed {processed.TRAIN} and {processed.TEST} that circulate with later papers "
            f"into {{data}}/{FOLDER}/"
        ),
    )


DATASETS = (
    _dataset("diginetica-file-order", "DIGINETICA in file order (the paper's)"),
    _dataset("diginetica", "DIGINETICA by time"),
)
