"""From a raw log to a split: against the rules applied literally, one click at a time, in plain Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.datasets import diginetica, yoochoose
from reproduce.errors import InputError
from reproduce.reading import table
from reproduce.reading.preprocessing import newest_prefixes
from reproduce.reading.sessions import Sessions, Split

ROOT = Path(__file__).resolve().parent.parent
Row = tuple[int, datetime, int, int]  # session, date, item, timeframe
Lists = list[list[int]]


# --- the oracle: no line of it is shared with the suite ---------------------------------------------------------------


def literal_rules(rows: Sequence[Row], days: int, by_time: bool) -> tuple[Lists, Lists]:
    """Return full train and test as lists of the log's own item ids."""
    clicks: dict[int, list[tuple[int, int]]] = {}
    date: dict[int, datetime] = {}
    for session, when, item, timeframe in rows:
        clicks.setdefault(session, []).append((timeframe, item))
        date[session] = when.replace(microsecond=0)
    sessions: dict[int, list[int]] = {}
    for session, pairs in clicks.items():
        if by_time:
            pairs = sorted(pairs, key=lambda pair: pair[0])
        if len(pairs) > 1:
            sessions[session] = [item for _, item in pairs]
    counts: dict[int, int] = {}
    for items in sessions.values():
        for item in items:
            counts[item] = counts.get(item, 0) + 1
    for session in list(sessions):
        sessions[session] = [item for item in sessions[session] if counts[item] >= 5]
        if len(sessions[session]) < 2:
            del sessions[session]
    if not sessions:
        return [], []
    split = max(date[session] for session in sessions) - timedelta(days=days)
    in_order = sorted(sessions, key=lambda session: date[session])
    train = [sessions[session] for session in in_order if date[session] < split]
    known = {item for items in train for item in items}
    test = []
    for session in in_order:
        if date[session] > split:
            kept = [item for item in sessions[session] if item in known]
            if len(kept) >= 2:
                test.append(kept)
    return train, test


def literal_prefixes(sessions: Lists) -> list[tuple[list[int], int]]:
    """Return each prefix and the next click, longest first, as the circulating files list them."""
    return [(items[:i], items[i]) for items in sessions for i in range(len(items) - 1, 0, -1)]


def literal_numbers(train: Lists, test: Lists) -> tuple[Lists, Lists]:
    number: dict[int, int] = {}
    for items in train + test:
        for item in items:
            number.setdefault(item, len(number))
    return [[number[i] for i in items] for items in train], [[number[i] for i in items] for items in test]


# --- logs -------------------------------------------------------------------------------------------------------------

BEGIN = datetime(2014, 4, 7, tzinfo=UTC)
# Seconds since BEGIN: midnights, a second to each side, noons; days apart, so that some end exactly at the split.
MOMENTS = st.one_of(
    st.sampled_from([day * 86_400 + second for day in range(4) for second in (-1, 0, 1, 43_200)]),
    st.integers(0, 4 * 86_400),
)


@st.composite
def logs(draw: st.DrawFn, days_apart: int = 1) -> list[Row]:
    """Draw logs of few items, so that many occur four or five times; the rows of a session are at times apart."""
    items = draw(st.integers(2, 8))
    rows: list[Row] = []
    for session in draw(st.permutations(range(1, draw(st.integers(2, 14)) + 1))):
        end = draw(MOMENTS) * days_apart
        for _ in range(draw(st.sampled_from([1, 2, 2, 3, 4, 6]))):
            when = BEGIN + timedelta(seconds=end, milliseconds=draw(st.sampled_from([0, 1, 999])))
            rows.append((session, when, draw(st.integers(1, items)) * 1_000_003, draw(st.integers(0, 3))))
            end += draw(st.sampled_from([0, 0, 1, 90, 70_000]))
    for _ in range(draw(st.integers(0, 3))):
        rows.append(rows.pop(draw(st.integers(0, len(rows) - 1))))
    return rows


def write_yoochoose(folder: Path, rows: Sequence[Row]) -> Path:
    file = folder / "yoochoose-clicks.dat"
    stamp = [f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z" for _, when, _, _ in rows]
    file.write_text("".join(f"{row[0]},{when},{row[2]},S\n" for row, when in zip(rows, stamp, strict=True)))
    return file


def write_diginetica(folder: Path, rows: Sequence[Row]) -> Path:
    file = folder / "train-item-views.csv"
    lines = [f"{session};NA;{item};{time};{when:%Y-%m-%d}" for session, when, item, time in rows]
    file.write_text("\n".join(["sessionId;userId;itemId;timeframe;eventdate", *lines]) + "\n")
    return file


def lists(parts: tuple[Sessions, Sessions]) -> tuple[Lists, Lists]:
    return parts[0].lists(), parts[1].lists()


MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(logs())
def test_yoochoose_is_split_as_the_rules_say_one_click_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    file = write_yoochoose(tmp_path_factory.getbasetemp(), rows)
    train, test = literal_rules(rows, days=1, by_time=False)
    full = yoochoose.full_split(table.read([file], yoochoose.FORM))
    assert lists(yoochoose.newest(*full, 1)) == literal_numbers(train, test)
    prefixes = literal_prefixes(train)
    for fraction in (2, 4, 64):
        kept = prefixes[len(prefixes) - len(prefixes) // fraction :]
        found, _ = yoochoose.newest(*full, fraction)
        ours = literal_prefixes(found.lists())
        assert [len(one) for one, _ in ours] == [len(one) for one, _ in kept]
        flat = [[*one, label] for one, label in kept]
        assert [[*one, label] for one, label in ours] == literal_numbers(in_order_of(flat), flat)[1]


def in_order_of(examples: Lists) -> Lists:
    """Return the sessions that the examples were taken from, in whose order items are numbered."""
    whole = []
    for i, one in enumerate(examples):
        if i == 0 or len(examples[i - 1]) == 2:
            whole.append(one)
    return whole


@MANY
@given(logs(days_apart=7), st.booleans())
def test_diginetica_is_split_as_the_rules_say_in_both_orders(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], by_time: bool
) -> None:
    file = write_diginetica(tmp_path_factory.getbasetemp(), rows)
    by_day = [(row[0], row[1].replace(hour=0, minute=0, second=0), row[2], row[3]) for row in rows]
    expected = literal_numbers(*literal_rules(by_day, days=7, by_time=by_time))
    assert lists(diginetica.full_split(table.read([file], diginetica.FORM), by_time=by_time)) == expected


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_the_boundary_session_keeps_its_shortest_prefixes(lengths: list[int], data: st.DataObject) -> None:
    sessions = [list(range(10 * i, 10 * i + n)) for i, n in enumerate(lengths)]
    prefixes = literal_prefixes(sessions)
    keep = data.draw(st.integers(0, len(prefixes)))
    kept = newest_prefixes(Sessions.of(sessions, 100), keep)
    assert literal_prefixes(kept.lists()) == prefixes[len(prefixes) - keep :]


# --- the real samples -------------------------------------------------------------------------------------------------


def sample_rows(folder: Path) -> tuple[list[Row], list[Row]]:
    yoo = []
    for line in (folder / "yoochoose-clicks.dat").read_text().splitlines():
        session, when, item, _ = line.split(",")
        yoo.append((int(session), datetime.fromisoformat(when), int(item), 0))
    digi = []
    for line in (folder / "train-item-views.csv").read_text().splitlines()[1:]:
        session, _, item, time, day = line.split(";")
        digi.append((int(session), datetime.fromisoformat(day).replace(tzinfo=UTC), int(item), int(time)))
    return yoo, digi


@pytest.mark.real
def test_the_real_samples_are_split_as_the_rules_say(real_data: Path) -> None:
    folder = real_data / "raw-samples"
    yoo, digi = sample_rows(folder)
    full = yoochoose.full_split(table.read([folder / "yoochoose-clicks.dat"], yoochoose.FORM))
    assert lists(yoochoose.newest(*full, 1)) == literal_numbers(*literal_rules(yoo, 1, by_time=False))
    for name, by_time in (("diginetica", True), ("diginetica-file-order", False)):
        split = catalog.load_split(name, folder)
        assert (split.provenance.source, split.provenance.emulated) == ("raw log", False)
        assert lists((split.train, split.test)) == literal_numbers(*literal_rules(digi, 7, by_time=by_time))


# --- where the machine is, and how the file is packed -----------------------------------------------------------------

ROWS: list[Row] = [
    (
        session,
        BEGIN + timedelta(days=session % 5, hours=23, minutes=59, seconds=session % 7),
        100 + (i * session) % 4,
        i,
    )
    for session in range(1, 30)
    for i in range(3)
]


def digests(folder: Path) -> list[str]:
    return [catalog.load_split(name, folder).digest for name in ("yoochoose1_4", "diginetica", "diginetica-file-order")]


def both_logs(folder: Path) -> Path:
    write_yoochoose(folder, ROWS)
    write_diginetica(folder, [(row[0], BEGIN + timedelta(days=row[0] % 15), row[2], 9 - row[3]) for row in ROWS])
    return folder


@pytest.mark.parametrize("zone", ["UTC", "Asia/Singapore", "America/New_York"])
def test_the_split_does_not_depend_on_where_the_machine_is(zone: str, tmp_path: Path) -> None:
    both_logs(tmp_path)
    code = "import sys; from reproduce import catalog\n" + (
        "print([catalog.load_split(n, sys.argv[1]).digest for n in "
        "('yoochoose1_4', 'diginetica', 'diginetica-file-order')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "TZ": zone, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == str(digests(tmp_path))


def test_a_log_is_the_same_packed_or_plain_with_a_header_or_without(tmp_path: Path) -> None:
    import gzip
    import zipfile

    folders = [tmp_path / name for name in ("plain", "gz", "zip", "header")]
    for folder in folders:
        folder.mkdir()
        both_logs(folder)
    for file in list(folders[1].iterdir()):
        (folders[1] / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    for file in list(folders[2].iterdir()):
        with zipfile.ZipFile(folders[2] / f"{file.name}.zip", "w") as archive:
            archive.write(file, file.name)
        file.unlink()
    yoo, digi = folders[3] / yoochoose.RAW, folders[3] / diginetica.RAW
    yoo.write_text("session_id,timestamp,item_id,category\r\n" + yoo.read_text().replace("\n", "\r\n"))
    digi.write_text("session_id;user_id;item_id;timeframe;eventdate\n" + digi.read_text().partition("\n")[2][:-1])
    assert len({tuple(digests(folder)) for folder in folders}) == 1


def test_raw_files_win_over_processed_ones(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "diginetica").mkdir()
    (tmp_path / "diginetica/all_train_seq.txt").write_bytes(pickle.dumps([[1, 2], [2, 1]]))
    (tmp_path / "diginetica/test.txt").write_bytes(pickle.dumps(([[1]], [2])))
    assert catalog.load_split("diginetica", tmp_path).provenance.source == "processed files"
    both_logs(tmp_path)
    split = catalog.load_split("diginetica", tmp_path)
    assert split.provenance.source == "raw log"
    assert list(split.provenance.files) == ["train-item-views.csv"]


# --- bad input --------------------------------------------------------------------------------------------------------

GOOD = b"".join(b"%d,2014-04-07T10:51:09.277Z,214536502,0\n" % i for i in range(1, 6))
BAD = {
    "a field too few": (GOOD + b"6,2014-04-07T10:51:09.277Z,214536502\n", "line 6: 3 fields in "),
    "a row cut in the middle": (GOOD[:-20], "line 5: 2 fields in "),
    "another separator": (GOOD.replace(b",", b";"), "line 1: too few columns, or another separator"),
    "a bad timestamp": (GOOD.replace(b"4,2014-04-07", b"4,2014-02-30"), "line 4: the time is '2014-02-30T"),
    "hour 24": (GOOD.replace(b"2,2014-04-07T10", b"2,2014-04-07T24"), "line 2: the time is "),
    "an item in letters": (GOOD + b"6,2014-04-07T10:51:09.277Z,x214,0\n", "line 6: the item is 'x214', expected"),
    "an empty item": (GOOD + b"6,2014-04-07T10:51:09.277Z,,0\n", "line 6: the item is missing ('')"),
    "an item beyond 64 bits": (GOOD + b"6,2014-04-07T10:51:09.277Z,99999999999999999999,0\n", "line 6: the item is"),
    "a return inside an earlier row": (GOOD.replace(b"0\n", b"0\r0\n", 1) + b"6\n", "line 2: 1 field in '0'"),
    "an empty line": (GOOD.replace(b"\n3,", b"\n\n3,"), "line 3: it is empty"),
    "NUL bytes": (GOOD + b"\0" * 9, "line 6: a NUL byte"),
    "UTF-16 without its mark": (GOOD.decode().encode("utf-16-le"), "line 1: a NUL byte"),
    "another encoding": (GOOD[:-2] + b"\xe9\n", "line 5: not UTF-8"),
    "nothing": (b"", "line 1: expected a line with the names"),
    "a header alone": (b"session_id,timestamp,item_id,category\n", "no row to read"),
    "a header without items": (b"session_id,timestamp,category\n" + GOOD, "line 1: no column is known as the item"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("block", [1 << 22, 64])
def test_bad_input_names_the_line_what_was_found_and_what_was_expected(
    what: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reproduce.reading.content.BLOCK", block)
    content, told = BAD[what]
    file = tmp_path / yoochoose.RAW
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        table.read([file], yoochoose.FORM)
    assert str(caught.value).startswith(f"{file}: {told}")
    assert re.search("expected|fill it in|remove it|save the file", str(caught.value)), "the remedy"


def test_a_gzip_that_ends_early_is_not_a_shorter_log(tmp_path: Path) -> None:
    import gzip

    file = tmp_path / f"{yoochoose.RAW}.gz"
    file.write_bytes(gzip.compress(GOOD * 1_000)[:-30])
    with pytest.raises(InputError, match=r"broken or cut short .*get a whole copy"):
        table.read([file], yoochoose.FORM)


def test_a_zip_with_a_password_is_told(tmp_path: Path) -> None:
    import zipfile

    file = tmp_path / f"{yoochoose.RAW}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(yoochoose.RAW, GOOD)
    packed = bytearray(file.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flag of an encrypted member
        packed[packed.index(header) + flags] |= 1
    file.write_bytes(packed)
    with pytest.raises(InputError, match=r"encrypted.*unpack it by hand"):
        table.read([file], yoochoose.FORM)


def test_a_7z_is_met_with_how_to_unpack_it(tmp_path: Path) -> None:
    (tmp_path / "yoochoose-data.7z").write_bytes(b"7z")
    with pytest.raises(InputError, match=r"a \.7z is not read; unpack it in its folder"):
        catalog.load_split("yoochoose1_64", tmp_path)


def test_a_log_that_leaves_nothing_to_test_is_told(tmp_path: Path) -> None:
    write_yoochoose(tmp_path, ROWS[:6])
    with pytest.raises(InputError, match="no training session is left"):
        catalog.load_split("yoochoose1_4", tmp_path)


def test_a_log_read_in_small_blocks_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digests(both_logs(tmp_path))
    monkeypatch.setattr("reproduce.reading.content.BLOCK", 50)
    assert digests(tmp_path) == whole


def test_the_split_type_is_what_notebooks_get(tmp_path: Path) -> None:
    assert isinstance(catalog.load_split("yoochoose1_4", both_logs(tmp_path)), Split)
