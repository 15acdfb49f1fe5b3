"""The cache of splits, so that the split of a large log is made only once.

An entry is two files: an .npz with the arrays, without pickle, and a .json with their provenance and a checksum of
both. Its name consists of the data set's name and a digest of the source's sha256 and the version of the rules, so
another source or other rules give another entry. An entry whose checksum is wrong is made again, never trusted.

The folder is $REPRODUCE_CACHE, else reproduce-splits/ in the user's cache ($XDG_CACHE_HOME, else ~/.cache). Sources
under 16 MiB are read in a second and are not cached. If the folder cannot be written, the split is made all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.reading.preprocessing import RULES_VERSION
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.reading.source import Dataset

FORMAT = 2
WORTH_CACHING = 16 << 20  # bytes
REMEMBERED = "hashes.json"
OURS = re.compile(r"hashes\.json|[a-z0-9_-]+-[0-9a-f]{24}\.(json|npz)")  # the only files touched
_hashes: dict[str, dict[str, object]] = {}  # of this process, in case none can be kept on disk


def folder() -> Path:
    """Return the cache folder, which may not exist yet."""
    own = os.environ.get("REPRODUCE_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reproduce-splits"


def split(dataset: Dataset, data: Path) -> Split:
    """Get a data set's split from the cache if it is there; else read it, and cache it if its source is large.

    Raises:
        InputError: the files are broken.
    """
    files = dataset.find(data)
    if sum(file.stat().st_size for file in files) < WORTH_CACHING:
        return dataset.read(data)
    entry = place(dataset, data)
    kept = load(entry)
    if kept is None:
        kept = dataset.read(data)
        store(kept, entry)
    return kept


def place(dataset: Dataset, data: Path) -> Path:
    """Return the path of a data set's entry, whether or not it exists."""
    return folder() / f"{dataset.name}-{key(dataset, dataset.find(data))[:24]}.json"


def key(dataset: Dataset, files: Sequence[Path]) -> str:
    """Return the digest of what determines a split: its name, its sources, the rules and the cache's format."""
    cause = [FORMAT, dataset.name, [(file.name, sha256(file)) for file in files], RULES_VERSION]
    return hashlib.sha256(json.dumps(cause).encode()).hexdigest()


def sha256(file: Path) -> str:
    """Return a file's sha256; it is remembered, and computed again when the file's size or modification time changes.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        path, state = str(file.resolve()), file.stat()
        known = {"size": state.st_size, "modified": state.st_mtime_ns}
        for remembered in (_hashes, _remembered()):
            entry = remembered.get(path)
            if isinstance(entry, dict) and known.items() <= entry.items() and isinstance(entry.get("sha256"), str):
                return str(entry["sha256"])
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error
    _hashes[path] = {**known, "sha256": digest}
    if state.st_size >= WORTH_CACHING:
        text = json.dumps({**_remembered(), path: _hashes[path]}, indent=1)
        _keep(folder() / REMEMBERED, lambda temporary: temporary.write_text(text))
    return digest


def _remembered() -> dict[str, dict[str, object]]:
    try:
        content = json.loads((folder() / REMEMBERED).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def store(kept: Split, place: Path) -> None:
    """Write an entry, the arrays first; if the disk is full or read-only, warn instead of raising."""
    arrays = place.with_suffix(".npz")

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                n_items=np.array(kept.train.n_items),
                train_items=kept.train.clicks()[0].astype(np.int32),
                train_lengths=kept.train.lengths.astype(np.int32),
                test_items=kept.test.clicks()[0].astype(np.int32),
                test_lengths=kept.test.lengths.astype(np.int32),
                train_dates=_dates(kept.train),
                test_dates=_dates(kept.test),
            )

    if _keep(arrays, write):
        told: dict[str, object] = {"name": kept.name, "provenance": asdict(kept.provenance)}
        text = json.dumps({**told, "checksum": _checksum(arrays, told)}, indent=1) + "\n"
        _keep(place, lambda temporary: temporary.write_text(text))


def load(place: Path) -> Split | None:
    """Load the split of an entry; None if there is no entry or it is broken."""
    arrays = place.with_suffix(".npz")
    try:
        told = json.loads(place.read_text())
        if told.pop("checksum") != _checksum(arrays, told):
            return None
        with np.load(arrays, allow_pickle=False) as content:
            n_items = int(content["n_items"])
            train, test = (
                _dated(
                    Sessions.packed(content[f"{part}_items"], content[f"{part}_lengths"], n_items),
                    content[f"{part}_dates"],
                )
                for part in ("train", "test")
            )
        return Split(told["name"], train, test, Provenance(**told["provenance"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        return None


def _dates(sessions: Sessions) -> np.ndarray:
    """Return the date of every session, (sessions,); an empty array if dates are unknown."""
    return np.empty(0, np.int64) if sessions.dates is None else sessions.dates


def _dated(sessions: Sessions, dates: np.ndarray) -> Sessions:
    return replace(sessions, dates=dates) if len(dates) else sessions


def _checksum(arrays: Path, told: dict[str, object]) -> str:
    with arrays.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


def _keep(place: Path, write: Callable[[Path], object]) -> bool:
    try:
        with replacing(place) as temporary:
            write(temporary)
    except (OSError, InputError) as error:  # `replacing` turns an OSError into an InputError
        cause = error.__cause__ if isinstance(error, InputError) else error
        warnings.warn(
            f"{place.parent}: the split is not cached ({getattr(cause, 'strerror', None) or cause}); "
            "free some space there, or set REPRODUCE_CACHE to another folder",
            stacklevel=3,
        )
        return False
    return True


@dataclass(frozen=True)
class Entry:
    """A split in the cache, as `data` lists it."""

    place: Path
    name: str
    bytes: int
    source: str  # file names with their sha256, shortened
    sound: bool


def entries() -> list[Entry]:
    """List the cached splits by name, broken entries included."""
    found = []
    for place in sorted(folder().glob("*-*.json")):
        if not OURS.fullmatch(place.name):
            continue
        files = [file for file in (place, place.with_suffix(".npz")) if file.is_file()]
        kept = load(place)
        source = ", ".join(f"{name} {sha[:8]}" for name, sha in kept.provenance.files.items()) if kept else ""
        name = kept.name if kept else place.stem.rpartition("-")[0]
        found.append(Entry(place, name, sum(file.stat().st_size for file in files), source, kept is not None))
    return found


def clear() -> int:
    """Remove every entry and the remembered hashes; return how many bytes that freed."""
    here = folder()
    files = [file for file in here.glob("*") if OURS.fullmatch(file.name)]
    freed = sum(file.stat().st_size for file in files)
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{here}: cannot be cleared ({error.strerror or error})") from error
    _hashes.clear()
    return freed
