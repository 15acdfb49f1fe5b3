"""A data set that comes in two forms: the raw log, from which it is exact, or the processed files of later papers.

Where both lie in the data folder, the raw log is read.
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
    """The raw log, as it is or packed, be it in a way that only its own program unpacks: reading says so."""

    file: Path

    @property
    def files(self) -> list[Path]:
        return [self.file]


@dataclass(frozen=True)
class Processed:
    """The processed files of a folder, those that lie beside them included."""

    folder: Path
    files: list[Path]


Found = Raw | Processed


@dataclass(frozen=True)
class TwoForms:
    """How a data set is found and read in either form."""

    name: str
    raw: str  # name of the raw log in the data folder
    archives: Sequence[str]  # names of the raw log packed in a way that cannot be read
    folder: str  # of the processed files, in the data folder
    read_log: Callable[[Path], ClickLog]
    split_raw: Callable[[ClickLog, dict[str, str]], Split]  # from the rows and the sha256 of their file
    split_processed: Callable[[Path], Split]  # from the folder
    beside: Sequence[str] = ()  # files that are read with the processed ones where they are there

    def found(self, data: Path) -> Found | None:
        """The form that a data folder holds; None where it holds neither."""
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
        """Raises InputError: neither form is there, or it is broken."""
        match self.found(data):
            case Raw(file):
                return self.split_raw(self.read_log(file), {file.name: split_cache.sha256(file)})
            case Processed(folder):
                return self.split_processed(folder)
        raise InputError(f"{self.name}: not found in {data}/")

    def dataset(self, title: str, origin: str, beside: str = "") -> Dataset:
        """`origin`: whose log it is, and its terms. `beside`: what may lie beside the processed files, in words."""
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
