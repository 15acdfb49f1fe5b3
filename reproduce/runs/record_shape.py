"""The shape of a record: what every key of its .json must hold, and what its arrays must be.

Records come from elsewhere: with a checkout, from a colleague, from a damaged disk. Nothing in a record is therefore
trusted before it is checked here, once, when the record is loaded; code that has a Result need not check again. An
error names the place in the record where something is wrong and never shows what was found there.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.runs.experiment import MAX_SEED, SCHEMA

MAX_TABLE, MAX_ARRAYS = 16 << 20, 256 << 20  # bytes of a .json, and of an .npz unpacked; the largest known has 1 MiB
MAX_ITEMS = 2**31 - 1
DIGEST = "digest"  # of all other keys; older records have none


class Misshapen(ValueError):
    """A file is not a valid record; the message says where, and what was expected there."""


class OtherSchema(Misshapen):
    """A record has another schema; the message says what to do."""


Shape = Callable[[Any, str], None]  # (value, its place in the record); raises Misshapen if the value does not fit


def _a(expected: str, test: Callable[[Any], bool]) -> Shape:
    def check(value: Any, place: str) -> None:
        if not test(value):
            raise Misshapen(f"{place} is not {expected}")

    return check


def _integer(low: int, high: int) -> Shape:
    return _a(f"an integer from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def _number(low: float = -1e300, high: float = 1e300) -> Shape:
    return _a(
        f"a number from {low:g} to {high:g}" if high < 1e300 else "a finite number",
        lambda value: type(value) in (int, float) and low <= value <= high,
    )


def _maybe(shape: Shape) -> Shape:
    return lambda value, place: None if value is None else shape(value, place)


def _list(shape: Shape, most: int = 100_000) -> Shape:
    def check(value: Any, place: str) -> None:
        if type(value) is not list or len(value) > most:
            raise Misshapen(f"{place} is not a list of at most {most:,}")
        for i, one in enumerate(value):
            shape(one, f"{place}[{i}]")

    return check


def _of(shape: Shape) -> Shape:
    """An object with any short keys, whose values all have one shape."""

    def check(value: Any, place: str) -> None:
        if type(value) is not dict or len(value) > 1_000 or any(len(key) > 200 for key in value):
            raise Misshapen(f"{place} is not an object of short keys")
        for key, one in value.items():
            shape(one, f"{place}.{key}")

    return check


def _object(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None, rest: Any = None) -> Shape:
    """An object with given keys; `rest` is the shape of keys that a later version may add, None to forbid them."""
    known = {**required, **(optional or {})}

    def check(value: Any, place: str) -> None:
        if type(value) is not dict:
            raise Misshapen(f"{place or 'the record'} is not an object")
        if missing := [key for key in required if key not in value]:
            raise Misshapen(f"{place or 'the record'} lacks {', '.join(missing)}")
        for key, one in value.items():
            shape = known.get(key, rest)
            if shape is None:
                raise Misshapen(f"{place or 'the record'} has keys that no record has")
            shape(one, f"{place}.{key}" if place else key)

    return check


_TEXT = _a("a text of a line", lambda value: type(value) is str and len(value) <= 2_000 and value.isprintable())
_NAME = _a("a name", lambda value: type(value) is str and re.fullmatch(r"[A-Za-z0-9_-]{1,200}", value) is not None)
_FLAG = _a("true or false", lambda value: type(value) is bool)
_SHA256 = _a("a sha256", lambda value: type(value) is str and re.fullmatch("[0-9a-f]{64}", value) is not None)
_COUNT = _integer(0, 2**53)
_PER_CENT = _number(0.0, 100.0)
_PLAIN = _a(
    "a plain value", lambda v: v is None or type(v) in (bool, str) or (type(v) in (int, float) and math.isfinite(v))
)
_PLAIN_OR_MANY: Shape = lambda value, place: (_list(_PLAIN) if type(value) is list else _PLAIN)(value, place)  # noqa: E731
_FIELDS = _of(_PLAIN_OR_MANY)

_PROVENANCE = _object(
    {
        "source": _TEXT,
        "order": _a("time or file", lambda value: value in ("time", "file")),
        "emulated": _FLAG,
        "files": _of(_SHA256),
        "counts": _of(_number(0.0)),
        "published": _of(_number(0.0)),
        "note": _TEXT,
    },
    {"reconstructed": _FLAG},
    rest=_PLAIN_OR_MANY,
)
_SITTING = {"device": _TEXT, "threads": _COUNT, "torch": _TEXT, "commit": _maybe(_TEXT), "dirty": _maybe(_FLAG)}
_SITTINGS = _list(_object({"epochs": _COUNT}, _SITTING, rest=_PLAIN_OR_MANY))
_EPOCH = _object({"epoch": _integer(1, 2**31)}, {"validation_recall": _PER_CENT}, rest=_number())
_MEANS = _object(
    {
        "examples": _list(_COUNT),
        "weight": _list(_list(_number())),
        "repeat": _object({"examples": _COUNT, "weight": _number(), "even": _number(0.0, 1.0)}),
    },
    {"saturated": _number(0.0, 1.0)},
    rest=_PLAIN_OR_MANY,
)
_RECORD = _object(
    {
        "schema": _integer(SCHEMA, SCHEMA),
        "identity": _SHA256,
        "experiment": _object(
            {"dataset": _NAME, "model": _NAME, "params": _FIELDS, "seed": _integer(0, MAX_SEED)},
        ),
        "fields": _FIELDS,
        "split": _object(
            {"digest": _NAME, "n_items": _integer(1, MAX_ITEMS), "provenance": _PROVENANCE}, {"vocabulary": _SHA256}
        ),
        "recall_at_20": _PER_CENT,
        "mrr_at_20": _PER_CENT,
        "examples": _integer(1, 2**40),
        "best_epoch": _maybe(_integer(1, 2**31)),
        "epochs": _list(_EPOCH),
        "environment": _object(
            {**_SITTING, "resumed": _SITTINGS},
            {"source": _SHA256, "scoring_chunk": _COUNT},
            rest=_PLAIN_OR_MANY,
        ),
        "attention": _maybe(_MEANS),
        "arrays_sha256": _SHA256,
    },
    {DIGEST: _SHA256},
)


def read_table(file: Path) -> dict[str, Any]:
    """Read a record's .json, checking only that it is a JSON object; NaN and infinities are read as NaN.

    Raises:
        Misshapen: it is not a file, too long, nested too deeply, or not a JSON object.
        OSError: it cannot be read.
    """
    raw = read_whole(file, MAX_TABLE)
    try:
        content = json.loads(raw, parse_constant=lambda word: float("nan"))
    except RecursionError as error:
        raise Misshapen("nested too deep") from error
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        raise Misshapen("not JSON") from error
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
    """Raise Misshapen if a .json does not have the shape above or was changed after it was written."""
    schema = content.get("schema")
    if type(schema) is int and schema != SCHEMA:
        told = str(schema) if abs(schema) < 10**9 else "unknown"
        raise OtherSchema(f"schema {told}, this suite reads schema {SCHEMA}; use the suite that wrote it")
    _RECORD(content, "")
    if DIGEST in content and content[DIGEST] != digest(content):
        raise Misshapen("changed after it was written: its digest is of another content")


def check_sittings(epochs: Any, sittings: Any) -> None:
    """Raise Misshapen if the epochs and sittings in a checkpoint could not be stored in a record."""
    _list(_EPOCH)(epochs, "epochs")
    _SITTINGS(sittings, "sittings")


def digest(content: Mapping[str, Any]) -> str:
    """A sha256 of a whole .json except the digest itself. It is not part of the record's identity."""
    rest = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_arrays(raw: bytes, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz, all of them one-dimensional.

    Raises:
        Misshapen: it is not an .npz, unpacks to too many bytes, lacks an array or has one of another kind.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(one.file_size for one in archive.infolist()) > MAX_ARRAYS:
                raise Misshapen(f"its arrays unpack to more than {MAX_ARRAYS >> 20} MiB")
            for name in names:
                _check_header(archive, name)
        with np.load(io.BytesIO(raw), allow_pickle=False) as kept:
            return {name: kept[name] for name in names}
    except Misshapen:
        raise
    except Exception as error:  # the parsers of zipfile and numpy may raise anything
        raise Misshapen("its arrays cannot be read") from error


def _check_header(archive: zipfile.ZipFile, name: str) -> None:
    """Check that an array is as long as its header says, so that no memory is allocated for missing numbers."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(stream)
        if kind.kind not in "biuf" or len(shape) != 1 or shape[0] * kind.itemsize + stream.tell() != member.file_size:
            raise Misshapen(f"{name} is not a row of numbers")


def check_arrays(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise Misshapen if the rank counts differ in length, are out of order, or do not fit the number of items."""
    columns = [arrays[name] for name in ("session", "length", "greater", "equal")]
    if any(one.dtype.kind not in "iu" for one in columns):
        raise Misshapen("its rank counts are not integers")
    if len({len(one) for one in columns}) > 1 or not len(columns[0]):
        raise Misshapen("its arrays are not of one length")
    if any(int(one.min()) < 0 or int(one.max()) > MAX_ITEMS for one in columns):
        raise Misshapen("a negative count, or one beyond 31 bits")
    session, _, greater, equal = (one.astype(np.int64) for one in columns)
    n_items = content["split"]["n_items"]
    if (greater + equal + 1 > n_items).any():
        raise Misshapen(f"a rank outside 1 to {n_items}")
    if (np.diff(session) < 0).any():
        raise Misshapen("its sessions are not in order")


def check_attention(means: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise Misshapen if the attention weights are not finite or do not fit the lengths of their prefixes."""
    weights, is_target, lengths = (arrays[f"attention_{name}"] for name in ("weights", "is_target", "lengths"))
    if lengths.dtype.kind not in "iu" or is_target.dtype != bool or weights.dtype.kind != "f":
        raise Misshapen("its attention is of other types")
    if (lengths < 1).any() or not int(lengths.sum()) == len(weights) == len(is_target):
        raise Misshapen("its attention weights are not as many as their clicks")
    if not np.isfinite(weights).all():  # without a softmax they may be negative or above 1
        raise Misshapen("an attention weight that is not a finite number")
    if [len(row) for row in means["weight"]] != list(range(1, len(means["examples"]) + 1)):
        raise Misshapen("its mean attention weights are not a row for every length of prefix")
