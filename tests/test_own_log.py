"""A user's own table of clicks: split as a literal reading of the rules splits it, and strict about every row."""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reproduce.errors import InputError, UsageError
from reproduce.reading import own_log
from reproduce.reading.own_log import Rules
from reproduce.reading.preprocessing import ClickLog
from reproduce.reading.sessions import Split

Rows = list[tuple[str, str, int]]
DAY = 86_400
# Two items, clicked four times each; the last two sessions end two days after the first two.
CLICKS: Rows = [
    (s, i, day * DAY + k) for day, s in ((1, "a"), (1, "b"), (3, "c"), (3, "d")) for k, i in enumerate("xy")
]
LOOSE = Rules(min_support=1)


def write(place: Path, rows: Rows, header: str = "session_id,item_id,timestamp") -> Path:
    place.write_text("\n".join([header, *(f"{s},{i},{t}" for s, i, t in rows)]) + "\n")
    return place


def ids(split: Split) -> tuple[list[list[str]], list[list[str]]]:
    """Return train and test in the log's own ids."""
    assert split.vocabulary is not None
    return tuple([split.vocabulary[one].tolist() for one in part.lists()] for part in (split.train, split.test))  # type: ignore[return-value]


def literally(
    rows: Rows, days: int, support: int, shortest: int, second: int = 1
) -> tuple[list[list[str]], list[list[str]]]:
    """Split the rows by the paper's rules, written out with lists and dicts; a second is so many units of time."""
    sessions: dict[str, list[tuple[int, str]]] = {}
    for session, item, at in rows:
        sessions.setdefault(session, []).append((at, item))
    clicks = {name: [item for _, item in sorted(one, key=lambda click: click[0])] for name, one in sessions.items()}
    ends = {name: max(at for at, _ in one) // second for name, one in sessions.items()}
    clicks = {name: one for name, one in clicks.items() if len(one) >= shortest}
    counts = Counter(item for one in clicks.values() for item in one)
    clicks = {name: [item for item in one if counts[item] >= support] for name, one in clicks.items()}
    clicks = {name: one for name, one in clicks.items() if len(one) >= shortest}
    border = max((ends[name] for name in clicks), default=0) - days * DAY
    by_end = sorted(clicks, key=lambda name: ends[name])
    train = [clicks[name] for name in by_end if ends[name] < border]
    known = {item for one in train for item in one}
    test = [[item for item in clicks[name] if item in known] for name in by_end if ends[name] > border]
    return train, [one for one in test if len(one) >= shortest]


def random_log(seed: int) -> Rows:
    """Return a log of up to 24 sessions, four a day, each within 15 hours, with their rows in mixed order."""
    rng = np.random.default_rng(seed)
    session = rng.integers(0, 24, rng.integers(40, 120))
    at = session // 4 * DAY + 600 * rng.integers(0, 90, len(session))
    items = ["x", "y", "z", 'q"1', "a,b", "ä", "rare", "rarer"]
    item = rng.choice(len(items), len(session), p=[0.2, 0.2, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
    return [(f"s {s}", items[i], int(when)) for s, i, when in zip(session, item, at, strict=True)]


logs = st.integers(0, 2**32).map(random_log)
zones = st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs, st.integers(1, 3), st.integers(1, 4), st.integers(2, 3), zones, st.booleans())
def test_a_log_is_split_as_the_rules_say_in_any_time_zone(
    tmp_path: Path, rows: Rows, days: int, support: int, shortest: int, zone: str, iso: bool
) -> None:
    train, test = literally(rows, days, support, shortest)
    file, before = tmp_path / "clicks.csv", os.environ.get("TZ")
    with file.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["when", "ItemId", "other", "SessionId"])
        for session, item, at in rows:
            when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S") if iso else str(at)
            out.writerow([when, item, "two\nlines", session])
    rules = Rules(columns={"time": "when"}, test_days=days, min_support=support, min_length=shortest)
    os.environ["TZ"] = zone
    time.tzset()
    try:
        if not train or not test:
            with pytest.raises(InputError, match=r"no (training|test) session is left"):
                own_log.read("clicks", file, rules)
        else:
            assert ids(own_log.read("clicks", file, rules)) == (train, test)
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def test_items_are_numbered_by_first_appearance_and_keep_their_ids(tmp_path: Path) -> None:
    split = own_log.read("c", write(tmp_path / "c.csv", CLICKS), LOOSE)
    assert ids(split) == ([["x", "y"], ["x", "y"]], [["x", "y"], ["x", "y"]])
    assert split.vocabulary is not None and split.vocabulary.tolist() == ["x", "y"]
    assert split.train.lists() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("time_text", "told"),
    [
        ("{}", "seconds since 1970"),
        ("{}.25", "seconds since 1970"),
        ("{}000", "milliseconds since 1970"),
        ("{}000000", "microseconds since 1970"),
        ("iso", "ISO 8601 without zone, taken as UTC"),
        ("isoZ", "ISO 8601 with zone"),
        ("iso+02:00", "ISO 8601 with zone"),
    ],
)
def test_times_are_recognised_and_said(tmp_path: Path, time_text: str, told: str) -> None:
    rows = []
    for s, i, t in CLICKS:
        at = t + 1_600_000_000
        shown = datetime.fromtimestamp(at, UTC).isoformat()[:19]
        rows.append((s, i, shown + time_text[3:] if time_text.startswith("iso") else time_text.format(at)))
    split = own_log.read("c", write(tmp_path / "c.csv", rows), LOOSE)  # type: ignore[arg-type]
    assert ids(split)[0] == [["x", "y"], ["x", "y"]]
    assert f"times: {told}, 2020-09-1" in split.provenance.note


def test_a_zone_moves_a_click_to_its_place(tmp_path: Path) -> None:
    rows = [(s, i, f"2020-01-0{t // DAY}T00:00:0{t % 10}+00:00") for s, i, t in CLICKS]
    rows[0] = ("a", "x", "2020-01-01T02:00:02+02:00")  # two seconds after midnight in UTC, so after y
    split = own_log.read("c", write(tmp_path / "c.csv", rows), LOOSE)  # type: ignore[arg-type]
    assert ids(split)[0] == [["x", "y"], ["y", "x"]]


def test_rows_that_repeat_are_clicks_and_are_counted(tmp_path: Path) -> None:
    split = own_log.read("c", write(tmp_path / "c.csv", [*CLICKS, CLICKS[0]]), LOOSE)
    assert ids(split)[0] == [["x", "x", "y"], ["x", "y"]]
    assert "1 rows equal another" in split.provenance.note


def test_a_pause_of_more_than_the_gap_begins_a_session() -> None:
    user, at = np.array([0, 1, 0, 0, 1]), np.array([0, 5, 60, 121, 5]) * 10**6
    ids = np.array(["u", "v"], object)
    log = ClickLog(user, user, at, None, ids, ids, {}, "", (), 0, (5,))
    session, names = own_log.cut(log, gap=60)
    assert names[session].tolist() == ["u#1", "v#1", "u#1", "u#2", "v#1"]
    same = session[:, None] == session
    assert same.tolist() == [
        [True, False, True, False, False],
        [False, True, False, False, True],
        [True, False, True, False, False],
        [False, False, False, True, False],
        [False, True, False, False, True],
    ]


def test_a_log_of_users_is_cut_where_it_is_asked_for(tmp_path: Path) -> None:
    rows = [("u", i, t * DAY + k) for t in (1, 2, 4, 5) for k, i in enumerate("xy")]
    file = write(tmp_path / "c.csv", rows, "user_id,item_id,timestamp")
    assert ids(own_log.read("c", file, Rules(min_support=1, gap=1800)))[0] == [["x", "y"], ["x", "y"]]
    with pytest.raises(InputError, match="--columns user=NAME --gap 30m"):
        own_log.read("c", file, LOOSE)
    with pytest.raises(UsageError, match="needs --gap"):
        own_log.read("c", file, Rules(columns={"user": "user_id"}))


def test_the_share_that_ends_last_is_the_test_and_one_second_is_not_torn(tmp_path: Path) -> None:
    rows = [(f"s{n}", i, n * 100 + k) for n in range(8) for k, i in enumerate("xy")]
    file = write(tmp_path / "c.csv", rows)
    split = own_log.read("c", file, Rules(min_support=1, test_share=0.25))
    assert (len(split.train), len(split.test)) == (6, 2)
    together = write(tmp_path / "d.csv", [(s, i, min(t, 500 + t % 100)) for s, i, t in rows])
    split = own_log.read("c", together, Rules(min_support=1, test_share=0.25))
    assert (len(split.train), len(split.test)) == (5, 3)


def test_rules_are_part_of_the_digest_and_of_the_note(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", CLICKS)
    one, other = (own_log.read("c", file, Rules(min_support=n)) for n in (1, 2))
    assert ids(one) == ids(other) and one.digest != other.digest
    assert "items of 2 clicks or more" in other.provenance.note


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gap": "30"}, "--gap 30: expected a number and s, m, h or d"),
        ({"columns": ["click=x"]}, "--columns click=x: expected ROLE=NAME"),
        ({"columns": ["time=x", "time=y"]}, "--columns time: named twice, as x and y"),
        ({"columns": ["time=x", "item=x"]}, "--columns time=x item=x: one column for two roles"),
        ({"test_days": ""}, "--test-days : expected a whole number"),
        ({"test_days": True}, "--test-days True: expected a whole number"),
        ({"test_days": "0"}, "--test-days 0: expected a whole number from 1 on"),
        ({"min_length": "1"}, "--min-length 1: expected a whole number from 2 on"),
        ({"test_share": "1"}, "--test-share 1: expected a number between 0 and 1"),
        ({"test_days": "2", "test_share": "0.1"}, "only one of them"),
        ({"time_unit": "day"}, "--time-unit day: expected one of s, ms, us, ns"),
    ],
)
def test_a_wrong_rule_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Rules.of(given)


def test_parquet_gives_the_split_of_the_same_csv(tmp_path: Path) -> None:
    columns = [list(column) for column in zip(*CLICKS, strict=True)]
    plain = own_log.read("c", write(tmp_path / "c.csv", CLICKS), LOOSE)
    for kind in (pa.int64(), pa.timestamp("s"), pa.timestamp("s", tz="UTC")):
        table = pa.table({"session_id": columns[0], "item_id": columns[1], "timestamp": pa.array(columns[2], kind)})
        pq.write_table(table, tmp_path / "c.parquet")
        assert own_log.read("c", tmp_path / "c.parquet", LOOSE).digest == plain.digest
    pq.write_table(
        pa.table({"session_id": ["a", None], "item_id": [1, 2], "timestamp": [1, 2]}), tmp_path / "n.parquet"
    )
    with pytest.raises(InputError, match="row 2: the session is missing"):
        own_log.read("c", tmp_path / "n.parquet", LOOSE)


def test_any_number_of_values_to_read_can_be_recorded() -> None:
    """A record holds texts of 2,000 characters at most."""
    short, long = (Rules.of({"where": {"type": [f"{i:05}" for i in range(n)]}}) for n in (10, 500))
    assert "where type=00000|00001" in str(short) and len(str(long)) < 200
    assert str(long) != str(Rules.of({"where": {"type": [f"{i:05}" for i in range(501)]}}))


def test_ids_of_several_columns_that_read_alike_are_refused(tmp_path: Path) -> None:
    """a and b+c, a+b and c: messages, files and recommendations could not tell them apart."""
    rows = [f"s{s},{'a,b+c' if s % 2 else 'a+b,c'},{s * 1000 + k}" for s in range(20) for k in range(3)]
    (tmp_path / "log.csv").write_text("\n".join(["session_id,brand,model,timestamp", *rows]) + "\n")
    rules = Rules.of({"columns": ["item=brand+model"]})
    with pytest.raises(InputError, match=r"two items are both called a\+b\+c, joined by \+; choose other columns"):
        own_log.read("log", tmp_path / "log.csv", rules)


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UsageError, match="unknown rule tset_days; available: columns, where, "):
        Rules.of({"tset_days": 7})
