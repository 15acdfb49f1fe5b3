"""Dataset: what a file in datasets/ must offer; and how a freely available log is downloaded.

Reading a raw log (`read_log`) is kept apart from applying the paper's rules (in `read`).
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reproduce.errors import InputError
from reproduce.files import is_regular, replacing
from reproduce.reading import content, table
from reproduce.reading.columns import Form
from reproduce.reading.preprocessing import ClickLog
from reproduce.reading.sessions import Split

TIMEOUT = 60  # seconds without receiving a byte


@dataclass(frozen=True)
class Download:
    """A log on the open web: the address of a .zip, the file wanted from it, and that file's sha256 and destination."""

    url: str
    member: str  # a pattern for the file in the .zip
    sha256: str  # of that file
    place: str  # its path in a data folder


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
    raw: tuple[str, ...] = ()  # patterns of the raw log in a data folder
    form: Form = field(default_factory=Form)  # of the raw log
    download: Download | None = None  # for freely available logs

    def find_log(self, data: Path) -> list[Path]:
        """Find the raw log in a data folder, in a list of at most one."""
        return raw_log(data, *self.raw)

    def read_log(self, file: Path) -> ClickLog:
        """Read the rows of the raw log, in file order. Raises InputError."""
        return table.read([file], self.form)


def raw_log(data: Path, *patterns: str) -> list[Path]:
    """Find a raw log in a data folder: the first plain file, else a packed one, in a list of at most one."""
    endings = ("", *content.PACKED)
    files = (file for name in patterns for ending in endings for file in sorted(data.glob(name + ending)))
    return [file for file in files if is_regular(file)][:1]


def fetch(download: Download, data: Path) -> Path:
    """Download a log into a data folder and return its path.

    Raises:
        InputError: there is no network or no such address, the file is not the expected one, or the folder cannot be
            written.
    """
    place = data / download.place
    by_hand = f"get {download.url} by hand and unpack it into {place.parent}/"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "download.zip"
        try:
            with urllib.request.urlopen(download.url, timeout=TIMEOUT) as answer, archive.open("wb") as stream:
                shutil.copyfileobj(answer, stream)
                announced = int(answer.headers.get("Content-Length", stream.tell()))
            if announced != archive.stat().st_size:
                raise OSError(f"{archive.stat().st_size:,} of {announced:,} bytes came")
        except (OSError, ValueError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(f"{download.url}: not fetched ({reason}); with a network again, or {by_hand}") from error
        digest = hashlib.sha256()
        with replacing(place, option="--data") as temporary, temporary.open("wb") as stream:
            for block in content.unpacked(archive, download.member):
                digest.update(block)
                stream.write(block)
            if digest.hexdigest() != download.sha256:
                raise InputError(
                    f"{download.url}: the file in it has sha256 {digest.hexdigest()}, expected {download.sha256}; "
                    f"{by_hand}"
                )
    return place
