"""Read any table of clicks strictly into numbered sessions, items and times: every row is checked, none is dropped.

A file becomes batches of Arrow columns, of text or of the file's own types, which are checked and numbered batch by
batch. An error names the file, the line (the row, if a file has no lines), and the remedy.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from reproduce.errors import InputError, in_a_line
from reproduce.reading import content
from reproduce.reading.columns import Form, Places, counted, recognised
from reproduce.reading.preprocessing import ClickLog
from reproduce.reading.times import Misfit, Times, first_misfit, span

TEXT, JSON, PARQUET = (".csv", ".tsv", ".txt", ".dat", ".inter"), (".jsonl", ".ndjson"), (".parquet", ".pq")
ENDINGS = (*TEXT, *JSON, *PARQUET)
SEPARATORS = ",;\t|"
ROWS = 100_000  # in a batch of csv, of Parquet and of a data frame
JOIN = "\x1f"  # between the parts of an id that is made of several columns; a space in a time
EMPTY = "it is empty, and rows follow; remove it, or get a whole copy"
UNCLOSED = "is a quote opened there and not closed?"


# Columns in the order of the places that were asked for, and the line of each row.
Batch = tuple[list[pa.Array], Sequence[int]]


class File(ABC):
    """A file or frame whose head is read; `batches` then reads its rows.

    Attributes:
        name: what messages call it.
        counts: what they count in it, "line", or "row" if it has no lines.
        header: the names of the columns; "1", "2", ... if it has none.
    """

    header: list[str]

    def __init__(self, name: object, counts: str) -> None:
        self.name, self.counts = str(name), counts

    @property
    def top(self) -> str:
        """The place of the header, for messages."""
        return self.name if self.counts == "row" else f"{self.name}: line 1"

    def fault(self, number: int, why: str) -> InputError:
        return InputError(f"{self.name}: {self.counts} {number}: {why}")

    @abstractmethod
    def batches(self, places: list[int]) -> Iterator[Batch]:
        """Yield the columns at these places, some rows at a time."""


def opened_file(file: Path, form: Form) -> File:
    """Open a file in the format that its name ends in."""
    ending = content.ending(file)
    if ending in PARQUET:
        return TypedFile(file, form.member)
    return JsonFile(file, form) if ending in JSON else TextFile(file, form, ending)


class TextFile(File):
    """A table of text, with a click in each line.

    Arrow reads plain blocks of lines. From the first block that is not plain the standard library's csv reads, which
    knows quotes of every kind and says what is wrong in which line; up to there both read alike.
    """

    def __init__(self, file: Path, form: Form, ending: str) -> None:
        super().__init__(file, "line")
        self.blocks = content.blocks(file, form.member)
        _, block = next(self.blocks, (1, b""))
        text = block.decode()
        separator = form.separator or ("\t" if ending in (".tsv", ".inter") else None)
        self.separator = separator or max(SEPARATORS, key=text.partition("\n")[0].count)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
        try:
            names = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise self.fault(1, f"{in_a_line(str(error))}; {UNCLOSED}") from error
        if not any(names):
            raise self.fault(1, "expected a line with the names of the columns")
        self.headless = counted(form.columns) or (bool(form.bare) and block[:1].isdigit())
        if self.headless:
            self.header, self.first = [str(i + 1) for i in range(len(names))], (1, block)
            return
        if all(re.search(":(token|float|token_seq|float_seq)$", name) for name in names):  # RecBole's atomic files
            names = [name.partition(":")[0] for name in names]
        rest = b"".join(block.splitlines(keepends=True)[rows.line_num :])
        self.header, self.first = names, (1 + rows.line_num, rest)

    def batches(self, places: list[int]) -> Iterator[Batch]:
        blocks = itertools.chain([self.first], self.blocks)
        for line, text in blocks:
            columns = self._by_arrow(text, places)
            if columns is None:
                yield from self._by_csv(line, itertools.chain([text], (later for _, later in blocks)), places)
            elif columns:
                yield columns, range(line, line + len(columns[0]))

    def _by_arrow(self, text: bytes, places: list[int]) -> list[pa.Array] | None:
        """Read a block in which every line is a row without difficult quotes; return None if it is not such a block."""
        body, quoted = text.rstrip(b"\r\n"), b'"' in text
        if not text:
            return []
        if (
            text[:1] in (b"\n", b"\r")
            or content.ends(text[len(body) :]) > 1
            or body.startswith(codecs.BOM_UTF8)  # part of an id, which Arrow would drop
            or (quoted and not _simply_quoted(text, self.separator))
        ):
            return None
        names = [str(i) for i in range(len(self.header))]
        how = pcsv.ParseOptions(
            delimiter=self.separator, quote_char='"' if quoted else False, ignore_empty_lines=False
        )  # fmt: skip
        convert = pcsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=[names[i] for i in places],
            strings_can_be_null=False, check_utf8=False,
        )  # fmt: skip
        options = pcsv.ReadOptions(column_names=names, use_threads=False, block_size=len(body) + 1)
        try:
            table = pcsv.read_csv(pa.BufferReader(body), options, how, convert)
        except pa.ArrowException:  # such as a row with too few fields
            return None
        columns = [column.combine_chunks() for column in table.columns]
        if pc.min(pc.binary_length(columns[0])).as_py() > 0:
            return columns
        empty_line = any(ends in body for ends in (b"\n\n", b"\n\r", b"\r\r"))  # which Arrow reads as a row
        return None if empty_line else columns

    def _by_csv(self, line: int, texts: Iterator[bytes], places: list[int]) -> Iterator[Batch]:
        rows = self._rows(line, texts)
        while some := list(itertools.islice(rows, ROWS)):
            yield [pa.array([row[i] for _, row in some], pa.string()) for i in places], [at for at, _ in some]

    def _rows(self, line: int, texts: Iterator[bytes]) -> Iterator[tuple[int, list[str]]]:
        """Yield the line at which each row begins, and its fields."""
        parts = (io.StringIO(text.decode(), newline="") for text in texts)
        reader = csv.reader(itertools.chain.from_iterable(parts), delimiter=self.separator, strict=True)
        empty, at = 0, line  # the first empty line, and the one at which the next row begins
        try:
            for row in reader:
                if row and empty:
                    raise self.fault(empty, EMPTY)
                if row and len(row) != len(self.header):
                    fields = f"{len(row)} field{'s' * (len(row) != 1)} in {in_a_line(', '.join(row), 60)!r}"
                    like = "line 1" if self.headless else "the header"
                    raise self.fault(at, f"{fields}, expected {len(self.header)} as in {like}")
                if row:
                    yield at, row
                empty = empty or (0 if row else at)
                at = line + reader.line_num
        except csv.Error as error:
            raise self.fault(at, f"{in_a_line(str(error))}; {UNCLOSED}") from error


def _simply_quoted(text: bytes, separator: str) -> bool:
    """Whether every quote begins or ends a whole field, on one line: what Arrow and csv read alike."""
    border = rb"[^\r\n%s]" % re.escape(separator.encode())
    field = rb'(?<!%s)"[^"\r\n]*"(?!%s)' % (border, border)
    return b'"' not in re.sub(field, b"", text)


class JsonFile(File):
    """JSON lines: an event a line; or a session a line with its events in a list, as OTTO has it."""

    LOOK = 1_000  # lines from which the types are known, since a value of the first may be null

    def __init__(self, file: Path, form: Form) -> None:
        super().__init__(file, "line")
        self.blocks = content.blocks(file, form.member)
        self.first = next(self.blocks, (1, b""))
        lines = enumerate(self.first[1].splitlines()[: self.LOOK], 1)
        objects = [self._object(line, text) for line, text in lines if text.strip()]
        if not objects:
            raise self.fault(1, "expected an object in each line")
        self.nested = next((name for event in objects for name, value in event.items() if _events(value)), "")
        events = [event for whole in objects for event in _events(whole.get(self.nested))]
        self.outer, self.inner = _types(objects), _types(events)
        self.header = [*self.outer, *self.inner]

    def _object(self, line: int, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            why = f"not JSON ({in_a_line(str(error))}); expected an object in each line" if text.strip() else EMPTY
            raise self.fault(line, why) from error
        if not isinstance(value, dict):
            raise self.fault(line, f"a {type(value).__name__}, expected an object with names")
        return value

    def batches(self, places: list[int]) -> Iterator[Batch]:
        import pyarrow.json as pj

        n = len(self.outer)
        fields = {name: self.outer[name] for name in self.header[:n] if self.header.index(name) in places}
        inside = {self.header[i]: self.inner[self.header[i]] for i in places if i >= n}
        if inside:
            fields[self.nested] = pa.list_(pa.struct(list(inside.items())))
        options = pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore")
        blank = 0  # the first empty line
        for line, block in itertools.chain([self.first], self.blocks):
            lines = block.rstrip().splitlines()
            if lines and blank:
                raise self.fault(blank, EMPTY)
            if content.ends(block) > len(lines):
                blank = blank or line + len(lines)
            if not lines:
                continue
            try:
                table = _objects(lines, options)
            except pa.ArrowException as error:
                row = first_misfit(lines, partial(_objects, options=options))
                self._object(line + row, lines[row])
                why = in_a_line(re.sub(" in row [0-9]+$", "", str(error)), 300)
                raise self.fault(line + row, f"{why}; write all lines alike") from error
            columns = [table.column(self.header[i]).combine_chunks() for i in places if i < n]
            numbers: Sequence[int] = range(line, line + len(table))
            if inside:
                lists = table.column(self.nested).combine_chunks()
                if (row := pc.index(lists.is_null(), True).as_py()) >= 0:
                    raise self.fault(line + row, f"{self.nested} is missing; fill it in")
                parents, events = pc.list_parent_indices(lists), pc.list_flatten(lists)
                columns = [column.take(parents) for column in columns] + [events.field(name) for name in inside]
                numbers = parents.to_numpy() + line
            yield columns, numbers


def _objects(lines: list[bytes], options: Any) -> pa.Table:
    """Read an object from each line. Raises ArrowException."""
    import pyarrow.json as pj

    text = b"\n".join(lines)
    if text.startswith(codecs.BOM_UTF8):  # which Arrow would drop
        raise pa.ArrowInvalid("a byte order mark, expected an object in each line")
    table = pj.read_json(pa.BufferReader(text), pj.ReadOptions(False, len(text) + 1), options)
    if len(table) != len(lines):
        raise pa.ArrowInvalid("not an object in each line")
    return table


def _events(value: Any) -> list[dict[str, Any]]:
    """Return the events of a session, if a value of JSON is a list of some; else none."""
    return value if isinstance(value, list) and all(isinstance(event, dict) for event in value) else []


def _types(objects: Sequence[dict[str, Any]]) -> dict[str, pa.DataType]:
    """Return Arrow's type of each field, as its first value has it; of numbers, whether any is not whole."""
    types: dict[str, pa.DataType] = {}
    for name, value in (field for fields in objects for field in fields.items()):
        kind = {str: pa.string(), int: pa.int64(), float: pa.float64()}.get(type(value))
        if kind and (name not in types or (types[name], kind) == (pa.int64(), pa.float64())):
            types[name] = kind
    return types


class TypedFile(File):
    """A Parquet file, of which only the needed columns are read, or a data frame of pandas, polars or others."""

    def __init__(self, source: Any, member: str = "*") -> None:
        import pyarrow.parquet as pq

        super().__init__(source if isinstance(source, Path) else "the data frame", "row")
        try:
            if isinstance(source, Path):
                packed = source.suffix.lower() in content.PACKED
                whole = pa.BufferReader(b"".join(content.unpacked(source, member))) if packed else source
                self.source = pq.ParquetFile(whole)
                self.header = self.source.schema_arrow.names
            else:
                self.source = source if isinstance(source, pa.Table) else pa.table(source)
                self.header = self.source.column_names
        except FileNotFoundError as error:
            raise InputError(f"{self.name}: cannot be read (no such file)") from error
        except (OSError, TypeError, ValueError, pa.ArrowException) as error:  # such as a name that is not UTF-8
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> InputError:
        why = in_a_line(str(error).partition("\n")[0])
        return InputError(f"{self.name}: not whole Parquet, or broken, or a column of several types ({why}); mend it")

    def batches(self, places: list[int]) -> Iterator[Batch]:
        first = 1
        try:
            if isinstance(self.source, pa.Table):
                batches = iter(self.source.select(places).to_batches(ROWS))
            else:
                batches = self.source.iter_batches(ROWS, columns=[self.header[i] for i in places])
            for batch in batches:
                for column in batch.columns:
                    try:
                        column.validate(full=True)
                    except pa.ArrowException as error:
                        row = first + first_misfit(column, partial(pa.Array.validate, full=True))
                        raise self.fault(row, f"not UTF-8, or broken ({in_a_line(str(error))})") from error
                yield list(batch.columns), range(first, first + len(batch))
                first += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise self._broken(error) from error


def read(sources: Sequence[Any], form: Form) -> ClickLog:
    """Read a table in one or several parts with the same columns, each a file or a data frame.

    Raises:
        InputError: a file is absent or broken, or a row is malformed; it names the file, the line and the remedy.
        UsageError: the columns that the user names do not fit the table.
    """
    columns, names = Columns(form), dict[str, str]()
    for source in sources:
        file = opened_file(source, form) if isinstance(source, Path) else TypedFile(source)
        places = recognised(file.header, form, file.top)
        here = {role: "+".join(file.header[i] for i in several) for role, several in places.items()}
        if names and here != names:
            raise InputError(f"{file.name}: its columns are {here}, where {sources[0]} has {names}")
        names = here
        wanted = sorted({place for several in places.values() for place in several})
        columns.of_file.append(0)
        for arrays, lines in file.batches(wanted):
            batch = dict(zip(wanted, map(plain, arrays), strict=True))
            if form.where:
                kept = columns.chosen(batch, places)
                batch, lines = {place: column.take(kept) for place, column in batch.items()}, np.asarray(lines)[kept]
            if not len(lines):
                continue
            try:
                columns.add(batch, places)
            except Misfit as misfit:
                raise file.fault(lines[misfit.row], misfit.why) from misfit
    if not sum(columns.of_file):
        why = f"--where leaves out all {columns.left_out:,} rows" if columns.left_out else "no row to read"
        raise InputError(f"{file.name}: {why}, expected a click log")
    whole = file.name if len(sources) == 1 else str(Path(file.name).parent)
    return columns.table(whole, {role: name for role, name in names.items() if not role.startswith("where ")})


def plain(column: pa.Array) -> pa.Array:
    """Bring Arrow's several types of text to one, and dictionaries to their values."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return column if column.type == kind else column.cast(kind)


class Columns:
    """The columns of a log, role by role, to which batches are added."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.owner = Ids("user" if form.gap else "session", form)
        self.item, self.user, self.times = Ids("item", form), Ids("", form), Times(form)
        self.micros: list[np.ndarray] = []
        self.orders: list[np.ndarray] = []
        self.events: set[str] = set()
        self.left_out, self.of_file = 0, list[int]()
        # Whether a number, which would be a good id or time, stands for a missing value.
        self.numbers_missing = any(re.match("-?[0-9]", word) for word in form.missing)

    def chosen(self, columns: Mapping[int, pa.Array], places: Places) -> np.ndarray:
        """Return the rows of a batch that `where` keeps."""
        chosen = np.ones(len(columns[places["item"][0]]), bool)
        for name, values in self.form.where.items():
            texts = columns[places[f"where {name}"][0]].cast(pa.string())
            chosen &= pc.is_in(texts, pa.array(list(values))).to_numpy(zero_copy_only=False)
        self.left_out += int((~chosen).sum())
        return np.flatnonzero(chosen)

    def add(self, columns: Mapping[int, pa.Array], places: Places) -> None:
        """Add a batch of columns by their places. Raises Misfit."""
        n = len(columns[places["item"][0]])
        self.owner.add(self._column(self.owner.role, columns, places))
        self.item.add(self._column("item", columns, places))
        self.micros.append(self.times.read(self._column("time", columns, places)))
        if "order" in places:
            self.orders.append(_orders(self._column("order", columns, places)))
        if not (self.form.gap or self.form.whole) and "user" in places:
            user = columns[places["user"][0]]
            known = pa.nulls(n, pa.string()) if pa.types.is_nested(user.type) else user.cast(pa.string())
            self.user.parts.append(known.fill_null("").dictionary_encode())
        if "event" in places and not pa.types.is_nested((event := columns[places["event"][0]]).type):
            self.events.update(map(str, pc.unique(event).to_pylist()[: max(12 - len(self.events), 0)]))
        self.of_file[-1] += n

    def _column(self, role: str, columns: Mapping[int, pa.Array], places: Places) -> pa.Array:
        """Return the column of a role, in which no value is null; ids of several columns are joined."""
        parts = [columns[place] for place in places[role]]
        for part in parts:
            if part.null_count or self.numbers_missing or len(parts) > 1:
                if pa.types.is_nested(part.type):
                    raise Misfit(0, f"the {role} is of type {part.type}, expected text, numbers or times")
                words = pa.array(sorted(self.form.missing))
                absent = pc.or_(part.is_null(), pc.is_in(part.cast(pa.string()), words))
                if (row := pc.index(absent, True).as_py()) >= 0:
                    shown = "" if part[row].as_py() is None else f" ({str(part[row].as_py())!r})"
                    raise Misfit(row, f"the {role} is missing{shown}; fill it in or remove such rows")
        if len(parts) == 1:
            return parts[0]
        texts = [part.cast(pa.string()) for part in parts]
        for text in texts:
            if (row := pc.index(pc.match_substring(text, JOIN), True).as_py()) >= 0:
                raise Misfit(row, f"the {role} is {text[row].as_py()!r}, expected an id; mend or remove the row")
        return pc.binary_join_element_wise(*texts, " " if role == "time" else JOIN)

    def table(self, title: str, names: dict[str, str]) -> ClickLog:
        """Number all ids and return the table; the parts are freed."""
        owner, owners = self.owner.numbered(title)
        if self.user.parts:
            _check_users(title, (owner, owners), self.user.numbered(title), self.form, names)
            del names["user"]
        item, items = self.item.numbered(title)
        micros = _joined(self.micros)
        times = f"{self.times.words}, {span(micros)}"
        order = _joined(self.orders) if self.orders else None
        if len(self.events) < 2:
            names.pop("event", None)
        events = tuple(sorted(self.events)) if "event" in names else ()
        pa.default_memory_pool().release_unused()
        return ClickLog(
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


def _orders(values: pa.Array) -> np.ndarray:
    if pa.types.is_string(values.type):
        good = pc.and_(pc.ascii_is_decimal(values), pc.less_equal(pc.binary_length(values), 18))
    elif pa.types.is_integer(values.type):
        good = pc.and_(pc.greater_equal(values, 0), pc.less(values, 2**62))
    else:
        raise Misfit(0, f"the order is of type {values.type}, expected whole numbers")
    if (row := pc.index(good, False).as_py()) >= 0:
        raise Misfit(row, f"the order is {str(values[row].as_py())[:120]!r}, expected a whole number")
    return values.cast(pa.int64()).to_numpy()


Numbered = tuple[np.ndarray, np.ndarray]  # the number of every row, (rows,), and the ids by number


def _check_users(title: str, sessions: Numbered, users: Numbered, form: Form, names: Mapping[str, str]) -> None:
    """Raise InputError if a session id occurs with several users; rows without a user do not count."""
    known = ~np.isin(users[1], list(form.missing))[users[0]]
    pairs = pd.DataFrame({"session": sessions[0], "user": users[0]})[known].drop_duplicates()
    if len(several := pairs.session[pairs.session.duplicated()]):
        raise InputError(
            f"{title}: {several.nunique():,} session ids occur with several users, such as "
            f"{sessions[1][several.iloc[0]]!r}; if every user counts from the start, say --columns "
            f"session={names['user']}+{names['session']}; else remove the column {names['user']}"
        )


class Ids:
    """The ids of one role, numbered by first appearance; whole numbers without leading zeros are kept as such."""

    def __init__(self, role: str, form: Form) -> None:
        self.role, self.form = role, form
        self.parts: list[pa.Array] = []

    def add(self, values: pa.Array) -> None:
        """Add a batch. Raises Misfit."""
        if pa.types.is_integer(values.type):
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

    def numbered(self, title: str) -> Numbered:
        """Return the number of every row, and the ids by number, as text; what was added is freed.

        Raises InputError if two ids of several columns are the same text.
        """
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
        names = [text.replace(JOIN, "+") for text in texts]
        if names != texts and len(twice := pd.Index(names)[pd.Index(names).duplicated()]):
            raise InputError(
                f"{title}: two {self.role}s are both called {in_a_line(twice[0])}, joined by +; choose other columns"
            )
        return numbers, np.array(names, object)
