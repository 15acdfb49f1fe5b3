"""A data set that comes in two forms: the raw log, which gives it exactly, or the processed files of later papers.

If the data folder holds both, the raw log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reproduce.errors import InputError
from reproduce.reading import clicklog, processed, split_cache
from reproduce.reading.clicklog import ClickLog
from reproduce.reading.sessions import Split
from reproduce.reading.source import Dataset


@dataclass(frozen=True)
class Raw:
    """The raw log, plain or packed. It may be an archive that the suite cannot unpack: reading it then says so."""

    file: Path

    @property
    def files(self) -> list[Path]:
        return [self.file]


@dataclass(frozen=True)
class Processed:
    """The processed files of a folder, and the files that are read along with them."""

    folder: Path
    files: list[Path]


Found = Raw | Processed


@dataclass(frozen=True)
class TwoForms:
    """How to find and read a data set in either form."""

    name: str
    raw: str  # the raw log's name in the data folder
    archives: Sequence[str]  # names of archives of the raw log that the suite cannot unpack
    folder: str  # the folder of the processed files, in the data folder
    read_log: Callable[[Path], ClickLog]
    split_raw: Callable[[ClickLog, dict[str, str]], Split]  # from the rows, and the sha256 of their file by its name
    split_processed: Callable[[Path], Split]  # from the folder
    beside: Sequence[str] = ()  # files that are read along with the processed ones if present

    def found(self, data: Path) -> Found | None:
        """Find the form that a data folder holds; None if it holds neither."""
        folder = data / self.folder
        if log := self.find_log(data):
            return Raw(log[0])
        if files := processed.find(folder):
            return Processed(folder, [*files, *(file for one in self.beside if (file := folder / one).exists())])
        packed = clicklog.find_unreadable(data, *self.archives)
        return Raw(packed[0]) if packed else None

    def find(self, data: Path) -> list[Path]:
        found = self.found(data)
        return found.files if found else []

    def find_log(self, data: Path) -> list[Path]:
        return clicklog.find(data, self.raw)

    def read(self, data: Path) -> Split:
        """Read the split from the form that the data folder holds.

        Raises:
            InputError: neither form is there, or its files are broken.
        """
        match self.found(data):
            case Raw(file):
                return self.split_raw(self.read_log(file), {file.name: split_cache.sha256(file)})
            case Processed(folder):
                return self.split_processed(folder)
        raise InputError(f"{self.name}: not found in {data}/")

    def dataset(self, title: str, origin: str, beside: str = "") -> Dataset:
        """Describe the data set for the catalogue.

        Args:
            title: its name in headings.
            origin: whose log it is, and its terms.
            beside: words for the files that may lie beside the processed ones.
        """
        return Dataset(
            name=self.name,
            title=title,
            find=self.find,
            read=self.read,
            obtain=(
                f"{origin}: put {self.raw}, or it as .gz or .zip, into {{data}}/; or put the processed "
                f"{processed.TRAIN} and {processed.TEST} that circulate with later papers into "
                f"{{data}}/{self.folder}/{beside}"
            ),
            find_log=self.find_log,
            read_log=self.read_log,
        )
