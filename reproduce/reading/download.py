"""`fetch`: get a log that anyone may download, and keep it only if it is the right one.

The download is pooch's (an extra: `pip install 'session-rec-reproduce[fetch]'`). The .zip is unpacked here, since zips
of one file differ and only the file in it has a known sha256.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reproduce.errors import InputError, UsageError
from reproduce.files import replacing
from reproduce.reading import clicklog


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
        UsageError: pooch is not installed.
        InputError: no network, no such address, not the file that is expected, or the folder cannot be written.
    """
    try:
        import pooch
    except ImportError as error:
        raise UsageError("fetch needs pooch: pip install 'session-rec-reproduce[fetch]'") from error
    pooch.get_logger().setLevel("WARNING")
    place = data / download.place
    by_hand = f"get {download.url} by hand and unpack it into {place.parent}/"
    with tempfile.TemporaryDirectory() as folder:
        try:
            archive = pooch.retrieve(download.url, known_hash=None, fname="download.zip", path=folder)
        except (OSError, ValueError) as error:  # what requests raises is an OSError
            reason = str(error).split("(Caused by")[0].strip() or type(error).__name__
            raise InputError(f"{download.url}: not fetched ({reason}); with a network again, or {by_hand}") from error
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _unpack(Path(archive), download, place, by_hand)
        except OSError as error:
            raise InputError(
                f"{place}: cannot be written ({error.strerror or error}); choose another --data"
            ) from error
    return place


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
