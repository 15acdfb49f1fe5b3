"""Any form of a log gives the same split, and nothing is guessed: what is malformed is refused with its line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reproduce import catalog, cli
from reproduce.__main__ import main
from reproduce.errors import InputError, SuiteError, UsageError
from reproduce.reading import content, own_log
from reproduce.reading.own_log import Rules
from reproduce.reading.sessions import Split

DAY, BEGIN = 86_400, 1_600_000_000 // 86_400 * 86_400
# Two items, clicked four times each; the last two sessions end two days after the first two.
CLICKS = [
    (s, i, BEGIN + day * DAY + k) for day, s in ((1, "a"), (1, "b"), (3, "c"), (3, "d")) for k, i in enumerate("xy")
]
HEAD = "session_id,item_id,timestamp\n"
PLAIN = HEAD + "".join(f"{s},{i},{t}\n" for s, i, t in CLICKS)
LOOSE = Rules(min_support=1)
TABLE = pa.table({"session_id": [c[0] for c in CLICKS], "item_id": [c[1] for c in CLICKS],
                  "timestamp": [c[2] for c in CLICKS]})  # fmt: skip


def dated(form: str) -> str:
    return HEAD + "".join(f"{s},{i},{datetime.fromtimestamp(t, UTC).strftime(form)}\n" for s, i, t in CLICKS)


def with_times(form: str) -> str:
    return re.sub(r"(\d)(\d{9})\n", form + "\n", PLAIN)


def zipped(text: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("c.csv", text)
    return whole.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


RAW = PLAIN.encode()
JSON = "".join(json.dumps({"session": s, "item": i, "ts": t, "x": {"y": [1, None]}}) + "\n" for s, i, t in CLICKS)
OTTO = "".join(
    json.dumps(
        {"session": n, "events": [{"aid": i, "ts": 1000 * t, "type": "clicks"} for s, i, t in CLICKS if s == id_]}
    )
    + "\n"
    for n, id_ in enumerate("abcd")
)
INTER = PLAIN.replace(",", "\t").replace(
    "session_id\titem_id\ttimestamp", "session_id:token\titem_id:token\ttimestamp:float"
)
FORMS: dict[str, str | bytes] = {
    "c.csv": PLAIN,
    "upper.CSV": PLAIN,
    "semicolons.dat": PLAIN.replace(",", ";"),
    "bars.txt": PLAIN.replace(",", "|"),
    "tabs.tsv": PLAIN.replace(",", "\t"),
    "recbole.inter": INTER,
    "c.csv.BZ2": bz2.compress(RAW),
    "c.zip": zipped(RAW),
    "c.jsonl": JSON,
    "cr.jsonl": JSON.replace("\n", "\r").encode(),
    "otto.jsonl": OTTO,
    "fractions.jsonl": JSON.replace(f": {BEGIN + DAY + 1}, ", f": {BEGIN + DAY + 1}.25, "),
    "session-alone.jsonl": f'{{"session":"e","item":"x","ts":{BEGIN},"x":null}}\n{JSON}',
    "c.parquet": parquet(TABLE),
    "c.parquet.snappy": parquet(TABLE),
    "large.parquet": parquet(TABLE.cast(pa.schema([("session_id", pa.large_string()), ("item_id", pa.large_string()),
                                                   ("timestamp", pa.int64())]))),
    "coded.parquet": parquet(TABLE.set_column(1, "item_id", TABLE["item_id"].dictionary_encode())),
    "dated.parquet": parquet(TABLE.set_column(2, "ts", TABLE["timestamp"].cast(pa.timestamp("s", "Asia/Tokyo")))),
    "utf-16.csv": PLAIN.encode("utf-16"),
    "utf-16-be.csv": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "mark.csv": b"\xef\xbb\xbf" + RAW,
    "crlf.csv": PLAIN.replace("\n", "\r\n").encode(),
    "cr.csv": PLAIN.replace("\n", "\r").encode(),
    "no-end.csv": PLAIN.rstrip(),
    "empty-lines-at-the-end.csv": PLAIN + "\n\n",
    "quoted.csv": re.sub(r"[^,\n]+", r'"\g<0>"', PLAIN),
    "quoted-late.csv": PLAIN.replace("d,y", '"d","y"'),
    "quoted-oddly.csv": PLAIN.replace("d,y", '"d","""y"').replace('"""y"', 'y'),
    "ns.csv": with_times(r"\1\g<2>000000000"),
    "us.csv": with_times(r"\1\g<2>000000"),
    "ms.csv": with_times(r"\1\g<2>000"),
    "fraction.csv": with_times(r"\1\2.25"),
    "scientific.csv": with_times(r"\1.\2e9"),
    "iso-T.csv": dated("%Y-%m-%dT%H:%M:%S"),
    "iso-space.csv": dated("%Y-%m-%d %H:%M:%S.123"),
    "iso-Z.csv": dated("%Y-%m-%dT%H:%M:%S.123456789Z"),
    "iso-UTC.csv": dated("%Y-%m-%d %H:%M:%S UTC"),
    "iso-zone.csv": dated("%Y-%m-%dT%H:%M:%S+02:00"),
    "slashes.csv": dated("%Y/%m/%d %H:%M:%S"),
    "slashes-minutes.csv": dated("%Y/%m/%d %H:%M"),
}  # fmt: skip


def write(place: Path, text: str | bytes) -> Path:
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


def lists(split: Split) -> tuple[list[list[int]], list[list[int]]]:
    return split.train.lists(), split.test.lists()


@pytest.mark.parametrize("block", [8 << 20, 32])
@pytest.mark.parametrize("name", FORMS)
def test_a_log_in_any_form_is_the_same_split(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block < 100 and "parquet" not in name and not name.startswith(("c.csv.", "c.zip", "fractions")):
        monkeypatch.setattr(content, "BLOCK", block)  # every line in a block of its own, or two
    split = own_log.read("c", write(tmp_path / name, FORMS[name]), LOOSE)
    expected = [[0, 1], [0, 1]]
    assert lists(split) == (expected, expected)
    assert split.vocabulary is not None and split.vocabulary.tolist() == ["x", "y"]
    assert split.test_sessions is not None
    assert split.test_sessions.tolist() == (["2", "3"] if name == "otto.jsonl" else ["c", "d"])


ENDINGS: dict[str, str | bytes] = {
    ".csv": PLAIN,
    ".tsv": PLAIN.replace(",", "\t"),
    ".txt": PLAIN,
    ".dat": PLAIN.replace(",", "|"),
    ".inter": INTER,
    ".jsonl": JSON,
    ".parquet": parquet(TABLE),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
    ".zip": zipped,
}


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_read_in_every_packing(ending: str, packing: str, tmp_path: Path) -> None:
    text = ENDINGS[ending]
    raw = text if isinstance(text, bytes) else text.encode()
    split = own_log.read("c", write(tmp_path / f"c{ending}{packing}", PACKERS[packing](raw)), LOOSE)
    assert lists(split) == ([[0, 1], [0, 1]], [[0, 1], [0, 1]])


def test_parts_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    whole = own_log.read("c", write(tmp_path / "c.csv", PLAIN), LOOSE)
    folder = tmp_path / "parts"
    folder.mkdir()
    lines = PLAIN.splitlines(keepends=True)
    for name, rows in (("part-2.csv", lines[1:4]), ("part-10.csv", lines[4:7]), ("part-9.csv.gz", lines[7:])):
        text = "".join([HEAD, *rows]).encode()
        write(folder / name, gzip.compress(text) if name.endswith("gz") else text)
    write(folder / "_SUCCESS", "")
    write(folder / ".part-2.csv.crc", "x")
    assert [file.name for file in content.parts(folder, (".csv",))] == ["part-2.csv", "part-9.csv.gz", "part-10.csv"]
    for source in (
        folder,
        str(folder / "part-*"),
        [folder / "part-2.csv", folder / "part-10.csv", folder / "part-9.csv.gz"],
    ):
        split = own_log.read("c", source, LOOSE)
        assert split.digest == whole.digest and len(split.provenance.files) == 3
    write(folder / "part-3.csv", "session,item_id,timestamp\na,x,1600000000\n")
    with pytest.raises(
        InputError, match=r"part-3\.csv: its columns are .*'session': 'session'.* where .*part-2\.csv has"
    ):
        own_log.read("c", folder, LOOSE)


@pytest.mark.parametrize("make", [pa.Table.to_pandas, lambda table: table, lambda table: Stream(table)])
def test_data_frames_are_read(make: Callable[[pa.Table], Any], tmp_path: Path) -> None:
    whole = own_log.read("c", write(tmp_path / "c.csv", PLAIN), LOOSE)
    assert own_log.read("c", make(TABLE), LOOSE).digest == whole.digest
    moments = TABLE.to_pandas().assign(timestamp=lambda frame: pd.to_datetime(frame.timestamp, unit="s", utc=True))
    assert own_log.read("c", moments, LOOSE).digest == whole.digest
    with pytest.raises(InputError, match="the data frame: row 3: the session is missing"):
        own_log.read("c", TABLE.to_pandas().assign(session_id=["a", "b", None, *"bccdd"]), LOOSE)


class Stream:
    """What polars' frames offer to Arrow."""

    def __init__(self, table: pa.Table) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


def test_a_log_without_header_is_read_by_numbers_only(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", PLAIN.removeprefix(HEAD))
    with pytest.raises(
        InputError, match=r"line 1 looks like a click, not like names; number its columns: --columns ses"
    ):
        own_log.read("c", file, LOOSE)
    rules = Rules.of({"columns": ["session=1", "item=2", "time=3"], "min_support": 1})
    assert lists(own_log.read("c", file, rules)) == ([[0, 1], [0, 1]], [[0, 1], [0, 1]])
    with pytest.raises(InputError, match="no header, so number all columns: --columns time=NUMBER"):
        own_log.read("c", file, Rules(columns={"session": "1", "item": "2"}))
    with pytest.raises(UsageError, match=r"no column of that name; there is: '1', '2', '3'"):
        own_log.read("c", file, Rules(columns={"session": "1", "item": "2", "time": "4"}))
    with pytest.raises(InputError, match="line 1: the time is 'timestamp', expected seconds"):
        own_log.read("c", write(tmp_path / "named.csv", PLAIN), rules)


def test_all_roles_without_a_column_are_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", "visit,thing,timestamp,date\na,x,1,2\n")
    with pytest.raises(InputError) as caught:
        own_log.read("c", file, LOOSE)
    assert str(caught.value) == (
        f"{file}: line 1: no column is known as the session or the item; there is: 'visit', 'thing', 'timestamp', "
        "'date'; more than one column may be the time: 'timestamp', 'date'; name it with --columns session=NAME "
        "item=NAME time=NAME, or cut sessions with --columns user=NAME --gap 30m"
    )


@pytest.mark.parametrize("names", [
    "user_session,product_id,event_time", "session,aid,ts", "SessionId,ItemId,Time", "session_id,reference,timestamp",
    "session_id,movieId,timestamp", "session_id,song_id,timestamp",
])  # fmt: skip
def test_usual_names_are_recognised(names: str, tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", PLAIN.replace(HEAD, names + "\n"))
    assert len(own_log.read("c", file, LOOSE).train) == 2


EVENTS = "session_id,item_id,timestamp,event_type,country\n" + "".join(
    f"{s},{i},{t},{'view' if s != 'b' else 'cart'},{'DE' if s in 'bd' else 'FR'}\n" for s, i, t in CLICKS
)


def test_where_reads_some_rows_and_without_it_the_events_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", EVENTS + f"e,,{BEGIN},search,DE\n")
    with pytest.raises(InputError, match="line 10: the item is missing"):
        own_log.read("c", file, LOOSE)
    for words, sizes in (
        (["event_type=view"], (1, 2)),
        (["event_type=view", "event_type=cart"], (2, 2)),
        (["event_type=view", "country=FR"], (1, 1)),
    ):
        rules = Rules.of({"where": words, "min_support": 1})
        split = own_log.read("c", file, rules)
        assert (len(split.train), len(split.test)) == sizes
        assert f"{9 - 2 * sum(sizes)} others left out" in split.provenance.note
    with pytest.raises(InputError, match="--where leaves out all 9 rows"):
        own_log.read("c", file, Rules.of({"where": ["event_type=veiw"]}))
    with pytest.raises(UsageError, match=r"--where kind=...: .*no column of that name"):
        own_log.read("c", file, Rules.of({"where": ["kind=view"]}))
    split = own_log.read("c", write(tmp_path / "d.csv", EVENTS), LOOSE)
    assert "cart and view all count as clicks (--where event_type=view reads these alone)" in split.provenance.note


def test_long_sessions_and_all_but_the_newest_are_left_out_where_asked(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", PLAIN + "".join(f"z,{'xy'[k % 2]},{BEGIN + DAY + k}\n" for k in range(9)))
    split = own_log.read("c", file, Rules(min_support=1, max_length=5))
    assert len(split.train) == 2 and "1 sessions of more than 5 clicks are left out" in split.provenance.note
    split = own_log.read("c", file, Rules(min_support=1, newest=3))
    assert (len(split.train), len(split.test)) == (1, 2) and "only the newest 3 sessions" in split.provenance.note


def test_a_given_test_is_the_test(tmp_path: Path) -> None:
    names = "SessionId\tItemId\tTime\n"
    train = write(tmp_path / "train.txt", names + "1\t7\t3.5\n1\t8\t4.5\n2\t8\t1.5\n2\t9\t2.5\n")
    test = write(tmp_path / "test.txt", names + "1\t8\t9.0\n1\t5\t9.5\n1\t9\t9.75\n3\t5\t8.0\n3\t7\t8.5\n3\t8\t8.75\n")
    split = own_log.read("c", train, Rules.of({"test": str(test)}))
    assert split.vocabulary is not None and split.test_sessions is not None
    ids = [[split.vocabulary[one].tolist() for one in part.lists()] for part in (split.train, split.test)]
    assert ids == [[["8", "9"], ["7", "8"]], [["7", "8"], ["8", "9"]]], "by their ends; item 5 is unknown"
    assert split.test_sessions.tolist() == ["3", "1"], "session 1 of the test is another than that of train"
    assert split.provenance.rules == "test=given min_support=1 min_length=2"
    assert list(split.provenance.files) == ["train.txt", "test.txt"]
    with pytest.raises(UsageError, match="--test-days and --test: only one"):
        Rules.of({"test": str(test), "test_days": "1"})
    words = ["--dataset", str(train), "--test", str(test), "--results", str(tmp_path / "out")]
    assert main(["table2", *words, "--model", "pop", "--quiet"]) == 0
    assert "test: the given file" in next((tmp_path / "out").glob("train-*/table2.md")).read_text()


def test_a_command_that_runs_elsewhere_names_the_given_test_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train.txt", "test.txt"):
        write(tmp_path / name, "SessionId\tItemId\tTime\n1\t7\t3.5\n1\t8\t4.5\n")
    name = catalog.dataset("train.txt", {"test": "test.txt"}).name
    words = catalog.current().data_words(name, absolute=True)
    assert words == [str(tmp_path / "train.txt"), "--test", str(tmp_path / "test.txt")]
    assert catalog.current().data_words(name) == ["train.txt", "--test", "test.txt"]


# --- nothing guessed --------------------------------------------------------------------------------------------------


def test_clicks_of_one_time_keep_the_order_of_the_file_and_are_counted(tmp_path: Path) -> None:
    def text(order: Callable[[int], int]) -> str:
        rows = [
            (f"{s}", i, BEGIN + d * DAY, order(k))
            for d, s in ((1, "a"), (3, "b"), (3, "c"))
            for k, i in enumerate("xyz")
        ]
        return "session_id,item_id,timestamp,timeframe\n" + "".join(f"{s},{i},{t},{n}\n" for s, i, t, n in rows)

    file = write(tmp_path / "c.csv", text(lambda k: 9 - k))
    split = own_log.read("c", file, LOOSE)
    assert split.vocabulary is not None and split.vocabulary[split.train[0]].tolist() == ["x", "y", "z"]
    assert split.provenance.ties == 1.0
    assert "6 of 6 neighbouring clicks (100.0%) have the same time, and the order of the file" in split.provenance.note
    split = own_log.read("c", file, Rules.of({"columns": ["order=timeframe"], "min_support": 1}))
    assert split.vocabulary is not None and split.vocabulary[split.train[0]].tolist() == ["z", "y", "x"]
    assert split.provenance.ties == 0 and "neighbouring" not in split.provenance.note
    again = own_log.read(
        "c", write(tmp_path / "d.csv", text(lambda k: k // 2)), Rules(columns={"order": "timeframe"}, min_support=1)
    )
    assert again.provenance.ties == 0.5 and "the same time and order" in again.provenance.note


def test_a_page_says_that_the_order_of_the_file_decides(tmp_path: Path) -> None:
    def page(place: Path) -> str:
        words = ["--results", str(tmp_path / "out"), "--model", "pop", "--quiet", "--dataset", str(place)]
        assert main(["table2", *words, *(["--min-support", "1"] if place.is_file() else [])]) == 0
        return next((tmp_path / "out").glob(f"{place.stem}-*/table2.md")).read_text()

    told = page(write(tmp_path / "c.csv", dated("%Y-%m-%d")))
    assert "100.0% of neighbours have equal times and keep the file's order" in told and "order, exact" not in told
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "all_train_seq.txt").write_bytes(pickle.dumps([[1, 2], [2, 1]]))
    (tmp_path / "folder" / "test.txt").write_bytes(pickle.dumps(([[1], [2]], [2, 1])))
    told = page(tmp_path / "folder")
    assert "order as given, rules not known" in told


def test_session_ids_of_several_users_are_refused_with_the_remedy(tmp_path: Path) -> None:
    rows = [(u, 0, i, BEGIN + day * DAY + k) for day, u in ((1, "u"), (3, "v"), (3, "w")) for k, i in enumerate("xyz")]
    file = write(
        tmp_path / "c.csv",
        "user_id,session_id,item_id,timestamp\n" + "".join(f"{u},{s},{i},{t}\n" for u, s, i, t in rows),
    )
    with pytest.raises(
        InputError, match=r"c\.csv: 1 session ids occur with several users, such as '0'; .* session=user_id\+sess"
    ):
        own_log.read("c", file, LOOSE)
    split = own_log.read("c", file, Rules.of({"columns": ["session=user_id+session_id"], "min_support": 1}))
    assert split.test_sessions is not None and split.test_sessions.tolist() == ["v+0", "w+0"]
    anonymous = file.read_text().replace("w,0", ",1").replace("v,0", ",2")
    assert len(own_log.read("c", write(tmp_path / "d.csv", anonymous), LOOSE).test) == 2


def test_words_for_missing_values_are_the_users_to_choose(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", PLAIN.replace(",x,", ",NA,"))
    with pytest.raises(InputError, match=r"line 2: the item is missing \('NA'\); fill it in or remove such rows"):
        own_log.read("c", file, LOOSE)
    split = own_log.read("c", file, Rules.of({"missing": [""], "min_support": 1}))
    assert split.vocabulary is not None and split.vocabulary.tolist() == ["NA", "y"]
    numbers = write(tmp_path / "d.csv", PLAIN.replace(",x,", ",0,").replace(",y,", ",7,"))
    with pytest.raises(InputError, match=r"line 2: the item is missing \('0'\)"):
        own_log.read("c", numbers, Rules.of({"missing": ["0", "-"]}))


@pytest.mark.parametrize("block", [8 << 20, 32])
def test_a_byte_order_mark_is_one_at_the_start_of_the_file_only(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "BLOCK", block)
    text = PLAIN.replace("\na,x", "\n\ufeffa,x").replace("\nc,y", "\n\ufeffc,y")
    with pytest.raises(InputError, match="no training session is left"):  # two of one click, and of the others one
        own_log.read("c", write(tmp_path / "c.csv", text.replace("\nb", "\n\ufeffb", 1)), LOOSE)
    marked = JSON.splitlines(keepends=True)
    with pytest.raises(InputError, match="line 3: "):
        own_log.read("c", write(tmp_path / "c.jsonl", "".join([*marked[:2], "\ufeff", *marked[2:]])), LOOSE)


def test_ids_are_text_exactly(tmp_path: Path) -> None:
    split = own_log.read("c", write(tmp_path / "c.csv", PLAIN.replace(",x,", ",01,").replace(",y,", ",1,")), LOOSE)
    assert split.vocabulary is not None and split.vocabulary.tolist() == ["01", "1"]


def test_a_test_of_one_session_is_told_before_anything_runs(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", PLAIN + f"e,x,{BEGIN + 9 * DAY}\ne,y,{BEGIN + 9 * DAY + 1}\n")
    with pytest.warns(UserWarning, match="c: the test is a single session; choose --test-days or --test-share"):
        own_log.read("c", file, LOOSE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own_log.read("c", file, Rules(min_support=1, test_days=7))


LONG = PLAIN + "".join(f"s{k},i{k},{BEGIN + k}\n" for k in range(300))  # several small blocks
LAST = LONG.count("\n") + 1  # the line after it
LINES = "".join(json.dumps({"session": f"s{k}", "item": k, "ts": BEGIN + k}) + "\n" for k in range(30))
OTTOS = '{"session":1,"events":[{"aid":1,"ts":1600000000000}]}\n'


def columns(**arrays: Any) -> bytes:
    return parquet(pa.table(arrays))


REFUSED: list[tuple[str, str | bytes, str]] = [
    ("c.csv", "", "line 1: expected a line with the names"),
    ("c.csv", HEAD, "no row to read"),
    ("c.csv", LONG + "a,,1600000000\n", f"line {LAST}: the item is missing"),
    ("c.csv", LONG + ",x,1600000000\n", f"line {LAST}: the session is missing"),
    ("c.csv", LONG + "a,x,\n", f"line {LAST}: the time is missing"),
    ("c.csv", LONG + "a,x,1600000000\nN/A,x,1600000000\n", f"line {LAST + 1}: the session is missing"),
    ("c.csv", LONG + "a,\\N,1600000000\n", f"line {LAST}: the item is missing"),
    ("c.csv", LONG + "a,x,NaT\n", f"line {LAST}: the time is missing"),
    ("c.csv", LONG + "None,x,1600000000\n", f"line {LAST}: the session is missing"),
    ("c.csv", LONG + "a, ,1600000000\n", f"line {LAST}: the item is ' '"),
    ("c.csv", LONG + "a,x\n", f"line {LAST}: 2 fields in 'a, x', expected 3 as in the header"),
    ("c.csv", LONG + "a,x,1,b\n", f"line {LAST}: 4 fields"),
    ("c.csv", LONG + "\na,y,1600000000\n", f"line {LAST}: it is empty, and rows follow"),
    ("c.csv", HEAD + "a,x,1600000000\r\n\r\na,x,1600000000\r\n", "line 3: it is empty"),
    ("c.csv", HEAD + "\n" + "a,x,1600000000\n", "line 2: it is empty"),
    ("c.csv", LONG + "a,x,soon\n", f"line {LAST}: the time is 'soon'"),
    ("c.csv", LONG + "a,x,1700000000000\n", f"line {LAST}: the time is 1700000000000, where .*--time-unit"),
    ("c.csv", LONG + "a,x,-5\n", f"line {LAST}: the time is '-5'"),
    ("c.csv", LONG + "a,x,1e99\n", f"line {LAST}: the time is '1e99'"),
    ("c.csv", LONG + "a,x,1600000000.\n", f"line {LAST}: the time is '1600000000.'"),
    ("c.csv", LONG + 'a,"x\ny",1600000000\na,z,soon\n', f"line {LAST + 2}: the time is 'soon'"),
    ("c.csv", LONG + 'a,"x,1600000000\nb,y,1600000000\n', f"line {LAST}: .*is a quote opened there"),
    ("c.csv", LONG + 'a,"x"y,1600000000\n', f"line {LAST}: .*is a quote opened there"),
    ("c.csv", LONG + "a,x\0,1600000000\n", f"line {LAST}: a NUL byte"),
    ("c.csv", LONG.encode() + b"a,\xe4,1600000000\n", f"line {LAST}: not UTF-8"),
    ("c.csv", LONG.encode("utf-16")[2:], "line 1: a NUL byte"),
    ("c.csv", LONG.encode("utf-16") + b"\x00", "not UTF-16"),
    ("c.csv", HEAD + "a,x,2020-01-01\na,y,2020-01-01T00:00Z\n", "line 3: .* has a zone, where the first row's has"),
    ("c.csv", HEAD + "a,x,2020-01-01T00:00Z\na,y,2020-01-01\n", "line 3: .* has no zone, where the first row's has"),
    ("c.csv", HEAD + "a,x,2020-01-01\na,y,2020-02-30\n", "line 3: the time is '2020-02-30'"),
    ("c.csv", HEAD + "a,x,2020-01-01_10:00\n", "line 2: the time is '2020-01-01_10:00'"),
    ("c.csv", HEAD + "a,x,2020/01/01\na,y,2020-01-02\n", "line 3: .*written with -, where the first row's has /"),
    ("c.csv", HEAD + "a,x,2020-01-01\na,y,2020-01-01T10:00\n", "line 3: .* where the first row's is '2020-01-01'; wri"),
    ("c.csv", HEAD + "a,x,2020-01-01T10:00\na,y,2020-01-01 11:00\n", "line 3: .* where the first row's is '2020-01-"),
    ("c.csv", HEAD + "a,x,2020-01-01t10:00\n", "line 2: the time is '2020-01-01t10:00'"),
    ("c.csv", HEAD + "a,x,2020-01-01\na,y,1600000000\n", "line 3: the time is '1600000000'"),
    ("c.csv", HEAD + "a,x,1600000000\na,y,2020-01-01\n", "line 3: the time is '2020-01-01'"),
    ("c.csv", HEAD + "a,x,14.07.2017 03:41\n", "line 2: .*--time-format reads other forms"),
    ("c.csv", HEAD + "a,x,1950-01-01\n", "line 2: the time lies outside 1970 to 2099"),
    ("c.csv", HEAD + "a,x,20170714\n", "line 2: .*a date or a number\\? say --time-format %Y%m%d, or --time-unit s"),
    ("c.csv", HEAD + "a,x,201707140341\n", "line 2: .*say --time-format %Y%m%d%H%M, or --time-unit"),
    ("c.csv", ",".join(map(str, range(100_000))) + "\n", "line 1: over 10,000 columns"),
    ("c.csv.gz", gzip.compress(RAW)[:-20], "broken or cut short"),
    ("c.csv.gz", gzip.compress(RAW) + b"junk", "broken or cut short"),
    ("c.csv.bz2", bz2.compress(RAW)[:-20], "broken or cut short"),
    ("c.csv.xz", lzma.compress(RAW)[:-20], "broken or cut short"),
    ("c.csv.zst", pa.compress(RAW, codec="zstd", asbytes=True)[:-20], "broken or cut short"),
    ("c.7z", b"7z\xbc\xaf", "a .7z is not read; unpack it"),
    ("c.doc", "x", "expected .csv, .tsv"),
    ("c.jsonl", "\n", "line 1: expected an object in each line"),
    ("c.jsonl", LINES + '{"session":"a","item":1,"t\n', "line 31: not JSON"),
    ("c.jsonl", LINES + '{"session":"a","item":1}\n', "line 31: the time is missing"),
    ("c.jsonl", LINES + '{"session":"a","item":"x","ts":1600000000}\n', "line 31: .*item.* changed from number to str"),
    ("c.jsonl", LINES + '{"session":"a","item":1,"ts":1600000000}{"a":1}\n', "line 31: not JSON"),
    ("c.jsonl", LINES + '{"session":null,"item":1,"ts":1600000000}\n', "line 31: the session is missing"),
    ("c.jsonl", LINES + '{"session":"a","session":"b","item":1,"ts":1600000000}\n', "line 31: .*specified twice"),
    ("c.jsonl", LINES + "\n" + LINES, "line 31: it is empty, and rows follow"),
    ("c.jsonl", LINES + "[1]\n", "line 31: a list, expected an object"),
    ("c.jsonl", LINES + '{"session":true,"item":1,"ts":1600000000}\n', "line 31: .*session.* to boolean"),
    ("c.jsonl", LINES + '{"session":"a","item":99999999999999999999,"ts":1600000000}\n', "line 31: "),
    ("c.jsonl", OTTOS + '{"session":2,"events":[{"aid":1,"ts":null}]}\n', "line 2: the time is missing"),
    ("c.jsonl", OTTOS * 3 + '{"session":2,"events":[{"aid":"x","ts":1}]}\n', "line 4: .*aid.* changed from"),
    ("c.jsonl", OTTOS * 3 + '{"session":2}\n', "line 4: events is missing"),
    ("c.parquet", columns(session_id=["a", None], item_id=[1, 2], timestamp=[1, 2]), "row 2: the session is missing"),
    ("c.parquet", columns(session_id=["a", "nan"], item_id=[1, 2], timestamp=[1, 2]), "row 2: the session is missing"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[1.0, 2.0], timestamp=[1, 2]), "row 1: the item is of type"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[[1], [2]], timestamp=[1, 2]), "row 1: the item is of type"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[1, 2], timestamp=[1.0, float("nan")]), "row 2: the time is"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[1, 2], timestamp=[20170714, 20170714]), "row 1: .*a date or"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[1, 2], timestamp=pa.array([1, 2**50], pa.timestamp("s"))),
     "row 2: the time lies outside 1970 to 2099"),
    ("c.parquet", columns(session_id=[*"ab"], item_id=[1, 2], timestamp=pa.array([1, 2**63], pa.uint64())),
     "row 2: the time lies outside 1970 to 2099"),
    ("c.parquet", columns(session_id=[*"ab"], timestamp=[1, 2],
                          item_id=pa.Array.from_buffers(pa.string(), 2, pa.array([b"x", b"\xff"]).buffers())),
     "row 2: not UTF-8"),
    ("c.parquet", columns(session_id=["a"], item_id=[1], timestamp=[1])[:-50], "not whole Parquet"),
]  # fmt: skip


@pytest.mark.parametrize("block", [8 << 20, 64])
@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_malformed_is_refused_with_its_line(
    case: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, text, message = REFUSED[case]
    if name in ("c.csv", "c.jsonl"):
        monkeypatch.setattr(content, "BLOCK", block)
    with pytest.raises(InputError) as caught:
        own_log.read("c", write(tmp_path / name, text), LOOSE)
    told = str(caught.value)
    assert told.startswith(str(tmp_path / name)) and re.search(message, told), told
    assert "\n" not in told and len(told) < 700


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M:%S", "%Y%m%d", "%d %b %Y; %I:%M:%S %p", "%Y-%m-%dT%H.%M.%S%z"])
def test_any_other_form_of_times_is_read_where_it_is_named(form: str, tmp_path: Path) -> None:
    text = dated(form)
    rules = Rules.of({"time_format": form, "min_support": 1})
    split = own_log.read("c", write(tmp_path / "c.csv", text), rules)
    assert lists(split) == ([[0, 1], [0, 1]], [[0, 1], [0, 1]])
    assert f"times: as {form}, taken as UTC" in split.provenance.note
    with pytest.raises(InputError, match=r"line 9: the time is '2020-1-1', expected the form"):
        own_log.read("c", write(tmp_path / "d.csv", text.rstrip().rpartition(",")[0] + ",2020-1-1\n"), rules)


def test_several_columns_make_a_time(tmp_path: Path) -> None:
    text = dated("%Y-%m-%d,%H:%M:%S").replace("timestamp", "day,hour")
    split = own_log.read(
        "c", write(tmp_path / "c.csv", text), Rules.of({"columns": ["time=day+hour"], "min_support": 1})
    )
    assert lists(split)[0] == [[0, 1], [0, 1]] and split.provenance.ties == 0


def test_a_line_without_end_is_refused_early_however_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "BLOCK", 1 << 10)
    monkeypatch.setattr(content, "LONGEST_LINE", 1 << 12)
    text = RAW + b"x" * (1 << 20)
    for name, packed in (
        ("c.csv", text),
        ("c.csv.gz", gzip.compress(text)),
        ("c.csv.xz", lzma.compress(text)),
        ("c.zip", zipped(text)),
    ):
        with pytest.raises(InputError, match="line 10: no end of line within 4,096 bytes"):
            own_log.read("c", write(tmp_path / name, packed), LOOSE)


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "BLOCK", 1 << 10)
    monkeypatch.setattr(content, "BOMB", (1 << 14, 20))
    with pytest.raises(InputError, match="unpacks to over 20 times its size"):
        own_log.read("c", write(tmp_path / "c.csv.gz", gzip.compress(RAW + b"a,x,1600000000\n" * 100_000)), LOOSE)


def test_a_pipe_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.csv")
    for source in (tmp_path / "c.csv", [tmp_path / "c.csv"]):
        with pytest.raises(InputError, match="a pipe or a device, expected a file"):
            own_log.read("c", source, LOOSE)
    with pytest.raises(SuiteError, match="a pipe or a device"):
        catalog.dataset(str(tmp_path / "c.csv"))


def test_a_session_cut_by_gap_is_named_by_its_user(tmp_path: Path) -> None:
    rows = [("u", i, BEGIN + day * DAY + k) for day in (1, 3, 3.5) for k, i in enumerate("xy")]
    file = write(tmp_path / "c.csv", "user_id,item_id,timestamp\n" + "".join(f"{u},{i},{int(t)}\n" for u, i, t in rows))
    split = own_log.read("c", file, Rules(min_support=1, gap=1800))
    assert split.test_sessions is not None and split.test_sessions.tolist() == ["u#2", "u#3"]


def test_numbers_of_any_size_and_kind_keep_their_ids(tmp_path: Path) -> None:
    ids = ["0", "7", str(2**40), str(10**25), "-1", "00", "1e3"]
    rows = [(s, i, BEGIN + d * DAY + k) for d, s in ((1, 1), (3, 2), (3, 3)) for k, i in enumerate(ids)]
    split = own_log.read("c", write(tmp_path / "c.csv", HEAD + "".join(f"{s},{i},{t}\n" for s, i, t in rows)), LOOSE)
    assert split.vocabulary is not None and split.vocabulary.tolist() == ids
    assert np.array_equal(split.train[0], np.arange(7))


def test_the_command_line_offers_every_option_of_the_rules() -> None:
    assert tuple(vars(cli._own_log().parse_args([]))) == own_log.OPTIONS
