"""Read a table of clicks (.csv, .tsv, .parquet) strictly: every row is checked, none is dropped, ids may be any text.

Text is read by the standard library's csv, which handles quoted fields and the newlines inside them. An error names
the file and the line, and says what was expected.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.reading import clicklog
from reproduce.reading.own_times import BadTime, TimeColumn

SEPARATORS = ",;\t|"
BLOCK = 100_000  # rows whose times are parsed together
# What programs write for a missing value; taken as an id, it would merge all such rows into one session or item.
MISSING = frozenset({"", "nan", "NaN", "null", "NULL", "None", "<NA>"})
Choose = Callable[[Sequence[str], str], Mapping[str, int]]  # (header, file and line for messages) -> role -> place


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a log in file order, with ids numbered by first appearance."""

    owner: np.ndarray  # (rows,) number of the session, or of the user if the log has no sessions
    item: np.ndarray  # (rows,) number of the item
    time: np.ndarray  # (rows,) microseconds since 1970, UTC
    items: Sequence[str]  # the log's own ids, indexed by number
    names: Mapping[str, str]  # role -> column name in the log
    times: str  # the format of the times, in words


def read(file: Path, choose: Choose, unit: str | None = None) -> Table:
    """Read a table in the format that its file name ends in; .gz and .zip are unpacked.

    Args:
        choose: picks the columns from the header: the session or user first, then item and time.
        unit: of numeric times: s, ms or us; None: inferred from their size.

    Raises:
        InputError: the file is absent or broken, or a row is malformed; it names the file, the line and the remedy.
        UsageError: the columns that the user names do not fit the table.
    """
    if file.suffix == ".parquet":
        from reproduce.reading.own_parquet import read as read_parquet

        return read_parquet(file, choose, unit)
    rows = _rows(file)
    first, header = next(rows, (1, []))
    if not header:
        raise InputError(f"{file}: line {first}: expected a line with the names of the columns")
    places = choose(header, f"{file}: line {first}")
    lines, owner, item, owners, items, times = _columns(file, rows, len(header), list(places.items()), unit)
    if not lines:
        raise InputError(f"{file}: it ends before its first row, expected a click log")
    names = {role: header[place].strip() for role, place in places.items()}
    roles = list(places)
    for role, codes, known in ((roles[0], owner, owners), (roles[1], item, items)):
        for code, text in enumerate(known):
            if "\0" in text or not text.strip():
                line = lines[int(np.argmax(np.asarray(codes) == code))]
                raise InputError(f"{file}: line {line}: the {role} is {text!r}, expected an id; mend or remove the row")
    try:
        values, told = times.finish()
    except BadTime as bad:
        raise InputError(f"{file}: line {lines[bad.row]}: {bad.why}") from bad
    return Table(np.asarray(owner), np.asarray(item), values, list(items), names, told)


def _columns(
    file: Path, rows: Iterator[tuple[int, list[str]]], width: int, places: list[tuple[str, int]], unit: str | None
) -> tuple[array[int], array[int], array[int], dict[str, int], dict[str, int], TimeColumn]:
    """Read the columns: each row's line, owner and item number; the numbers of owners and items by id; the times."""
    (owner_role, owner_place), (item_role, item_place), (time_role, time_place) = places
    lines, owner, item = array("q"), array("q"), array("q")
    owners: dict[str, int] = {}
    items: dict[str, int] = {}
    column, blank = TimeColumn(unit), 0
    texts: list[str] = []

    def take() -> None:
        try:
            column.take(texts)
        except BadTime as bad:
            raise InputError(f"{file}: line {lines[bad.row]}: {bad.why}") from bad
        texts.clear()

    for line, row in rows:
        if not row:
            blank = blank or line
            continue
        if blank:
            raise InputError(f"{file}: line {blank}: it is empty, and rows follow; remove it, or get a whole copy")
        if len(row) != width:
            shown = ", ".join(row) if len(", ".join(row)) <= 60 else ", ".join(row)[:57] + "..."
            raise InputError(f"{file}: line {line}: {len(row)} fields in {shown!r}, expected {width} as in the header")
        a, b, time = row[owner_place], row[item_place], row[time_place]
        if a in MISSING or b in MISSING or time in MISSING:
            role, text = next(p for p in ((owner_role, a), (item_role, b), (time_role, time)) if p[1] in MISSING)
            raise InputError(f"{file}: line {line}: the {role} is missing ({text!r}); fill it in or remove such rows")
        lines.append(line)
        owner.append(owners.setdefault(a, len(owners)))
        item.append(items.setdefault(b, len(items)))
        texts.append(time)
        if len(texts) == BLOCK:
            take()
    take()
    return lines, owner, item, owners, items, column


class _Blocks(io.RawIOBase):
    """A readable stream over blocks of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks, self.rest = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.rest:
            block = next(self.blocks, None)
            if block is None:
                return 0
            self.rest = memoryview(block)
        n = min(len(buffer), len(self.rest))
        buffer[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield every row with the line it begins on, counted from 1; an empty line gives a row without fields."""
    stream = io.TextIOWrapper(io.BufferedReader(_Blocks(clicklog.content(file)), 1 << 16), "utf-8-sig", newline="")
    line = 1
    try:
        reader = csv.reader(stream, delimiter=_separator(file), strict=True)
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{file}: line {line}: {error}; is a quote opened there and not closed?") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: line {_undecodable(file)}: not UTF-8; save the file as UTF-8") from error


def _separator(file: Path) -> str:
    """Find the separator: a tab in a .tsv, else the candidate that occurs most often in the first line."""
    if ".tsv" in file.suffixes:
        return "\t"
    head = next(clicklog.content(file), b"").partition(b"\n")[0].decode("utf-8", "replace")
    return max(SEPARATORS, key=head.count)


def _undecodable(file: Path) -> int:
    """Find the line of the first byte that is not UTF-8."""
    stream = io.BufferedReader(_Blocks(clicklog.content(file)), 1 << 16)
    for number, line in enumerate(stream, 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    return 1
