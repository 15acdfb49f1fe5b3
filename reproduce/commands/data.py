"""`data`: which data sets are here, what they count, how to get the others, and the cache of splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.reading import split_cache
from reproduce.reading.sessions import as_printed
from reproduce.reports.description import DATA, About, Command, Option

ABOUT = About(
    "lists the data sets found, their counts against the paper's, and how to get the others",
    (DATA, Option("--clear", "empty the cache of splits instead")),
)


def report(data: Path) -> str:
    """What is found in a data folder, counted as the paper counts, and how to obtain the rest."""
    rows, absent = [], []
    for one in catalog.datasets().values():
        if not one.obtain:
            continue
        if not one.find(data):
            absent.append(f"{one.name}: {one.obtain.format(data=data)}")
            continue
        try:
            origin = catalog.load_split(one.name, data).provenance
        except InputError as error:
            absent.append(f"{one.name}: {error}")
            continue
        for who, counts in ((one.name, origin.counts), ("  the paper", origin.published)):
            columns = ("clicks", "train_sequences", "test_sequences", "items", "average_length")
            if counts:
                rows.append([who, *(as_printed(key, counts[key]) for key in columns)])
    head = ["data set", "clicks", "train sequences", "test sequences", "items", "average length"]
    text = (
        tabulate(rows, head, disable_numparse=True, colalign=["left"] + ["right"] * 5)
        if rows
        else f"nothing in {data}/"
    )
    return text + ("\n\nnot here:\n\n" + "\n".join(absent) if absent else "") + f"\n\n{cached()}"


def cached() -> str:
    """What is in the cache of splits."""
    lines = [
        f"    {one.name}: {one.bytes / 1e6:.1f} MB, of {one.source}" if one.sound else f"    {one.name}: broken"
        for one in split_cache.entries()
    ]
    return f"cached in {split_cache.folder()}/ (data --clear empties it):" + (
        "\n" + "\n".join(lines) if lines else " nothing"
    )


def clear() -> str:
    return f"{split_cache.folder()}/: {split_cache.clear() / 1e6:.1f} MB freed"


def _answer(options: Any) -> str:
    return clear() if options.clear else report(options.data)


COMMAND = Command(ABOUT, _answer)
