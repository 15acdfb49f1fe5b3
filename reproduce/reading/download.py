"""`fetch`: get a log that anyone may download, and keep it only if it is the right one.

The .zip is unpacked here, since zips of one file differ and only the file in it has a known sha256.
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
from reproduce.reading import clicklog

TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """A log on the open web: a .zip, the file wanted of it, that file's sha256 and its place in a data folder."""

    url: str
    member: str  # a pattern
    sha256: str
    place: str


def fetch(download: Download, data: Path) -> Path:
    """The log's place in a data folder, where it is now.

    Raises:
        InputError: no network, no such address, not the file that is expected, or the folder cannot be written.
    """
    place = data / download.place
    by_hand = f"get {download.url} by hand and unpack it into {place.parent}/"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "download.zip"
        try:
            _retrieve(download.url, archive)
        except (OSError, ValueError, http.client.HTTPException) as error:  # what urllib raises is an OSError
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(f"{download.url}: not fetched ({reason}); with a network again, or {by_hand}") from error
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _unpack(archive, download, place, by_hand)
        except OSError as error:
            raise InputError(
                f"{place}: cannot be written ({error.strerror or error}); choose another --data"
            ) from error
    return place


def _retrieve(url: str, place: Path) -> None:
    """Raises OSError, ValueError or HTTPException: no such address, no answer, or less came than was announced."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("expected an address that begins with https:// or http://")
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, place.open("wb") as stream:
        shutil.copyfileobj(answer, stream)
        announced = answer.headers.get("Content-Length")
    if announced is not None and int(announced) != place.stat().st_size:
        raise OSError(f"{place.stat().st_size:,} of {int(announced):,} bytes came")


def _unpack(archive: Path, download: Download, place: Path, by_hand: str) -> None:
    digest = hashlib.sha256()
    with replacing(place, option="--data") as temporary, temporary.open("wb") as stream:
        for block in clicklog.content(archive, download.member):
            digest.update(block)
            stream.write(block)
        if digest.hexdigest() != download.sha256:
            raise InputError(
                f"{download.url}: the file in it has sha256 {digest.hexdigest()}, expected {download.sha256}; {by_hand}"
            )
