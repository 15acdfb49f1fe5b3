"""`data`: which data sets are here, their counts, how to get the others, and the cache of splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.reading import split_cache
from reproduce.reading.sessions import Provenance, as_printed
from reproduce.reports.description import DATA, DATASETS, OWN_LOG, About, Command, Option
from reproduce.runs import own_options

ABOUT = About(
    "lists the data sets found, their counts against the paper's, and how to get the others",
    (DATASETS, *OWN_LOG, DATA, Option("--clear", "empty the cache of splits instead")),
)


def report(data: Path, asked: Sequence[str] = ()) -> str:
    """List the data sets in a data folder, counted as the paper counts, and how to obtain the others.

    Args:
        asked: the data sets to list, a user's own included; default: those of the suite. A fault in a data set that
            was asked for is raised; in others it is only listed.

    Raises:
        UsageError: there is no data set of a name that was asked for.
        InputError: the files of a data set that was asked for are absent or broken.
    """
    rows, absent, notes = [], [], []
    for one in [catalog.dataset(name) for name in asked] or [one for one in catalog.datasets().values() if one.obtain]:
        if asked:
            origin = catalog.load_split(one.name, data).provenance
            notes += [f"{one.name}: {origin.note}"] if origin.note else []
            rows += _counted(one.name, origin)
            continue
        if not one.find(data):
            absent.append(f"{one.name}: {one.obtain.format(data=data)}")
            continue
        try:
            origin = catalog.load_split(one.name, data).provenance
        except InputError as error:
            absent.append(f"{one.name}: {error}")
            continue
        rows += _counted(one.name, origin)
    head = ["data set", "clicks", "train sequences", "test sequences", "items", "average length"]
    text = (
        tabulate(rows, head, disable_numparse=True, colalign=["left"] + ["right"] * 5)
        if rows
        else f"nothing in {data}/"
    )
    if asked:
        return "\n\n".join([text, *notes])
    return text + ("\n\nnot here:\n\n" + "\n".join(absent) if absent else "") + f"\n\n{cached()}"


def _counted(name: str, origin: Provenance) -> list[list[str]]:
    """Make the lines of a data set: its counts, and the paper's if there are any."""
    columns = ("clicks", "train_sequences", "test_sequences", "items", "average_length")
    return [
        [who, *(as_printed(key, counts[key]) for key in columns)]
        for who, counts in ((name, origin.counts), ("  the paper", origin.published))
        if counts
    ]


def cached() -> str:
    """List the cache of splits."""
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
    if options.clear:
        return clear()
    return report(options.data, own_options.datasets(options.dataset, vars(options)))


COMMAND = Command(ABOUT, _answer)
