"""Read a click log from text into columns of integers, fast and strictly: every row is checked, none is ever dropped.

A log of tens of millions of rows is read block by block. Within a block all separators are found in one step, and a
column is read digit by digit for all rows together. An error names the file and the line, and says what was expected.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from reproduce.errors import InputError
from reproduce.files import is_regular
from reproduce.reading.parsers import Parser

BLOCK = 1 << 22  # bytes per read
NEWLINE, RETURN = 10, 13


@dataclass(frozen=True)
class Column:
    """A column to read: its place in a row if the log has no header, and its possible names if it has one."""

    place: int
    names: tuple[str, ...]
    parse: Parser
    expected: str  # what a field should look like, for error messages


@dataclass(frozen=True)
class Format:
    """The shape of a log's rows."""

    separator: str
    fields: int  # per row, if the log has no header
    columns: Mapping[str, Column]


@dataclass(frozen=True, eq=False)
class ClickLog:
    """The rows of a log in file order. Each array has shape (rows,)."""

    session: np.ndarray
    item: np.ndarray
    date: np.ndarray  # seconds since 1970, UTC; decides between train and test
    time: np.ndarray  # the key by which the clicks of a session are sorted, if they are sorted

    def __len__(self) -> int:
        return len(self.session)


class _Misfit(Exception):
    """A row of a block is malformed: its index, counted from 0, and the reason."""

    def __init__(self, row: int, why: str):
        super().__init__(why)
        self.row, self.why = row, why


def find(data: Path, name: str) -> list[Path]:
    """Find the log in a data folder: the plain file, else its .gz, else its .zip, in a list of at most one."""
    return [file for ending in ("", ".gz", ".zip") if is_regular(file := data / (name + ending))][:1]


def find_unreadable(data: Path, *names: str) -> list[Path]:
    """Find an archive that the suite cannot unpack, in a list of at most one; `read` tells the user how to."""
    return [data / name for name in names if is_regular(data / name)][:1]


def read(file: Path, form: Format, member: str = "*") -> dict[str, np.ndarray]:
    """Read the columns of a log: arrays of integers by name, each (rows,), int32 if all values fit, else int64.

    Args:
        member: a pattern for the file to read from a .zip that holds several.

    Raises:
        InputError: the file is absent, packed in a way that cannot be read, empty, cut short or not plain text, or a
            row is malformed; it names the file, the line, what was found and what was expected.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in form.columns}
    line = 1  # the number of the block's first line
    try:
        for block in _whole_lines(content(file, member)):
            if line == 1:
                form, block, line = _header(form, block)
                if not block:
                    continue
            for name, values in _columns(block, form).items():
                parts[name].append(values)
            line += block.count(b"\n")
    except _Misfit as misfit:
        raise InputError(f"{file}: line {line + misfit.row}: {misfit.why}") from misfit
    if not any(len(one) for one in next(iter(parts.values()))):
        raise InputError(f"{file}: line {line}: the file ends before its first row, expected a click log")
    return {name: np.concatenate(values) for name, values in parts.items()}


def content(file: Path, member: str = "*") -> Iterator[bytes]:
    """Yield the unpacked text of a log, a few megabytes at a time.

    Raises:
        InputError: the file is absent or packed in a way that cannot be read, or the archive is broken.
    """
    line = 0  # complete lines so far
    try:
        with _opened(file, member) as stream:
            while block := stream.read(BLOCK):
                yield block
                line += block.count(b"\n")
    except InputError:
        raise
    except RuntimeError as error:  # from zipfile: a password or an unsupported method
        raise InputError(f"{file}: cannot be unpacked ({error}); unpack it by hand") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{file}: {_torn(line)}") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a broken archive can make the unpackers raise anything: bad names, bad data
        raise InputError(f"{file}: {_torn(line)}") from error


def _torn(line: int) -> str:
    return f"the archive breaks off or is broken after line {line}, expected a whole one; get another copy"


@contextmanager
def _opened(file: Path, member: str) -> Iterator[IO[bytes]]:
    if file.suffix == ".7z":
        raise InputError(
            f"{file}: a .7z is not read; unpack it in its folder: `7z x {file.name}` (p7zip) or `bsdtar -xf`"
        )
    if file.suffix == ".gz":
        with gzip.open(file) as stream:
            yield stream  # type: ignore[misc]
    elif file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            names = [one for one in archive.namelist() if Path(one).match(member) and not one.endswith("/")]
            if len(names) != 1:
                raise InputError(f"{file}: expected one file {member} inside, found {len(names) or 'none'}")
            with archive.open(names[0]) as stream:
                yield stream
    else:
        with file.open("rb") as stream:
            yield stream


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup blocks so that each ends at the end of a line; add the final newline if it is missing."""
    rest = b""
    for block in blocks:
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += tail
            if len(rest) > 2 * BLOCK:
                raise _Misfit(0, f"no end of line within {len(rest):,} bytes, expected a row of text")
    if rest:
        yield rest + b"\n"


def _header(form: Format, block: bytes) -> tuple[Format, bytes, int]:
    """Split off a header: return the format that it describes, the rows, and the number of the first row's line."""
    block = block.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors write
    if block[:1].isdigit() or block[:1] == b"\n":
        return form, block, 1
    _check_text(block[: block.index(b"\n") + 1])
    head, _, rows = block.partition(b"\n")
    found = head.decode("ascii").strip().split(form.separator)
    spelled = [_plain(name) for name in found]
    columns = {}
    for key, column in form.columns.items():
        places = [i for i, name in enumerate(spelled) if name in map(_plain, column.names)]
        if len(places) != 1:
            expected = " or ".join(column.names)
            told = f"no column {expected}" if not places else f"more than one column {expected}"
            raise _Misfit(0, f"{told} in {_shown(head)}, expected one between {form.separator!r}")
        columns[key] = Column(places[0], column.names, column.parse, column.expected)
    return Format(form.separator, len(found), columns), rows, 2


def _plain(name: str) -> str:
    return name.strip().strip('"').replace("_", "").lower()


def _columns(block: bytes, form: Format) -> dict[str, np.ndarray]:
    _check_text(block)
    text = np.frombuffer(block, np.uint8)
    ends = _ends(block, text, form)  # (rows, fields)
    columns = {}
    for name, column in form.columns.items():
        start = ends[:, column.place - 1] + 1 if column.place else np.concatenate([[0], ends[:-1, -1] + 1])
        stop = ends[:, column.place]
        if column.place == form.fields - 1:
            stop = stop - (text[np.maximum(stop - 1, 0)] == RETURN)
        values, good = column.parse(text, start, stop)
        if not good.all():
            row = int(np.argmin(good))
            found = _shown(block[start[row] : stop[row]])
            raise _Misfit(row, f"{column.names[0]} is {found}, expected {column.expected}")
        columns[name] = values.astype(np.int32) if values.max(initial=0) < 2**31 else values
    return columns


def _check_text(block: bytes) -> None:
    if block.isascii() and b"\0" not in block:
        return
    text = np.frombuffer(block, np.uint8)
    at = int(np.argmax((text > 127) | (text == 0)))
    raise _Misfit(block.count(b"\n", 0, at), f"byte 0x{block[at]:02x}, expected plain text in ASCII or UTF-8")


def _ends(block: bytes, text: np.ndarray, form: Format) -> np.ndarray:
    """Find where every field of every row ends, (rows, fields)."""
    ends = np.flatnonzero((text == ord(form.separator)) | (text == NEWLINE))
    rows = block.count(b"\n")
    if len(ends) == rows * form.fields:
        table = ends.reshape(rows, form.fields)
        if (text[table[:, -1]] == NEWLINE).all():
            return table
    for row, line in enumerate(block.split(b"\n")[:-1]):  # not splitlines: a lone carriage return does not end a line
        found = line.count(form.separator.encode()) + 1
        if found != form.fields:
            told = f"{found} field{'s' * (found != 1)} in {_shown(line)}"
            raise _Misfit(row, f"{told}, expected {form.fields} between {form.separator!r}")
    raise AssertionError("every row has its fields, yet they do not add up")


def _shown(text: bytes) -> str:
    told = text.decode("ascii", "backslashreplace")
    return repr(told if len(told) <= 60 else told[:57] + "...")
