"""Read any table of clicks strictly into numbered sessions, items and times: every row is checked, none is dropped.

A file becomes batches of Arrow columns, of text or of a file's own types, which are checked and numbered batch by
batch. Text is read by Arrow's reader, and from the first quote on that is not simply around a field by the standard
library's csv: up to there both read alike. An error names the file, the line (the row, if a file has no lines), and
the remedy.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from reproduce.errors import InputError, in_a_line
from reproduce.reading import content
from reproduce.reading.columns import Form, Places, counted, recognised
from reproduce.reading.times import Misfit, Times, first_misfit, span

TEXT, JSON, PARQUET = (".csv", ".tsv", ".txt", ".dat", ".inter"), (".jsonl", ".ndjson"), (".parquet", ".pq")
ENDINGS = (*TEXT, *JSON, *PARQUET)
SEPARATORS = ",;\t|"
ROWS = 100_000  # in a batch of csv, of Parquet and of a data frame
JOIN = "\x1f"  # between the parts of an id that is made of several columns; a space in a time
EMPTY = "it is empty, and rows follow; remove it, or get a whole copy"
UNCLOSED = "is a quote opened there and not closed?"


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a log in file order, with ids numbered by first appearance. Each array has shape (rows,)."""

    owner: np.ndarray  # the number of the session, or of the user if sessions are to be cut; the log's, if whole
    item: np.ndarray
    time: np.ndarray  # microseconds since 1970, UTC
    order: np.ndarray | None  # what orders clicks of one time, if there is such a column
    owners: np.ndarray  # the log's own ids, by number; empty if whole
    items: np.ndarray
    names: Mapping[str, str]  # role -> column in the log
    times: str  # the form of the times, in words
    events: tuple[str, ...]  # the values of a column that looks like the type of the event; at most a dozen
    left_out: int  # rows that `where` leaves out
    of_file: tuple[int, ...]  # rows of each file


class Rows(NamedTuple):
    """Some rows of a file: a column for each place that was asked for, and the number of each row's line."""

    columns: list[pa.Array]
    lines: Sequence[int]


class File(Protocol):
    """A file whose head is read: its columns and where they stand, for messages, and then its rows."""

    header: list[str] | int  # the names of the columns, or how many there are
    where: str
    counts: str  # "line", or "row" if it has no lines

    def batches(self, places: list[int]) -> Iterator[Rows]: ...


def read(sources: Sequence[Any], form: Form) -> Table:
    """Read a table in one or several parts with the same columns, each a file or a data frame.

    Raises:
        InputError: a file is absent or broken, or a row is malformed; it names the file, the line and the remedy.
        UsageError: the columns that the user names do not fit the table.
    """
    columns, names = Columns(form), dict[str, str]()
    for source in sources:
        opened = opened_file(source, form) if isinstance(source, Path) else Frame(source)
        title = str(source) if isinstance(source, Path) else opened.where
        places = recognised(opened.header, form, opened.where)
        found = {role: "+".join(_name(opened.header, i) for i in several) for role, several in places.items()}
        if names and found != names:
            raise InputError(f"{title}: its columns are {found}, where {sources[0]} has {names}")
        names = found
        wanted = sorted({place for several in places.values() for place in several})
        columns.of_file.append(0)
        for rows in opened.batches(wanted):
            try:
                columns.add(dict(zip(wanted, rows.columns, strict=True)), places)
            except Misfit as misfit:
                line = rows.lines[columns.row(misfit)]
                raise InputError(f"{title}: {opened.counts} {line}: {misfit.why}") from misfit
    if not sum(columns.of_file):
        if columns.left_out:
            shown = "; ".join(f"{name} has {', '.join(sorted(values))}" for name, values in columns.seen.items())
            raise InputError(f"{title}: --where leaves no row: {in_a_line(shown, 300)}")
        raise InputError(f"{title}: no row to read, expected a click log")
    whole = str(title if len(sources) == 1 else Path(title).parent)
    return columns.table(whole, {role: name for role, name in names.items() if not role.startswith("where ")})


def _name(header: list[str] | int, place: int) -> str:
    return str(place + 1) if isinstance(header, int) else header[place]


def plain(column: pa.Array) -> pa.Array:
    """Bring Arrow's several types of text to one, and dictionaries to their values."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return column if column.type == kind else column.cast(kind)


def _present(role: str, column: pa.Array, form: Form) -> None:
    """Raise Misfit for a value that is missing: null, or a word that says so."""
    absent = pc.or_(column.is_null(), pc.is_in(column.cast(pa.string()), pa.array(sorted(form.missing))))
    if (row := pc.index(absent, True).as_py()) >= 0:
        shown = "" if column[row].as_py() is None else f" ({str(column[row].as_py())!r})"
        raise Misfit(row, f"the {role} is missing{shown}; fill it in or remove such rows")


class Columns:
    """The columns of a log, role by role, to which batches are added."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.owner = Ids("user" if form.gap else "session", form)
        self.item, self.times = Ids("item", form), Times(form)
        self.user: Ids | None = None if form.gap or form.whole else Ids("user", form, optional=True)
        self.micros: list[np.ndarray] = []
        self.orders: list[np.ndarray] = []
        self.events: set[str] = set()
        self.seen: dict[str, set[str]] = {name: set() for name in form.where}  # some values, for a message
        self.left_out, self.of_file = 0, list[int]()
        self.kept: np.ndarray | None = None  # the rows of the batch that `where` keeps; None: all

    def add(self, columns: Mapping[int, pa.Array], places: Places) -> None:
        """Add a batch of columns by their places. Raises Misfit."""
        n, self.kept = len(columns[places["item"][0]]), None
        columns = {place: plain(column) for place, column in columns.items()}
        if self.form.where:
            chosen = np.ones(n, bool)
            for name, values in self.form.where.items():
                texts = columns[places[f"where {name}"][0]].cast(pa.string())
                chosen &= pc.is_in(texts, pa.array(list(values))).to_numpy(zero_copy_only=False)
                self.seen[name].update(map(str, pc.unique(texts).to_pylist()[: max(20 - len(self.seen[name]), 0)]))
            self.kept = np.flatnonzero(chosen)
            self.left_out += n - len(self.kept)
            columns = {place: column.take(pa.array(self.kept)) for place, column in columns.items()}
            n = len(self.kept)
        if not n:
            return
        self.owner.add(self._column(self.owner.role, columns, places))
        self.item.add(self._column("item", columns, places))
        self.micros.append(self.times.read(self._column("time", columns, places)))
        if self.user and "user" in places:
            self.user.add(columns[places["user"][0]])
        if "order" in places:
            self.orders.append(_whole("order", self._column("order", columns, places)))
        if "event" in places and not pa.types.is_nested((event := columns[places["event"][0]]).type):
            self.events.update(map(str, pc.unique(event).to_pylist()[: max(12 - len(self.events), 0)]))
        self.of_file[-1] += n

    def row(self, misfit: Misfit) -> int:
        """Return the row of the last batch that a Misfit is about; its own row is counted among those kept."""
        return misfit.row if self.kept is None else int(self.kept[misfit.row])

    def _column(self, role: str, columns: Mapping[int, pa.Array], places: Places) -> pa.Array:
        """Return the column of a role, in which no value is null; ids of several columns are joined."""
        parts = [columns[place] for place in places[role]]
        for part in parts:
            if part.null_count or self.form.numbers_missing or len(parts) > 1:
                if pa.types.is_nested(part.type):
                    raise Misfit(0, f"the {role} is of type {part.type}, expected text, numbers or times")
                _present(role, part, self.form)
        if len(parts) == 1:
            return parts[0]
        texts = [part.cast(pa.string()) for part in parts]
        if role == "time":
            return pc.binary_join_element_wise(*texts, " ")
        for text in texts:
            if (row := pc.index(pc.match_substring(text, JOIN), True).as_py()) >= 0:
                raise Misfit(row, f"the {role} is {text[row].as_py()!r}, expected an id; mend or remove the row")
        return pc.binary_join_element_wise(*texts, JOIN)

    def table(self, title: str, names: dict[str, str]) -> Table:
        """Number all ids and return the table; the parts are freed."""
        owner, owners = self.owner.numbered()
        if self.user and self.user.parts:
            _check_users(title, (owner, owners), self.user.numbered(), self.form, names)
            names = {role: name for role, name in names.items() if role != "user"}
        item, items = self.item.numbered()
        micros = _joined(self.micros)
        times = f"{self.times.words}, {span(micros)}"
        order = _joined(self.orders) if self.orders else None
        names = {role: name for role, name in names.items() if role != "event" or len(self.events) > 1}
        events = tuple(sorted(self.events)) if "event" in names else ()
        pa.default_memory_pool().release_unused()
        return Table(
            owner, item, micros, order, owners, items, names, times, events, self.left_out, tuple(self.of_file)
        )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate the parts, and free each as soon as it is copied."""
    whole, place = np.empty(sum(map(len, parts)), max(part.dtype for part in parts)), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        whole[place : place + len(part)], place = part, place + len(part)
    return whole


def _whole(role: str, values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        good = pc.and_(pc.ascii_is_decimal(values), pc.less_equal(pc.binary_length(values), 18))
    elif pa.types.is_integer(values.type):
        good = pc.and_(pc.greater_equal(values, 0), pc.less(values, 2**62)).fill_null(False)
    else:
        raise Misfit(0, f"the {role} is of type {values.type}, expected whole numbers")
    if (row := pc.index(good, False).as_py()) >= 0:
        raise Misfit(row, f"the {role} is {str(values[row].as_py())[:120]!r}, expected a whole number")
    return values.cast(pa.int64()).to_numpy()


Numbered = tuple[np.ndarray, np.ndarray]  # the number of every row, (rows,), and the ids by number


def _check_users(title: str, sessions: Numbered, users: Numbered, form: Form, names: Mapping[str, str]) -> None:
    """Raise InputError if a session id occurs with several users; rows without a user do not count."""
    (session, session_ids), (user, users_ids) = sessions, users
    known = np.flatnonzero(~np.isin(users_ids, list(form.missing))[user])
    first = np.zeros(session.max() + 1, np.int64)
    first[session[known][::-1]] = user[known][::-1]
    of_other = session[known][first[session[known]] != user[known]]
    if len(of_other):
        key = f"{names['user']}+{names['session']}"
        raise InputError(
            f"{title}: {len(np.unique(of_other)):,} session ids occur with several users, such as "
            f"{session_ids[of_other[0]]!r}; if every user counts from the start, say --columns session={key}; "
            f"else remove the column {names['user']}"
        )


class Ids:
    """The ids of one role, numbered by first appearance; whole numbers without leading zeros are kept as such."""

    def __init__(self, role: str, form: Form, optional: bool = False) -> None:
        self.role, self.form, self.optional = role, form, optional
        self.parts: list[pa.Array] = []

    def add(self, values: pa.Array) -> None:
        """Add a batch. Raises Misfit."""
        if self.optional:
            texts = pa.nulls(len(values), pa.string()) if pa.types.is_nested(values.type) else values.cast(pa.string())
            self.parts.append(texts.fill_null("").dictionary_encode())
        elif pa.types.is_integer(values.type):
            self.parts.append(values.cast(pa.string() if values.type == pa.uint64() else pa.int64()))
        elif not pa.types.is_string(values.type):
            raise Misfit(0, f"the {self.role} is of type {values.type}, expected text or whole numbers")
        elif self._numeric(values):
            numbers = values.cast(pa.int64())
            self.parts.append(numbers.cast(pa.int32()) if pc.max(numbers).as_py() < 2**31 else numbers)
        else:
            coded = values.dictionary_encode()
            for code, text in enumerate(coded.dictionary.to_pylist()):
                if text in self.form.missing or not text:
                    why = f"is missing ({text!r}); fill it in or remove such rows"
                elif self.form.whole and not re.fullmatch("[0-9]{1,18}", text):
                    why = f"is {text[:120]!r}, expected a whole number"
                elif "\0" in text or not text.strip():
                    why = f"is {text!r}, expected an id; mend or remove the row"
                else:
                    continue
                raise Misfit(int(np.argmax(coded.indices.to_numpy() == code)), f"the {self.role} {why}")
            self.parts.append(coded.cast(pa.int64()) if self.form.whole else coded)

    def _numeric(self, values: pa.Array) -> bool:
        if not pc.all(pc.ascii_is_decimal(values)).as_py() or pc.max(pc.binary_length(values)).as_py() > 18:
            return False
        if self.form.whole or not pc.any(zero := pc.starts_with(values, "0")).as_py():
            return True
        return pc.max(pc.binary_length(values.filter(zero))).as_py() == 1

    def numbered(self) -> Numbered:
        """Return the number of every row, and the ids by number, as text; what was added is freed."""
        parts, self.parts = self.parts, []
        if all(pa.types.is_integer(part.type) for part in parts):
            arrays = [part.to_numpy() for part in parts]
            del parts
            if self.form.whole:  # as they are, since nobody asks for their text
                return _joined(arrays), np.empty(0, object)
            numbers, ids = pd.factorize(_joined(arrays))
            return numbers, np.array([str(number) for number in ids.tolist()], object)
        coded = pa.chunked_array([
            part if pa.types.is_dictionary(part.type) else part.cast(pa.string()).dictionary_encode() for part in parts
        ]).unify_dictionaries()  # fmt: skip
        numbers = np.concatenate([chunk.indices.to_numpy() for chunk in coded.chunks]).astype(np.int64)
        texts = coded.chunk(0).dictionary.to_pylist()
        return numbers, np.array([text.replace(JOIN, "+") for text in texts], object)


# --- files ------------------------------------------------------------------------------------------------------------


def opened_file(file: Path, form: Form) -> File:
    """Open a file in the format that its name ends in."""
    ending = content.ending(file)
    if file.suffix.lower() in content.UNREADABLE:
        next(content.unpacked(file))  # says how to unpack it
    if ending in PARQUET:
        return ParquetFile(file, form)
    return JsonFile(file, form) if ending in JSON else TextFile(file, form, ending)


class TextFile:
    """A table of text, with a click in each line."""

    counts = "line"

    def __init__(self, file: Path, form: Form, ending: str) -> None:
        self.file, self.where = file, f"{file}: line 1"
        self.blocks = content.blocks(file, form.member)
        _, block = next(self.blocks, (1, b""))
        head, _, rest = block.partition(b"\n")
        separator = form.separator or ("\t" if ending in (".tsv", ".inter") else None)
        self.separator = separator or max(SEPARATORS, key=head.decode().count)
        if b"\r" in head.rstrip(b"\r") or head.count(b'"') % 2:  # CR alone ends lines, or a name goes over several
            head, rest = block, b""
        rows = csv.reader(io.StringIO(head.decode(), newline=""), delimiter=self.separator, strict=True)
        try:
            names = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise InputError(f"{file}: line 1: {in_a_line(str(error))}; {UNCLOSED}") from error
        if not any(names):
            raise InputError(f"{file}: line 1: expected a line with the names of the columns")
        self.width = len(names)
        if counted(form.columns) or (form.bare and head[:1].isdigit()):
            self.header: list[str] | int = self.width
            self.first: tuple[int, bytes] = (1, block)
            return
        if head is block:
            rest = b"".join(block.splitlines(keepends=True)[rows.line_num :])
        if all(re.search(":(token|float|token_seq|float_seq)$", name) for name in names):  # RecBole's atomic files
            names = [name.partition(":")[0] for name in names]
        self.header, self.first = names, (1 + rows.line_num, rest)

    def batches(self, places: list[int]) -> Iterator[Rows]:
        blank = 0  # the line of the first empty one, which must not be followed by rows
        for line, text in itertools.chain([self.first], self.blocks):
            quoted = b'"' in text
            if quoted and not _simply_quoted(text, self.separator):
                yield from self._quoted(line, text, places, blank)
                return
            body = text.rstrip(b"\r\n")
            if text[:1] in (b"\n", b"\r"):
                blank = blank or line
            if body and blank:
                raise InputError(f"{self.file}: line {blank}: {EMPTY}")
            if body:
                yield Rows(self._parsed(line, body, places, quoted), range(line, line + len(body)))
                if content.ends(text[len(body) :]) > 1:
                    blank = line + content.ends(body) + 1

    def _parsed(self, line: int, body: bytes, places: list[int], quoted: bool) -> list[pa.Array]:
        """Read a block in which every row is a line."""
        names, bad = [str(i) for i in range(self.width)], list[Any]()
        if body.startswith(codecs.BOM_UTF8):  # part of an id; at the start of what Arrow reads it would be dropped
            body = codecs.BOM_UTF8 + body

        def refuse(row: Any) -> str:
            bad.append(row)
            return "error"

        how = pcsv.ParseOptions(
            delimiter=self.separator, quote_char='"' if quoted else False, ignore_empty_lines=False,
            invalid_row_handler=refuse,
        )  # fmt: skip
        convert = pcsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=[names[i] for i in places],
            strings_can_be_null=False, check_utf8=False,
        )  # fmt: skip
        options = pcsv.ReadOptions(column_names=names, use_threads=False, block_size=len(body) + 1)
        try:
            table = pcsv.read_csv(pa.BufferReader(body), options, how, convert)
        except pa.ArrowException as error:
            if not bad:
                raise InputError(f"{self.file}: line {line} or later: {in_a_line(str(error))}") from error
            row = bad[0]
            shown = row.text.replace(self.separator, ", ")
            raise self._ragged(line + row.number - 1, row.actual_columns, shown) from error
        columns = [table.column(i).combine_chunks() for i in range(len(places))]
        if pc.min(pc.binary_length(columns[0])).as_py() == 0:  # which an empty line would be, in Arrow's reading
            empty = [at + 1 for ends in (b"\n\n", b"\n\r", b"\r\r") if (at := body.find(ends)) >= 0]
            if empty:
                raise InputError(f"{self.file}: line {line + content.ends(body[: min(empty)])}: {EMPTY}")
        return columns

    def _ragged(self, line: int, fields: int, shown: str) -> InputError:
        if not shown:
            return InputError(f"{self.file}: line {line}: {EMPTY}")
        fault = f"{fields} field{'s' * (fields != 1)} in {in_a_line(shown, 60)!r}"
        other = "the header" if not isinstance(self.header, int) else "line 1"
        return InputError(f"{self.file}: line {line}: {fault}, expected {self.width} as in {other}")

    def _quoted(self, line: int, text: bytes, places: list[int], blank: int) -> Iterator[Rows]:
        """Read everything from this block on by csv, which knows quotes of every kind."""
        reader = csv.reader(self._lines(text), delimiter=self.separator, strict=True)
        before, at = line - 1, line
        rows: list[list[str]] = []
        lines: list[int] = []
        try:
            for row in reader:
                if not row:
                    blank = blank or at
                elif blank:
                    raise InputError(f"{self.file}: line {blank}: {EMPTY}")
                elif len(row) != self.width:
                    raise self._ragged(at, len(row), ", ".join(row))
                else:
                    rows.append(row)
                    lines.append(at)
                at = before + reader.line_num + 1
                if len(rows) == ROWS:
                    yield Rows([pa.array([row[i] for row in rows], pa.string()) for i in places], lines)
                    rows, lines = [], []
        except csv.Error as error:
            raise InputError(f"{self.file}: line {at}: {in_a_line(str(error))}; {UNCLOSED}") from error
        if rows:
            yield Rows([pa.array([row[i] for row in rows], pa.string()) for i in places], lines)

    def _lines(self, text: bytes) -> Iterator[str]:
        for _, block in itertools.chain([(0, text)], self.blocks):
            yield from io.StringIO(block.decode(), newline="")


def _simply_quoted(text: bytes, separator: str) -> bool:
    """Whether every quote begins or ends a whole field, on one line: what Arrow's reader and csv read alike."""
    raw, borders = np.frombuffer(b"\n" + text + b"\n", np.uint8), [10, 13, ord(separator)]
    at = np.flatnonzero(raw == ord('"'))
    line = np.searchsorted(np.flatnonzero((raw == 10) | (raw == 13)), at)
    return (
        len(at) % 2 == 0
        and bool((line[::2] == line[1::2]).all())
        and bool(np.isin(raw[at[::2] - 1], borders).all() and np.isin(raw[at[1::2] + 1], borders).all())
    )


class JsonFile:
    """JSON lines: an event a line; or a session a line with its events in a list, as OTTO has it."""

    counts = "line"
    LOOK = 1_000  # lines from which the types are told, since a value of the first may be null

    def __init__(self, file: Path, form: Form) -> None:
        self.file, self.where = file, f"{file}: line 1"
        self.blocks = content.blocks(file, form.member)
        self.first = next(self.blocks, (1, b""))
        if not self.first[1].strip():
            raise InputError(f"{self.where}: expected an object in each line")
        lines = enumerate(self.first[1].splitlines()[: self.LOOK], 1)
        objects = [self._object(line, text) for line, text in lines if text.strip()]
        self.nested = next((name for event in objects for name, value in event.items() if _events(value)), None)
        events = [event for whole in objects for event in _events(whole.get(self.nested or ""))]
        self.outer, self.inner = _kinds(objects), _kinds(events)
        self.header: list[str] | int = [*self.outer, *self.inner]

    def _object(self, line: int, text: bytes) -> dict[str, Any]:
        if not text.strip():
            raise InputError(f"{self.file}: line {line}: {EMPTY}")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            why = in_a_line(str(error))
            raise InputError(f"{self.file}: line {line}: not JSON ({why}); expected an object in each line") from error
        if not isinstance(value, dict):
            raise InputError(f"{self.file}: line {line}: a {type(value).__name__}, expected an object with names")
        return value

    def batches(self, places: list[int]) -> Iterator[Rows]:
        import pyarrow.json as pj

        n, names = len(self.outer), [*self.outer, *self.inner]
        kept = {names[i]: self.outer[names[i]] for i in places if i < n}
        inside = [(names[i], self.inner[names[i]]) for i in places if i >= n]
        if self.nested and inside:
            kept[self.nested] = pa.list_(pa.struct(inside))
        options = pj.ParseOptions(explicit_schema=pa.schema(kept), unexpected_field_behavior="ignore")
        blank = 0  # the line of an empty one, which must not be followed by others
        for line, block in itertools.chain([self.first], self.blocks):
            if not (body := block.rstrip()):
                blank = blank or line
                continue
            if blank:
                raise InputError(f"{self.file}: line {blank}: {EMPTY}")
            if content.ends(block[len(body) :]) > 1:
                blank = line + content.ends(body) + 1
            try:
                table = _objects(body, options)
            except pa.ArrowException as error:
                raise self._fault(line, body.splitlines(), options) from error
            columns = {name: table.column(name).combine_chunks() for name in kept}
            lines: Sequence[int] = range(line, line + len(table))
            if self.nested and inside:
                lists = columns[self.nested]
                if lists.null_count:
                    row = pc.index(lists.is_null(), True).as_py()
                    raise InputError(f"{self.file}: line {line + row}: {self.nested} is missing; fill it in")
                parents, events = pc.list_parent_indices(lists), pc.list_flatten(lists)
                columns = {name: columns[name].take(parents) for name in kept if name != self.nested}
                columns |= {f"in {name}": events.field(name) for name, _ in inside}
                lines = parents.to_numpy() + line
            yield Rows([columns[names[i] if i < n else f"in {names[i]}"] for i in places], lines)

    def _fault(self, first: int, lines: list[bytes], options: Any) -> InputError:
        """Say in which line of a block is what Arrow's reader refuses: by halving."""
        while len(lines) > 1:
            half = lines[: len(lines) // 2]
            try:
                _objects(b"\n".join(half), options)
                first, lines = first + len(half), lines[len(half) :]
            except pa.ArrowException:
                lines = half
        self._object(first, lines[0])
        try:
            _objects(lines[0], options)
            why = "it is no object of its own"
        except pa.ArrowException as error:
            why = in_a_line(str(error).removesuffix(" in row 0"), 300)
        return InputError(f"{self.file}: line {first}: {why}; write all lines alike")


def _objects(text: bytes, options: Any) -> pa.Table:
    """Read an object from each line. Raises ArrowException."""
    import pyarrow.json as pj

    if text.startswith(codecs.BOM_UTF8):  # which Arrow's reader would drop
        raise pa.ArrowInvalid("a byte order mark, expected an object in each line")
    table = pj.read_json(pa.BufferReader(text), pj.ReadOptions(False, len(text) + 1), options)
    if len(table) != content.ends(text) + 1:
        raise pa.ArrowInvalid("not an object in each line")
    return table


def _events(value: Any) -> list[dict[str, Any]]:
    """Return the events of a session, if a value of JSON is a list of some; else none."""
    return value if isinstance(value, list) and all(isinstance(event, dict) for event in value) else []


def _kinds(objects: Sequence[dict[str, Any]]) -> dict[str, pa.DataType]:
    """Return Arrow's type of each field, as its first value tells; of numbers, whether any is not whole."""
    kinds: dict[str, pa.DataType] = {}
    for name, value in (field for fields in objects for field in fields.items()):
        kind = {str: pa.string(), int: pa.int64(), float: pa.float64()}.get(type(value))
        if kind == pa.int64() and not -(2**63) <= value < 2**63:
            kind = pa.string()  # which Arrow's reader then refuses, and names the line
        if kind and (name not in kinds or (kinds[name], kind) == (pa.int64(), pa.float64())):
            kinds[name] = kind
    return kinds


class ParquetFile:
    """A Parquet file, of which only the columns that are needed are read."""

    counts = "row"

    def __init__(self, file: Path, form: Form) -> None:
        import pyarrow.parquet as pq

        self.file, self.where = file, str(file)
        try:
            if file.suffix.lower() in (*content.PACKED, *content.UNREADABLE):
                with tempfile.TemporaryFile() as whole:
                    for block in content.unpacked(file, form.member):
                        whole.write(block)
                    whole.seek(0)
                    self.source = pq.ParquetFile(pa.BufferReader(whole.read()))
            else:
                self.source = pq.ParquetFile(file)
            self.header: list[str] | int = self.source.schema_arrow.names
        except (OSError, ValueError, pa.ArrowException) as error:  # such as a name that is not UTF-8
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> InputError:
        why = in_a_line(str(error).partition("\n")[0])
        if isinstance(error, FileNotFoundError):
            return InputError(f"{self.file}: cannot be read (no such file)")
        return InputError(f"{self.file}: not whole Parquet, or broken ({why}); get another copy")

    def batches(self, places: list[int]) -> Iterator[Rows]:
        names = self.source.schema_arrow.names
        try:
            yield from _numbered(self.source.iter_batches(ROWS, columns=[names[i] for i in places]), self.where)
        except (OSError, pa.ArrowException) as error:
            raise self._broken(error) from error


class Frame:
    """A data frame of pandas or polars, or anything else that offers its columns to Arrow."""

    counts = "row"

    def __init__(self, frame: Any) -> None:
        self.where = "the data frame"
        try:
            self.source = frame if isinstance(frame, pa.Table) else pa.table(frame)
        except (TypeError, ValueError, pa.ArrowException) as error:
            why = in_a_line(str(error))
            raise InputError(f"{self.where}: its columns cannot be read ({why}); expected one type a column") from error
        self.header: list[str] | int = self.source.column_names

    def batches(self, places: list[int]) -> Iterator[Rows]:
        yield from _numbered(iter(self.source.select(places).to_batches(ROWS)), self.where)


def _numbered(batches: Iterator[pa.RecordBatch], where: str) -> Iterator[Rows]:
    first = 1
    for batch in batches:
        for column in batch.columns:
            try:
                column.validate(full=True)
            except pa.ArrowException as error:
                row = first + first_misfit(column, lambda some: some.validate(full=True))
                raise InputError(f"{where}: row {row}: not UTF-8, or broken ({in_a_line(str(error))})") from error
        yield Rows(list(batch.columns), range(first, first + len(batch)))
        first += len(batch)
