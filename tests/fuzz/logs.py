"""Logs in any form, read and split by the suite and by literal rules in plain Python, one field and click at a time.

Both must accept the same logs, and make the same split of them, in any time zone. What is mangled must be refused in a
line, or be a log to both.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import re
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from running import mangled, run
from test_own_log import literally
from test_raw import Row, lists, literal_numbers, literal_rules

from reproduce.datasets import diginetica, yoochoose
from reproduce.errors import InputError
from reproduce.reading import content, own_log, table
from reproduce.reading.own_log import Rules

TOKENS = [
    b"", b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xef\xbb\xbf", b"\xff", b"NaN", b"null", b"-1",
    b" ", b'"', b'""', b"1e9", b".5", b"9" * 18, b"9" * 19, b"9" * 400, b"2014-02-30", b"T24:00:00.000Z", b"+02:00",
    b"T23:59:60.000Z", "٣".encode(), "ä".encode(), b"0", b"0" * 12, b"1970-01-01", b"2099-12-31", b"2100-01-01", b"#",
    b"session_id,timestamp,item_id,category\n", b"{", b"}", b"[", b'{"session":1}\n', b"true", b" UTC", b"/",
]  # fmt: skip
YOOCHOOSE = (",", {"session": 0, "date": 1, "item": 2}, {"session": "sessionid", "date": "timestamp", "item": "itemid"})
DIGINETICA = (
    ";",
    {"session": 0, "item": 2, "time": 3, "date": 4},
    {"session": "sessionid", "item": "itemid", "time": "timeframe", "date": "eventdate"},
)
DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
BANDS = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17), "ns": (10**17, 2**62)}
END = 4_102_444_800 * 10**6
MISSING = {"", "NA", "nan", "NaN", "NaT", "null", "NULL", "None", "<NA>", "\\N", "N/A"}
NO_LOG = (ValueError, LookupError, TypeError, csv.Error, RecursionError)  # what the literal readers raise


# --- the literal reader: no line of it is shared with the suite -------------------------------------------------------


def literal_table(raw: bytes, separator: str) -> list[list[str]]:
    """Return the rows of a table of text. Raises ValueError or csv.Error if it is none."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw:
        raise ValueError("NUL")
    rows = list(csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=separator, strict=True))
    while rows and not rows[-1]:
        rows.pop()
    if not rows or not all(len(row) == len(rows[0]) for row in rows):
        raise ValueError("ragged, or empty")
    return rows


def literal_date(text: str, zoned: bool) -> int:
    """Return microseconds since 1970 of an ISO date. Raises ValueError."""
    parts = DATE.fullmatch(text)
    if not parts or bool(parts[8]) != zoned:
        raise ValueError(text)
    day = datetime(*(int(part or 0) for part in parts.groups()[:6]), tzinfo=UTC)  # type: ignore[arg-type]
    micros = (day - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) + int(
        (parts[7] or "0").ljust(9, "0")[:6]
    )
    if zoned and parts[8] != "Z":
        hours, minutes = int(parts[8][1:3]), int(parts[8][3:].lstrip(":") or 0)
        if hours > 23 or minutes > 59:
            raise ValueError(text)
        micros -= (1 if parts[8][0] == "+" else -1) * (60 * hours + minutes) * 60 * 10**6
    return micros


def literal_times(texts: list[str], dates_only: bool = False) -> list[int]:
    """Return microseconds since 1970; the first time says what the others are. Raises ValueError."""
    if not texts:
        raise ValueError("no row")
    first, made = texts[0], []
    if dates_only or re.match("[0-9]{4}[-/]", first):
        zoned = re.search("(Z|UTC|[+-][0-9:]{2,6})$", first[10:]) is not None
        for text in texts:
            if not dates_only and text[10:11] != first[10:11]:
                raise ValueError("days and times, or T and space")
            if first[4:5] == "/":
                text = re.sub("^([0-9]{4})/([0-9]{2})/", r"\1-\2-", text) if "/" in text else ""
            made.append(literal_date(text.replace(" UTC", "Z") if first.endswith(" UTC") else text, zoned))
    else:
        numbers = []
        for text in texts:
            if not re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,60})?([eE]\+?[0-9]{1,2})?", text):
                raise ValueError(text)
            numbers.append(Decimal(text))
        if re.fullmatch("(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([0-9]{2}){0,3}", str(int(numbers[0]))):
            raise ValueError("a date in digits?")
        unit = next((unit for unit, (low, high) in BANDS.items() if low <= int(numbers[0]) < high), "ns")
        for number in numbers:
            if not BANDS[unit][0] <= int(number) < BANDS[unit][1]:
                raise ValueError("another unit")
            billionths = int(number % 1 * 10**9)
            made.append(int(number) // 1000 if unit == "ns" else int(number) * (10**6 // PER_SECOND[unit])
                        + billionths * (10**6 // PER_SECOND[unit]) // 10**9)  # fmt: skip
    if not all(0 <= time < END for time in made):
        raise ValueError("outside 1970 to 2099")
    return made


def literal_raw(raw: bytes, separator: str, bare: dict[str, int], names: dict[str, str]) -> list[Row]:
    """Return the rows of a published log. Raises ValueError, KeyError or csv.Error if it is none."""
    table = literal_table(raw, separator)
    places = bare
    if not raw.removeprefix(b"\xef\xbb\xbf")[:1].isdigit():
        header = [re.sub("[^a-z0-9]", "", name.lower()) for name in table.pop(0)]
        if any(header.count(name) != 1 for name in names.values()) or not table:
            raise ValueError("no such column, or no row")
        places = {key: header.index(name) for key, name in names.items()}
    columns = {key: [row[place] for row in table] for key, place in places.items() if place < len(table[0])}
    for key in ("session", "item", "time"):
        if key in places and not all(re.fullmatch("[0-9]{1,18}", text) for text in columns[key]):
            raise ValueError(f"{key} is no number")
    dates = [datetime.fromtimestamp(micros // 10**6, UTC) for micros in literal_times(columns["date"], dates_only=True)]
    times = columns.get("time", ["0"] * len(table))
    return [
        (int(session), date, int(item), int(time))
        for session, date, item, time in zip(columns["session"], dates, columns["item"], times, strict=True)
    ]


def literal_own(header: list[str], rows: list[list[str]]) -> list[tuple[str, str, int]]:
    """Return session, item and microseconds of every row. Raises ValueError if one is malformed."""
    places = [header.index(name) for name in ("session_id", "item_id", "timestamp")]
    columns = [[row[place] for row in rows] for place in places]
    for text in (text for column in columns[:2] for text in column):
        if text in MISSING or not text.strip():
            raise ValueError("missing")
    return list(zip(columns[0], columns[1], literal_times(columns[2]), strict=True))


# --- random logs ------------------------------------------------------------------------------------------------------


def published_rows(rng: random.Random, days_apart: int) -> list[Row]:
    """Return rows of few items, so that many occur four or five times, and of dates just beside the split."""
    made: list[Row] = []
    items = rng.randint(2, 8)
    for session in rng.sample(range(1, 15), rng.randint(2, 14)):
        end = (rng.randrange(4) * 86_400 + rng.choice([-1, 0, 1, 43_200, rng.randrange(86_400)])) * days_apart
        for _ in range(rng.choice([1, 2, 2, 3, 4, 6])):
            when = datetime(2014, 4, 7, tzinfo=UTC) + timedelta(seconds=end, milliseconds=rng.choice([0, 1, 999]))
            made.append((session, when, rng.randint(1, items) * 1_000_003, rng.randrange(4)))
            end += rng.choice([0, 0, 1, 90, 70_000])
    for _ in range(rng.randrange(4)):
        made.append(made.pop(rng.randrange(len(made))))
    return made


def published_text(made: list[Row], which: str, rng: random.Random) -> bytes:
    if which == "yoochoose":
        lines = [f"{s},{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z,{item},S" for s, when, item, _ in made]
        head = rng.choice(["", "session_id,timestamp,item_id,category"])
    else:
        lines = [f"{s};NA;{item};{time};{when:%Y-%m-%d}" for s, when, item, time in made]
        head = "sessionId;userId;itemId;timeframe;eventdate"
    newline = rng.choice(["\n", "\n", "\r\n"])
    return (newline.join([head] * bool(head) + lines) + rng.choice(["", newline])).encode()


TIMES: list[Callable[[int, random.Random], str]] = [
    lambda at, rng: str(at),
    lambda at, rng: str(at * 1000 + rng.randrange(1000)),
    lambda at, rng: str(at * 10**6),
    lambda at, rng: str(at * 10**9 + rng.randrange(10**9)),
    lambda at, rng: f"{at}.{rng.randrange(10 ** rng.randint(1, 12))}",
    lambda at, rng: rng.choice([f"{at // 10}e1", f"{at}.5", str(at)]),
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M}",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.{rng.randrange(10**9):09d}Z",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}{rng.choice(['+02:00', '-0730', 'Z'])}",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC",
    lambda at, rng: f"{datetime.fromtimestamp(at, UTC):%Y/%m/%d %H:%M}",
]


def own_rows(rng: random.Random) -> list[list[str]]:
    """Return session, item, time and another column of every row, as text."""
    items = rng.choice(
        [["x", "y", "z", "01", "1", "7", "rare"], ["1", "2", "3", "0", "44"], ["a,b", "l\nm", 'q"1', "ä", "x"]]
    )
    when, words = rng.choice(TIMES), rng.random() < 0.5
    rows = []
    for _ in range(rng.randint(20, 100)):
        session = rng.randrange(24)
        at = 1_600_000_000 // 86_400 * 86_400 + session // 4 * 86_400 + 600 * rng.randrange(90)
        rows.append([f"s {session}" if words else str(1000 + session), rng.choice(items), when(at, rng),
                     rng.choice(["", "a", "b;c"])])  # fmt: skip
    return rows


HEADER = ["session_id", "item_id", "timestamp", "other"]


def own_text(rng: random.Random, rows: list[list[str]]) -> tuple[bytes, bytes, str, list[str]]:
    """Write a table of text; return its header line, its rows, the separator and the names in their order."""
    order = rng.sample(range(4), 4)
    separator, newline = rng.choice(",,,;\t|"), rng.choice(["\n", "\n", "\r\n", "\r"])
    stream = io.StringIO(newline="")
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(stream, delimiter=separator, lineterminator=newline, quoting=quoting)
    writer.writerows([row[i] for i in order] for row in rows)
    body = stream.getvalue().encode()
    if rng.random() < 0.2:
        body = body.removesuffix(newline.encode())
    names = [HEADER[i] for i in order]
    return (
        (separator.join(names) + newline).encode(),
        body + newline.encode() * rng.choice([0, 0, 0, 2]),
        separator,
        names,
    )


def own_json(rng: random.Random, rows: list[list[str]]) -> bytes:
    """Write JSON lines: an event a line, or a session a line with its events."""
    if rng.random() < 0.5:
        return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows).encode()
    sessions: dict[str, list[dict[str, str]]] = {}
    for session, item, when, _ in rows:
        sessions.setdefault(session, []).append({"item_id": item, "timestamp": when})
    lines = (json.dumps({"session_id": session, "events": events}) + "\n" for session, events in sessions.items())
    return "".join(lines).encode()


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object. Raises ValueError if one of the fields that are read stands in it twice."""
    names = [name for name, _ in pairs if name in (*HEADER[:3], "events")]
    if len(set(names)) < len(names):
        raise ValueError("twice")
    return dict(pairs)


def literal_json(raw: bytes) -> list[list[str]]:
    """Return the rows of JSON lines whose values are all text. Raises ValueError, KeyError or TypeError."""
    rows = []
    for line in re.split("\r\n|\r|\n", raw.decode().rstrip()):
        event = json.loads(line, object_pairs_hook=once)
        if not isinstance(event, dict):
            raise TypeError("no object")
        for inner in event.get("events", [event]):
            row = [event["session_id"], inner["item_id"], inner["timestamp"]]
            if not all(isinstance(text, str) for text in row):
                raise TypeError("no text")
            rows.append(row)
    return rows


# --- attempts ---------------------------------------------------------------------------------------------------------


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda raw: gzip.compress(raw, 1, mtime=0),
    ".bz2": lambda raw: bz2.compress(raw, 1),
    ".xz": lambda raw: lzma.compress(raw, preset=0),
    ".zst": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
    ".zip": lambda raw: zipped(raw),
}


def zipped(raw: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log", raw)
    return whole.getvalue()


def refused(file: Path, error: InputError) -> str:
    line = str(error)
    assert line.startswith(str(file)) and line.isprintable() and len(line) < 900, line
    return "refused in a line"


def published(rng: random.Random, folder: Path) -> str:
    which = rng.choice(["yoochoose", "diginetica"])
    source, form = (yoochoose, YOOCHOOSE) if which == "yoochoose" else (diginetica, DIGINETICA)
    raw = published_text(published_rows(rng, 1 if which == "yoochoose" else 7), which, rng)
    if rng.random() < 0.6:
        raw = mangled(rng, raw, TOKENS)
    packing = rng.choice(["", "", "", ".gz", ".bz2", ".xz", ".zst"])
    file = folder / (source.RAW + packing)
    file.write_bytes(PACKERS[packing](raw))
    try:
        expected = literal_raw(raw, *form)
    except NO_LOG:
        expected = None
    try:
        log = table.read([file], source.FORM)
    except InputError as error:
        assert expected is None, f"refused: {error}"
        return refused(file, error)
    assert expected is not None, "accepted what is no log"
    by_time = which == "diginetica" and rng.random() < 0.5
    due = literal_numbers(*literal_rules(expected, 1 if which == "yoochoose" else 7, by_time))
    if which == "yoochoose":
        made = lists(yoochoose.newest(*yoochoose.full_split(log), 1))
    else:
        made = lists(diginetica.full_split(log, by_time=by_time))
    assert made == due, "another split than the literal one"
    return "published log, split as the literal rules do"


def own(rng: random.Random, folder: Path) -> str:
    rows, kind = own_rows(rng), rng.choice(["text", "text", "text", "json", "parquet"])
    fault = rng.choice(["", "", "rows", "rows", "file", "packing"])
    packing = rng.choice(["", "", *PACKERS])
    header = HEADER
    if kind == "text":
        head, body, separator, header = own_text(rng, rows)
        body = mangled(rng, body, TOKENS) if fault == "rows" else body
        raw, ending = head + body, ".tsv" if separator == "\t" and rng.random() < 0.5 else ".csv"
    elif kind == "json":
        raw, ending = own_json(rng, rows), ".jsonl"
        raw = mangled(rng, raw, TOKENS) if fault == "rows" else raw
    else:
        sink, ending = io.BytesIO(), ".parquet"
        pq.write_table(pa.table({name: [row[i] for row in rows] for i, name in enumerate(HEADER)}), sink)
        raw = mangled(rng, sink.getvalue(), TOKENS) if fault == "rows" else sink.getvalue()
    if fault == "file":
        raw = mangled(rng, raw, TOKENS)
    whole = PACKERS[packing](raw)
    file = folder / f"log{ending}{packing}"
    file.write_bytes(mangled(rng, whole, TOKENS) if fault == "packing" else whole)
    rules = Rules(test_days=rng.randint(1, 3), min_support=rng.randint(1, 4), min_length=rng.randint(2, 3))
    # What is mangled in its header, its packing or in Parquet has no literal reading here: it is a log or is refused.
    known = not fault or (fault == "rows" and kind != "parquet")
    try:
        if kind == "text":
            table = literal_table(raw, separator)
            clicks = literal_own(header, table[1:])
        elif kind == "json":
            clicks = literal_own(HEADER, literal_json(raw))
        else:
            clicks = literal_own(HEADER, rows)
        due = literally(clicks, rules.test_days, rules.support, rules.min_length, 10**6) if clicks else None
    except NO_LOG:
        due = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a test of one session
            split = own_log.read("log", file, rules)
    except InputError as error:
        assert not known or due is None or not all(due), f"refused: {error}"
        return refused(file, error)
    if not known:
        return "mangled, and still a log"
    assert due is not None, "accepted what is no log"
    assert split.vocabulary is not None
    made = [[split.vocabulary[session].tolist() for session in part.lists()] for part in (split.train, split.test)]
    assert made == list(due), "another split than the literal one"
    return f"{kind}, split as the literal rules do"


def attempt(rng: random.Random, folder: Path) -> str:
    os.environ["TZ"] = rng.choice(["UTC", "Asia/Shanghai", "America/St_Johns"])
    time.tzset()
    content.BLOCK = rng.choice([8 << 20, 8 << 20, 600, 64])  # blocks of a line or a few
    return rng.choice([published, own, own])(rng, folder)


if __name__ == "__main__":
    assert Counter(TOKENS).most_common(1)[0][1] == 1
    run("logs", 20_000, attempt)
