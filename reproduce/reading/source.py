"""Dataset: the contract of a file in datasets/. Reading is one thing, the paper's rules another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reproduce.reading.clicklog import ClickLog
from reproduce.reading.download import Download
from reproduce.reading.sessions import Split


@dataclass(frozen=True)
class Dataset:
    """A named split, how to tell whether its files are here, and how to read it.

    A module in datasets/ offers its data sets as a tuple called DATASETS.
    """

    name: str  # as on the command line
    title: str  # as in a heading
    find: Callable[[Path], list[Path]]  # data folder -> the files it would be read from; empty when they are absent
    read: Callable[[Path], Split]  # data folder -> split; raises InputError
    obtain: str  # where the files come from and where to put them; empty where the clicks are simulated
    find_log: Callable[[Path], list[Path]] | None = None  # data folder -> the raw log alone, where it is here
    read_log: Callable[[Path], ClickLog] | None = None  # raw log -> its rows
    download: Download | None = None  # of logs that anyone may have
