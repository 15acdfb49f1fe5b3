"""Raw logs, read and split by the suite and by literal rules in plain Python, one line, field and click at a time.

Both must accept the same logs, and make the same split of them.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from running import mangled, run
from test_raw import Row, lists, literal_numbers, literal_rules

from reproduce.datasets import diginetica, yoochoose
from reproduce.errors import InputError

TOKENS = [
    b"",
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"NaN",
    b"-1",
    b" ",
    b'"',
    b"1e9",
    b"9" * 18,
    b"9" * 19,
    b"9" * 400,
    b"2014-02-30",
    b"T24:00:00.000Z",
    b"T23:59:60.000Z",
    "٣".encode(),
    b"0" * 12,
    b"1970-01-01",
    b"2099-12-31",
    b"2100-01-01",
    b"#",
    b"\n\n",
    b"session_id,timestamp,item_id,category\n",
]
DAY = r"(\d{4})-(\d\d)-(\d\d)"
MOMENT = re.compile(DAY + r"T([0-2]\d):([0-5]\d):([0-5]\d)\.\d{3}Z", re.ASCII)
YOOCHOOSE = (",", 4, [("session", 0, "sessionid"), ("date", 1, "timestamp"), ("item", 2, "itemid")])
DIGINETICA = (
    ";",
    5,
    [("session", 0, "sessionid"), ("item", 2, "itemid"), ("time", 3, "timeframe"), ("date", 4, "eventdate")],
)


def rows(rng: random.Random, days_apart: int) -> list[Row]:
    """Make a log of few items, so that many occur four or five times; some sessions end exactly at the split."""
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


def text_of(made: list[Row], which: str, rng: random.Random) -> bytes:
    if which == "yoochoose":
        lines = [f"{s},{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z,{item},S" for s, when, item, _ in made]
        head = rng.choice(["", "session_id,timestamp,item_id,category"])
    else:
        lines = [f"{s};NA;{item};{time};{when:%Y-%m-%d}" for s, when, item, time in made]
        head = "sessionId;userId;itemId;timeframe;eventdate"
    newline = rng.choice(["\n", "\n", "\r\n"])
    return (newline.join([head] * bool(head) + lines) + rng.choice(["", newline])).encode()


def literal_rows(raw: bytes, form: tuple) -> list[Row] | None:
    """Return the rows of a log, or None if it is not a valid log."""
    separator, fields, columns = form
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.isascii() or b"\0" in raw:
        return None
    lines = raw.decode().split("\n")
    if lines[-1] == "":
        lines.pop()
    if lines and lines[0] and not lines[0][0].isdigit():
        names = [one.strip().strip('"').replace("_", "").lower() for one in lines.pop(0).strip().split(separator)]
        places = [[i for i, name in enumerate(names) if name == wanted] for _, _, wanted in columns]
        if any(len(one) != 1 for one in places):
            return None
        fields, columns = (
            len(names),
            [(key, place[0], name) for (key, _, name), place in zip(columns, places, strict=True)],
        )
    found = [literal_row(line.split(separator), fields, columns) for line in lines]
    return None if not found or None in found else found  # type: ignore[return-value]


def literal_row(cells: list[str], fields: int, columns: list) -> Row | None:
    if len(cells) != fields:
        return None
    cells[-1] = cells[-1].removesuffix("\r")
    values: dict = {"time": 0}
    for key, place, name in columns:
        cell = cells[place]
        if key != "date":
            if not re.fullmatch(r"\d{1,18}", cell, re.ASCII):
                return None
            values[key] = int(cell)
            continue
        parts = (MOMENT if name == "timestamp" else re.compile(DAY, re.ASCII)).fullmatch(cell)
        try:
            values[key] = datetime(*map(int, parts.groups()), tzinfo=UTC)  # type: ignore[union-attr,arg-type]
        except (ValueError, AttributeError):
            return None
        if not 1970 <= values[key].year <= 2099:
            return None
    return values["session"], values["date"], values["item"], values["time"]


def packed(raw: bytes, name: str, ending: str) -> bytes:
    if ending == ".gz":
        return gzip.compress(raw, 1, mtime=0)
    if ending == "":
        return raw
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
    return whole.getvalue()


def unpacked(raw: bytes, ending: str) -> bytes | None:
    try:
        if ending == ".gz":
            return gzip.decompress(raw)
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            (name,) = archive.namelist()
            return archive.read(name)
    except Exception:
        return None


def attempt(rng: random.Random, folder: Path) -> str:
    which = rng.choice(["yoochoose", "diginetica"])
    source, form = (yoochoose, YOOCHOOSE) if which == "yoochoose" else (diginetica, DIGINETICA)
    raw = text_of(rows(rng, 1 if which == "yoochoose" else 7), which, rng)
    if rng.random() < 0.6:
        raw = mangled(rng, raw, TOKENS)
    ending = rng.choice(["", "", "", ".gz", ".zip"])
    whole = packed(raw, source.RAW, ending)
    torn = ending and rng.random() < 0.4
    if torn:
        whole = mangled(rng, whole, TOKENS)
        raw = unpacked(whole, ending) or b""
    file = folder / (source.RAW + ending)
    file.write_bytes(whole)
    expected = literal_rows(raw, form)
    try:
        log = source.read_log(file)
    except InputError as error:
        line = str(error)
        assert line.startswith(f"{file}: ") and line.isprintable() and len(line) < 600, line
        assert expected is None or torn, f"refused: {line}"
        return "refused in a line"
    assert expected is not None, "accepted what is no log"
    by_time = which == "diginetica" and rng.random() < 0.5
    days = 1 if which == "yoochoose" else 7
    due = literal_numbers(*literal_rules(expected, days, by_time))
    if which == "yoochoose":
        made = lists(yoochoose.newest(*yoochoose.full_split(log), 1))
    else:
        made = lists(diginetica.full_split(log, by_time=by_time))
    assert made == due, "another split than the literal one"
    return "split as the literal rules do"


if __name__ == "__main__":
    run("logs", 10_000, attempt)
