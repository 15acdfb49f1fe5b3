"""RULES_VERSION stands for the splits that the rules make, checked for every source on a small made-up log.

golden/rules.json has the digests by version. Where a digest changes on purpose, raise RULES_VERSION and add the new
version's digests to the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.datasets import diginetica, yoochoose
from reproduce.reading.preprocessing import RULES_VERSION

GOLDEN = Path(__file__).resolve().parent / "golden" / "rules.json"
BEGIN = datetime(2014, 4, 7, 9, tzinfo=UTC)
Row = tuple[int, datetime, int, int]  # session, when, item, place in time


def rows() -> list[Row]:
    """Return 300 sessions of 1 to 7 clicks over twenty days, made by arithmetic alone: the same on every machine."""
    found, state = [], 1
    for session in range(300):
        begin = BEGIN + timedelta(hours=1.6 * session)
        state = state * 48_271 % 2_147_483_647
        for click in range(1 + state % 7):
            state = state * 48_271 % 2_147_483_647
            item = 1 + min(state % 40, state // 41 % 60)
            found.append((session + 1, begin + timedelta(seconds=70 * click), item, state // 2_501 % 5))
    return found


def digest(name: str, data: Path) -> str:
    """Return a digest of a split's arrays and of its provenance, without files and published counts."""
    split = catalog.load_split(name, data)
    said = dataclasses.asdict(split.provenance)
    del said["files"], said["published"]
    assert [said.pop(key) for key in ("rules", "chosen", "ties")] == ["", False, 0.0]  # only own data set these
    return hashlib.sha256((split.digest + json.dumps(said, sort_keys=True)).encode()).hexdigest()


def raw(folder: Path) -> None:
    yoo = (f"{session},{when:%Y-%m-%dT%H:%M:%S}.000Z,{item},0\n" for session, when, item, _ in rows())
    (folder / yoochoose.RAW).write_text("".join(yoo))
    digi = (f"{session};NA;{item};{place};{when:%Y-%m-%d}\n" for session, when, item, place in rows())
    (folder / diginetica.RAW).write_text("sessionId;userId;itemId;timeframe;eventdate\n" + "".join(digi))


def processed(folder: Path) -> None:
    sessions: dict[int, list[int]] = {}
    for session, _, item, _ in rows():
        sessions.setdefault(session, []).append(item)
    whole = [items for items in sessions.values() if len(items) > 1]
    train, test = whole[:-30], whole[-30:]
    cuts = [(items, i) for items in test for i in range(len(items) - 1, 0, -1)]
    pair = ([items[:i] for items, i in cuts], [items[i] for items, i in cuts])
    for name in ("yoochoose1_64", "yoochoose1_4", diginetica.FOLDER):
        (folder / name).mkdir()
        (folder / name / "all_train_seq.txt").write_bytes(pickle.dumps(train))
        (folder / name / "test.txt").write_bytes(pickle.dumps(pair))


def eshop_log(folder: Path) -> None:
    head = "year;month;day;order;country;session ID;page 1;page 2 (clothing model);colour;location;a;b;c;page"
    lines = [f"2008;4;{when.day};{9 - place};29;{one};1;A{item};1;1;1;1;1;1" for one, when, item, place in rows()]
    (folder / "eshop").mkdir()
    (folder / "eshop" / "log.csv").write_text("\n".join([head, *lines, ""]))


def test_what_the_rules_make_of_a_log_changes_with_their_version_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yoochoose, "KEEP", {"yoochoose1_64": 50, "yoochoose1_4": 500})
    names = ("yoochoose1_64", "yoochoose1_4", "diginetica", "diginetica-file-order")
    found = {}
    (tmp_path / "processed").mkdir()
    processed(tmp_path / "processed")
    found |= {f"{name}, processed": digest(name, tmp_path / "processed") for name in names}
    items = sorted({item for _, _, item, _ in rows()}, key=lambda item: item * 7 % 61)
    (tmp_path / "processed" / diginetica.FOLDER / diginetica.ORDER).write_text("\n".join(map(str, items)) + "\n")
    found["diginetica-file-order, reconstructed"] = digest("diginetica-file-order", tmp_path / "processed")
    (tmp_path / "raw").mkdir()
    raw(tmp_path / "raw")
    found |= {f"{name}, raw": digest(name, tmp_path / "raw") for name in names}
    eshop_log(tmp_path / "raw")
    found["eshop"] = digest("eshop", tmp_path / "raw")
    assert len(set(found.values())) == len(found) == 10
    known = json.loads(GOLDEN.read_text())
    assert str(RULES_VERSION) in known, f"add to {GOLDEN.name}: {json.dumps({RULES_VERSION: found}, indent=1)}"
    assert found == known[str(RULES_VERSION)], "the rules make other splits: raise RULES_VERSION"


@pytest.mark.parametrize("name", ["yoochoose1_64", "yoochoose1_4", "diginetica", "diginetica-file-order"])
def test_training_sessions_of_a_raw_log_carry_their_dates_and_come_in_their_order(name: str, tmp_path: Path) -> None:
    raw(tmp_path)
    split = catalog.load_split(name, tmp_path)
    for part in (split.train, split.test):
        assert part.dates is not None and len(part.dates) == len(part)
        assert (part.dates[1:] >= part.dates[:-1]).all()
    assert BEGIN.timestamp() - 86_400 < split.train.dates[0] and split.train.dates[-1] < split.test.dates[0]
    assert split.train.prefixes()[0].dates is None
