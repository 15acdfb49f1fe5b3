"""The schema of a record: what every key of its .json must hold, and what its arrays must be.

Records come from elsewhere: with a checkout, from a colleague, from a damaged disk. A record is therefore checked as a
whole when it is loaded; code that has a Result need not check again. A message names the place in the record where
something is wrong and never shows what was found there.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from reproduce.runs.experiment import MAX_SEED, SCHEMA

MAX_TABLE, MAX_ARRAYS = 16 << 20, 256 << 20  # bytes of a .json, and of an .npz unpacked; the largest known has 1 MiB
MAX_ITEMS = 2**31 - 1
MAX_LENGTH = 100_000  # of a list
DIGEST = "digest"  # of all other keys; older records have none
WORDS = {bool: "true or false", int: "an integer", float: "a finite number", str: "a text", NoneType: "null"}


class Misshapen(ValueError):
    """A file is not a valid record; the message says where, and what was expected there."""


class OtherSchema(Misshapen):
    """A record has another schema; the message says what to do."""


@dataclass(frozen=True)
class A:
    """What is expected of a value beyond its type, in words and as a test."""

    expected: str
    test: Callable[[Any], bool]


def within(low: float, high: float) -> A:
    return A(f"a number from {low:g} to {high:g}", lambda value: low <= value <= high)


def matching(expected: str, pattern: str) -> A:
    return A(expected, lambda value: re.fullmatch(pattern, value) is not None)


Text = Annotated[str, A("a text of a line", lambda value: len(value) <= 2_000 and value.isprintable())]
Name = Annotated[str, matching("a name", "[A-Za-z0-9_-]{1,200}")]
Sha256 = Annotated[str, matching("a sha256", "[0-9a-f]{64}")]
Count = Annotated[int, within(0, 2**53)]
Share = Annotated[float, within(0.0, 1.0)]
PerCent = Annotated[float, within(0.0, 100.0)]
Positive = Annotated[float, within(0.0, 1e300)]
Plain = bool | int | float | str | None
Value = Plain | list[Plain]
Fields = dict[str, Value]


# Keys with a default may be absent. Other keys than these are allowed only where OTHERS says what they hold.


@dataclass
class Cause:
    dataset: Name
    model: Name
    params: Fields
    seed: Annotated[int, within(0, MAX_SEED)]


@dataclass
class Provenance:
    source: Text
    order: Literal["time", "file"]
    emulated: bool
    files: dict[str, Sha256]
    counts: dict[str, Positive]
    published: dict[str, Positive]
    note: Text
    reconstructed: bool = False
    OTHERS: ClassVar[Any] = Value


@dataclass
class SplitOfRecord:
    digest: Name
    n_items: Annotated[int, within(1, MAX_ITEMS)]
    provenance: Provenance
    vocabulary: Sha256 = ""  # of a user's own data


@dataclass
class Epoch:
    epoch: Annotated[int, within(1, 2**31)]
    validation_recall: PerCent = 0.0
    OTHERS: ClassVar[Any] = float


@dataclass
class Sitting:
    epochs: Count
    device: Text = ""
    threads: Count = 0
    torch: Text = ""
    commit: Text | None = None
    dirty: bool | None = None
    OTHERS: ClassVar[Any] = Value


@dataclass
class Environment:
    device: Text
    threads: Count
    torch: Text
    commit: Text | None
    dirty: bool | None
    resumed: list[Sitting]
    source: Sha256 = ""  # of a user's own model
    scoring_chunk: Count = 0
    OTHERS: ClassVar[Any] = Value


@dataclass
class Repeat:
    examples: Count
    weight: float
    even: Share


@dataclass
class Means:
    examples: list[Count]
    weight: list[list[float]]
    repeat: Repeat
    saturated: Share = 0.0
    OTHERS: ClassVar[Any] = Value


@dataclass
class Record:
    schema: Literal[SCHEMA]  # type: ignore[valid-type]
    identity: Sha256
    experiment: Cause
    fields: Fields
    split: SplitOfRecord
    recall_at_20: PerCent
    mrr_at_20: PerCent
    examples: Annotated[int, within(1, 2**40)]
    best_epoch: Annotated[int, within(1, 2**31)] | None
    epochs: list[Epoch]
    environment: Environment
    attention: Means | None
    arrays_sha256: Sha256
    digest: Sha256 = ""


def fit(value: Any, kind: Any, place: str) -> None:
    """Raise Misshapen, naming the place, unless a value parsed from JSON is of a declared kind."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        fit(value, parts[0], place)
        if not parts[1].test(value):
            raise Misshapen(f"{place} is not {parts[1].expected}")
    elif origin in (Union, UnionType):
        _fit_one_of(value, parts, place)
    elif origin is Literal:
        if type(value) is not type(parts[0]) or value not in parts:
            raise Misshapen(f"{place} is not {' or '.join(map(str, parts))}")
    elif origin is list:
        if type(value) is not list or len(value) > MAX_LENGTH:
            raise Misshapen(f"{place} is not a list of at most {MAX_LENGTH:,}")
        for i, member in enumerate(value):
            fit(member, parts[0], f"{place}[{i}]")
    elif origin is dict:
        if type(value) is not dict or len(value) > 1_000 or any(len(key) > 200 for key in value):
            raise Misshapen(f"{place} is not an object of short keys")
        for key, member in value.items():
            fit(member, parts[1], f"{place}.{key}")
    elif is_dataclass(kind):
        _fit_object(value, kind, place)
    elif type(value) is not kind and not (kind is float and type(value) is int):
        raise Misshapen(f"{place} is not {WORDS[kind]}")
    elif kind is float and not abs(value) < 1e300:
        raise Misshapen(f"{place} is not a finite number")


def _fit_one_of(value: Any, kinds: tuple[Any, ...], place: str) -> None:
    rest = [kind for kind in kinds if kind is not NoneType]
    if value is None and len(rest) < len(kinds):
        return None
    if len(rest) == 1:
        return fit(value, rest[0], place)
    for kind in rest:
        if type(value) is (get_origin(kind) or kind):
            return fit(value, kind, place)
    raise Misshapen(f"{place} is not a plain value")


def _fit_object(value: Any, kind: Any, place: str) -> None:
    if type(value) is not dict:
        raise Misshapen(f"{place or 'the record'} is not an object")
    kinds, required = _declared(kind)
    if missing := [key for key in required if key not in value]:
        raise Misshapen(f"{place or 'the record'} lacks {', '.join(missing)}")
    for key, member in value.items():
        declared = kinds.get(key, getattr(kind, "OTHERS", None))
        if declared is None:
            raise Misshapen(f"{place or 'the record'} has keys that no record has")
        fit(member, declared, f"{place}.{key}" if place else key)


@lru_cache
def _declared(kind: Any) -> tuple[dict[str, Any], list[str]]:
    """The kind of every key of a dataclass, and the keys that must be there."""
    hints = get_type_hints(kind, globals(), include_extras=True)
    return {key.name: hints[key.name] for key in fields(kind)}, [
        key.name for key in fields(kind) if key.default is MISSING
    ]


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
    """Raise Misshapen if a .json is not a Record or was changed after it was written."""
    schema = content.get("schema")
    if type(schema) is int and schema != SCHEMA:
        named = str(schema) if abs(schema) < 10**9 else "unknown"
        raise OtherSchema(f"schema {named}, this suite reads schema {SCHEMA}; use the suite that wrote it")
    fit(content, Record, "")
    if DIGEST in content and content[DIGEST] != digest(content):
        raise Misshapen("changed after it was written: its digest is of another content")


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
            if sum(member.file_size for member in archive.infolist()) > MAX_ARRAYS:
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
    if any(column.dtype.kind not in "iu" for column in columns):
        raise Misshapen("its rank counts are not integers")
    if len({len(column) for column in columns}) > 1 or not len(columns[0]):
        raise Misshapen("its arrays are not of one length")
    if any(int(column.min()) < 0 or int(column.max()) > MAX_ITEMS for column in columns):
        raise Misshapen("a negative count, or one beyond 31 bits")
    session, _, greater, equal = (column.astype(np.int64) for column in columns)
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
