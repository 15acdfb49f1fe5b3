"""E-shop: five months of clicks in an online shop for clothing, 2008 (UCI data set 553, CC BY 4.0).

Lapczynski and Bialowas, Discovering patterns of users' behaviour in an e-shop, Studia Ekonomiczne 151 (2013),
DOI 10.24432/C5QK7X. A small open log that anyone may download (`python -m reproduce fetch eshop`). The paper does not
use it: the filters are the paper's, the split is ours. An item is a clothing model, clicks are sorted by the log's own
`order`, and the sessions of the last tenth of the days are the test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reproduce.reading import preprocessing as rules
from reproduce.reading import split_cache, table
from reproduce.reading.columns import Form
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset, Download, raw_log

RAW = ("eshop/*.csv", "eshop/*.zip")
MEMBER = "*.csv"  # in the .zip
DOWNLOAD = Download(
    url="https://archive.ics.uci.edu/static/public/553/clickstream+data+for+online+shopping.zip",
    member=MEMBER,
    sha256="fcc167bbd0badd4c9685bd8543097e318f8228e48075335db7cd781cee88115d",  # of the .csv, since zips of it differ
    place="eshop/e-shop clothing 2008.csv",
)
TEST_DAYS = 10  # ours: the last tenth (1 / TEST_DAYS) of the days is the test
FORM = Form(
    usual={"session": ("sessionid",), "item": ("page2clothingmodel",), "order": ("order",), "time": ("date",)},
    columns={"time": "year+month+day"},
    separator=";",
    time_format="%Y %m %d",
    member=MEMBER,
)


def full_split(log: rules.ClickLog) -> tuple[Sessions, Sessions]:
    """Apply the paper's filters, and split into training and test sets by day."""
    sessions = rules.frequent_items(rules.longer_than_one(rules.sessions_of(log, by_time=True)))
    train, test = last_days(sessions)
    return rules.numbered_again(train.sessions(), rules.known_items(test, train).sessions())


def last_days(sessions: rules.DatedSessions) -> tuple[rules.DatedSessions, rules.DatedSessions]:
    """Split by our rule: of the days with sessions, the last tenth, at least one day, is the test set."""
    days = np.unique(sessions.dates)
    first = days[len(days) - max(len(days) // TEST_DAYS, 1)]
    return sessions.keep(sessions.dates < first), sessions.keep(sessions.dates >= first)


def _find(data: Path) -> list[Path]:
    return raw_log(data, *RAW)


def _read(data: Path) -> Split:
    (file,) = _find(data)
    train, test = full_split(table.read([file], FORM))
    note = "not the paper's data; the split is ours: the sessions of the last tenth of the days are the test"
    hashes = {file.name: split_cache.sha256(file)}
    return Split("eshop", train, test, Provenance("raw log", files=hashes, counts=count(train, test), note=note))


DATASETS = (
    Dataset(
        name="eshop",
        title="E-shop",
        find=_find,
        read=_read,
        obtain="UCI data set 553 (CC BY 4.0): python -m reproduce fetch eshop, or its .csv or .zip into {data}/eshop/",
        raw=RAW,
        form=FORM,
        download=DOWNLOAD,
    ),
)
