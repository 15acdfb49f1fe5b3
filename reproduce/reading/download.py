"""Download a freely available log, and keep it only if its sha256 is the expected one.

The .zip is unpacked here: archives of the same file can differ, so only the sha256 of the file inside is known.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.reading import content

TIMEOUT = 60  # seconds without receiving a byte


@dataclass(frozen=True)
class Download:
    """A log on the open web: the address of a .zip, the file wanted from it, and that file's sha256 and destination."""

    url: str
    member: str  # a pattern for the file in the .zip
    sha256: str  # of that file
    place: str  # its path in a data folder


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
            if not download.url.startswith(("https://", "http://")):
                raise ValueError("expected an address that begins with https:// or http://")
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
