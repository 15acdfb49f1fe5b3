"""Dataset: what a file in datasets/ must offer.

Reading a log (`read_log`) is kept apart from applying the paper's rules (in `read`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reproduce.files import is_regular
from reproduce.reading.content import PACKED
from reproduce.reading.download import Download
from reproduce.reading.preprocessing import ClickLog
from reproduce.reading.sessions import Split


@dataclass(frozen=True)
class Dataset:
    """A named split, with how to find its files and how to read it.

    A module in datasets/ offers its data sets as a tuple called DATASETS.
    """

    name: str  # on the command line
    title: str  # in headings
    find: Callable[[Path], list[Path]]  # data folder -> the files to read it from; empty if they are absent
    read: Callable[[Path], Split]  # data folder -> split; raises InputError
    obtain: str  # where to get the files and where to put them; empty if the clicks are simulated
    find_log: Callable[[Path], list[Path]] | None = None  # data folder -> the raw log; empty if absent
    read_log: Callable[[Path], ClickLog] | None = None  # raw log -> its rows
    download: Download | None = None  # for freely available logs


def raw_log(data: Path, *names: str) -> list[Path]:
    """Find a raw log in a data folder: the plain file, else a packed one, in a list of at most one."""
    return [file for name in names for packing in ("", *PACKED) if is_regular(file := data / (name + packing))][:1]
