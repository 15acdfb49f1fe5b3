"""E-shop: five months of clicks in an online shop for clothing, 2008 (UCI data set 553, CC BY 4.0).

Lapczynski and Bialowas, Discovering patterns of users' behaviour in an e-shop, Studia Ekonomiczne 151 (2013),
DOI 10.24432/C5QK7X. A small open log that anyone may download (`python -m reproduce fetch eshop`). The paper does not
use it: the filters are the paper's, the split is ours. An item is a clothing model, clicks are sorted by the log's own
`order`, and the sessions of the last tenth of the days are the test.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.files import is_regular
from reproduce.reading import content, split_cache, table
from reproduce.reading import preprocessing as rules
from reproduce.reading.columns import Form
from reproduce.reading.sessions import Provenance, Sessions, Split, count
from reproduce.reading.source import Dataset, Download

FOLDER = "eshop"
MEMBER = "*.csv"
DOWNLOAD = Download(
    url="https://archive.ics.uci.edu/static/public/553/clickstream+data+for+online+shopping.zip",
    member=MEMBER,
    sha256="fcc167bbd0badd4c9685bd8543097e318f8228e48075335db7cd781cee88115d",  # of the .csv, since zips of it differ
    place=f"{FOLDER}/e-shop clothing 2008.csv",
)
TEST_DAYS = 10  # ours: the last tenth (1 / TEST_DAYS) of the days is the test


FORM = Form(
    usual={"session": ("sessionid",), "item": ("page2clothingmodel",), "order": ("order",), "time": ("date",)},
    columns={"time": "year+month+day"},
    separator=";",
    time_format="%Y %m %d",
    member=MEMBER,
)


def read_log(file: Path) -> rules.ClickLog:
    """Read the log as the UCI repository offers it, zipped or not.

    Raises:
        InputError: the file is absent or broken, or does not have the expected sha256.
    """
    digest = hashlib.sha256()
    for block in content.unpacked(file, MEMBER):
        digest.update(block)
    if digest.hexdigest() != DOWNLOAD.sha256:
        raise InputError(
            f"{file}: its .csv has sha256 {digest.hexdigest()[:12]}…, expected {DOWNLOAD.sha256[:12]}…; "
            "get it again: python -m reproduce fetch eshop"
        )
    return table.read([file], FORM)


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


def find_log(data: Path) -> list[Path]:
    folder = data / FOLDER
    files = [*sorted(folder.glob("*.csv")), *sorted(folder.glob("*.zip"))]
    return [file for file in files if is_regular(file)][:1]


def _read(data: Path) -> Split:
    file = find_log(data)[0]
    train, test = full_split(read_log(file))
    note = "not the paper's data; the split is ours: the sessions of the last tenth of the days are the test"
    hashes = {file.name: split_cache.sha256(file)}
    return Split("eshop", train, test, Provenance("raw log", files=hashes, counts=count(train, test), note=note))


DATASETS = (
    Dataset(
        name="eshop",
        title="E-shop",
        find=find_log,
        read=_read,
        obtain="UCI data set 553 (CC BY 4.0): python -m reproduce fetch eshop, or its .csv or .zip into {data}/eshop/",
        find_log=find_log,
        read_log=read_log,
        download=DOWNLOAD,
    ),
)
