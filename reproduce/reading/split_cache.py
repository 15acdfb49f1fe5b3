"""The cache of splits, so that the split of a large log is made only once.

An entry is an .npz with the arrays and, as text, the provenance; zip's own checksums find damage. Its name consists of
the data set's name and a digest of the source's files (their paths, sizes and times of change) and of the version of
the rules, so another source or other rules give another entry. An entry that is damaged is made again.

The folder is $REPRODUCE_CACHE, else reproduce-splits/ in the user's cache ($XDG_CACHE_HOME, else ~/.cache). Sources
under 16 MiB are read in a second and are not cached. If the folder cannot be written, the split is made all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.reading.preprocessing import RULES_VERSION
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.reading.source import Dataset

FORMAT = 3
WORTH_CACHING = 16 << 20  # bytes
OURS = re.compile(r"[a-z0-9_-]+-[0-9a-f]{24}\.npz")  # the only files touched


def folder() -> Path:
    """Return the cache folder, which may not exist yet."""
    own = os.environ.get("REPRODUCE_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reproduce-splits"


def split(dataset: Dataset, data: Path) -> Split:
    """Get a data set's split from the cache if it is there; else read it, and cache it if its source is large."""
    if sum(file.stat().st_size for file in dataset.find(data)) < WORTH_CACHING:
        return dataset.read(data)
    entry = place(dataset, data)
    kept = load(entry)
    if kept is None:
        kept = dataset.read(data)
        store(kept, entry)
    return kept


def place(dataset: Dataset, data: Path) -> Path:
    """Return the path of a data set's entry, whether or not it exists."""
    files = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in dataset.find(data)]
    cause = json.dumps([FORMAT, dataset.name, files, RULES_VERSION])
    return folder() / f"{dataset.name}-{hashlib.sha256(cause.encode()).hexdigest()[:24]}.npz"


def sha256(file: Path) -> str:
    """Return a file's sha256, remembered as long as its size and time of change stay. Raises InputError."""
    try:
        state = file.stat()
        return _sha256(file, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error


@lru_cache
def _sha256(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def store(kept: Split, place: Path) -> None:
    """Write an entry; if the disk is full or read-only, warn instead of raising."""
    arrays: dict[str, Any] = {"name": kept.name, "provenance": json.dumps(asdict(kept.provenance))}
    arrays["n_items"] = kept.train.n_items
    for part, sessions in (("train", kept.train), ("test", kept.test)):
        arrays[f"{part}_items"] = sessions.clicks()[0].astype(np.int32)
        arrays[f"{part}_lengths"] = sessions.lengths.astype(np.int32)
        if sessions.dates is not None:
            arrays[f"{part}_dates"] = sessions.dates
    try:
        with replacing(place, option="REPRODUCE_CACHE") as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
    except InputError as error:
        warnings.warn(f"the split is not cached: {error}", stacklevel=3)


def load(place: Path) -> Split | None:
    """Load the split of an entry; None if there is no entry or it is damaged."""
    try:
        with np.load(place, allow_pickle=False) as content:
            arrays = dict(content)
        n_items, provenance = int(arrays["n_items"]), json.loads(str(arrays["provenance"]))
        train, test = (
            replace(
                Sessions.packed(arrays[f"{part}_items"], arrays[f"{part}_lengths"], n_items),
                dates=arrays.get(f"{part}_dates"),
            )
            for part in ("train", "test")
        )
        return Split(str(arrays["name"]), train, test, Provenance(**provenance))
    except Exception:  # numpy's parsers of a damaged entry may raise anything
        return None


def entries() -> list[str]:
    """Describe the cached splits, a line each, damaged ones included."""
    lines = []
    for place in sorted(file for file in folder().glob("*.npz") if OURS.fullmatch(file.name)):
        kept, of = load(place), "broken"
        if kept is not None:
            files = ", ".join(f"{name} {sha[:8]}" for name, sha in kept.provenance.files.items())
            of = f"{place.stat().st_size / 1e6:.1f} MB, of {files}"
        lines.append(f"{place.stem.rpartition('-')[0]}: {of}")
    return lines


def clear() -> int:
    """Remove every entry; return how many bytes that freed."""
    here, freed = folder(), 0
    try:
        for file in here.glob("*"):
            if OURS.fullmatch(file.name):
                freed += file.stat().st_size
                file.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{here}: cannot be cleared ({error.strerror or error})") from error
    return freed
