"""The schema of a record: what the keys of its .json hold, and what its arrays are.

Records come from elsewhere: with a checkout, from a colleague, from a damaged disk. A record is therefore checked as a
whole when it is loaded, and code that has a Result need not check again. A message names the place in the record where
something is wrong and never shows what stands there.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.errors import in_a_line
from reproduce.runs.experiment import MAX_SEED, SCHEMA

MAX_TABLE, MAX_ARRAYS = 16 << 20, 256 << 20  # bytes of a .json, and of an .npz unpacked; the largest known has 1 MiB
MAX_ITEMS = 2**31 - 1
MAX_SESSIONS = 20_000_000  # in a test set; pages hold an array of this length for every run
ARRAYS = ("session", "length", "greater", "equal")
ATTENTION = ("weights", "is_target", "lengths")
DIGEST = "digest"  # of all other keys; older records have none


class Misshapen(ValueError):
    """A file is not a valid record; the message says where."""


# What a place in a record may hold: a value for which a function is true, a list of such, one of several (a tuple), or
# an object with these keys. A key that ends in ? may be absent; keys other than those named are of the kind of "*".
Kind = Callable[[Any], object] | list[Any] | tuple[Any, ...] | dict[str, Any]


def text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 2_000 and value.isprintable()


def matching(pattern: str) -> Kind:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value)


def integer(low: int, high: int = 2**53) -> Kind:
    return lambda value: type(value) is int and low <= value <= high


def number(low: float = -1e300, high: float = 1e300) -> Kind:
    return lambda value: type(value) in (int, float) and low <= value <= high  # False for NaN


def null(value: Any) -> bool:
    return value is None


def truth(value: Any) -> bool:
    return isinstance(value, bool)


NAME, SHA256 = matching("[A-Za-z0-9_-]{1,200}"), matching("[0-9a-f]{64}")
PLAIN = (null, truth, number(), text)
FIELDS = {"*": (*PLAIN, [PLAIN])}
PROVENANCE = {
    "source": text,
    "order": matching("time|file"),
    "emulated": truth,
    "files": {"*": SHA256},
    "counts": {"*": number(0)},
    "published": {"*": number(0)},
    "note": text,
    "*": PLAIN,
}
MACHINE = {"device": text, "threads": integer(0), "torch": text, "commit": (text, null), "dirty": (truth, null)}
ENVIRONMENT = {
    **MACHINE,
    "resumed": [{"epochs": integer(0), **{f"{key}?": kind for key, kind in MACHINE.items()}, "*": PLAIN}],
    "source?": SHA256,  # of a user's own model
    "scoring_chunk?": integer(0),
    "*": PLAIN,
}
ATTENDED = {
    "examples": [integer(0)],
    "weight": [[number()]],
    "repeat": {"examples": integer(0), "weight": number(), "even": number(0, 1)},
    "saturated?": number(0, 1),
}
RECORD = {
    "schema": integer(SCHEMA, SCHEMA),
    "identity": SHA256,
    "experiment": {"dataset": NAME, "model": NAME, "params": FIELDS, "seed": integer(0, MAX_SEED)},
    "fields": FIELDS,
    "split": {
        "digest": NAME,
        "n_items": integer(1, MAX_ITEMS),
        "provenance": PROVENANCE,
        "vocabulary?": SHA256,  # of a user's own data
    },
    "recall_at_20": number(0, 100),
    "mrr_at_20": number(0, 100),
    "examples": integer(1),
    "best_epoch": (integer(1), null),
    "epochs": [{"epoch": integer(1), "validation_recall?": number(0, 100), "*": number()}],
    "environment": ENVIRONMENT,
    "attention": (ATTENDED, null),
    "arrays_sha256": SHA256,
    "digest?": SHA256,
}


def misfits(value: Any, kind: Kind, place: str = "") -> Iterator[str]:
    """Yield the places in a value parsed from JSON that do not hold what they should."""
    if isinstance(kind, tuple):
        if all(any(misfits(value, one_of, "there")) for one_of in kind):
            yield place
    elif isinstance(kind, list) and type(value) is list:
        for i, member in enumerate(value):
            yield from misfits(member, kind[0], f"{place}[{i}]")
    elif isinstance(kind, dict) and type(value) is dict:
        yield from (f"{place}.{key}".lstrip(".") for key in kind if not key.endswith(("?", "*")) and key not in value)
        for key, member in value.items():
            unknown = kind.get("*", ())  # () fits nothing: no record has such a key
            declared: Any = kind.get(key, kind.get(f"{key}?", unknown))
            yield from misfits(member, declared, f"{place}.{key}".lstrip("."))
    elif not callable(kind) or not kind(value):
        yield place


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object. Raises Misshapen if the file is too long or not one, OSError if it cannot be read."""
    try:
        content = json.loads(read_whole(file, MAX_TABLE))
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, nested too deep, or thousands of digits
        raise error if isinstance(error, Misshapen) else Misshapen("not JSON") from error
    if type(content) is not dict:
        raise Misshapen("not an object")
    return content


def read_whole(file: Path, most: int = MAX_ARRAYS) -> bytes:
    """Read a file. Raises Misshapen if it is not a file or longer than `most` bytes, OSError if it is unreadable."""
    if not file.is_file():
        raise Misshapen(f"{file.name} is no file")
    with file.open("rb") as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise Misshapen(f"{file.name} is longer than {most >> 20} MiB")
    return raw


def check_table(content: Mapping[str, Any]) -> None:
    """Raise Misshapen if a .json is not a Record or was changed after it was written."""
    for place in misfits(content, RECORD):
        raise Misshapen(f"{in_a_line(place)} is absent, or not what the schema says")
    if content.get(DIGEST) not in (None, digest(content)):
        raise Misshapen("changed after it was written: its digest is of another content")


def digest(content: Mapping[str, Any]) -> str:
    """A sha256 of a whole .json except the digest itself. It is not part of the record's identity."""
    rest = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_arrays(raw: bytes, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Read the arrays of a record from the bytes of its .npz, given its checked .json.

    Raises:
        Misshapen: it is not an .npz, unpacks to too many bytes, or its arrays do not fit the .json or each other.
    """
    names = ARRAYS if content["attention"] is None else (*ARRAYS, *(f"attention_{name}" for name in ATTENTION))
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_ARRAYS:
                raise Misshapen(f"its arrays unpack to more than {MAX_ARRAYS >> 20} MiB")
        with np.load(io.BytesIO(raw), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in names}
    except Exception as error:  # the parsers of zipfile and numpy may raise anything
        raise error if isinstance(error, Misshapen) else Misshapen("its arrays cannot be read") from error
    for fault in _faults(content, arrays):
        raise Misshapen(fault)
    return arrays


def _faults(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Say what is wrong with the arrays of a record; each fault supposes that there is none before it."""
    counts = [arrays[name] for name in ARRAYS]
    if any(array.ndim != 1 for array in arrays.values()) or any(array.dtype.kind not in "iu" for array in counts):
        yield "its rank counts are not rows of integers"
    if len({len(array) for array in counts}) > 1 or not len(counts[0]):
        yield "its arrays are not of one length"
    if any(int(array.min()) < 0 or int(array.max()) > MAX_ITEMS for array in counts):
        yield "a negative count, or one beyond 31 bits"
    session, _, greater, equal = (array.astype(np.int64) for array in counts)
    n_items = content["split"]["n_items"]
    if (greater + equal + 1 > n_items).any():
        yield f"a rank outside 1 to {n_items}"
    if (np.diff(session) < 0).any() or session[-1] >= MAX_SESSIONS:  # those of a single click have no prefix
        yield "its sessions are not numbered in order"
    if (means := content["attention"]) is None:
        return
    weights, is_target, lengths = (arrays[f"attention_{name}"] for name in ATTENTION)
    if lengths.dtype.kind not in "iu" or is_target.dtype != bool or weights.dtype.kind != "f":
        yield "its attention is of other types"
    if (lengths < 1).any() or not int(lengths.sum()) == len(weights) == len(is_target):
        yield "its attention weights are not as many as their clicks"
    if not np.isfinite(weights).all():  # without a softmax they may be negative or above 1
        yield "an attention weight that is not a finite number"
    if [len(row) for row in means["weight"]] != list(range(1, len(means["examples"]) + 1)):
        yield "its mean attention weights are not a row for every length of prefix"
