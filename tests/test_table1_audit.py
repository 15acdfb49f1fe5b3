"""The pages on the data: what they count, against counts by hand or one click at a time."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproduce.__main__ import main
from reproduce.datasets import diginetica
from reproduce.reading import table
from reproduce.reading.preprocessing import ClickLog
from reproduce.reading.sessions import Sessions
from reproduce.reports import audit, table1
from reproduce.reports import records as stored_records
from reproduce.reports.study import Study
from reproduce.runs.record import load_file
from reproduce.runs.request import Request

RESULTS = Path(__file__).resolve().parent.parent / "results"


def literal_order(sessions: list[list[int]]) -> audit.Order:
    sessions = [one for one in sessions if len(one) > 1]
    first_of: dict[tuple[int, int], list[int]] = defaultdict(list)
    repeating = grouped = repeats = 0
    for one in sessions:
        distinct = list(dict.fromkeys(one))
        repeats += sum(a == b for a, b in pairwise(one))
        if len(distinct) < len(one):
            repeating += 1
            grouped += one == [item for item in distinct for _ in range(one.count(item))]
        for a, b in combinations(distinct, 2):
            first_of[min(a, b), max(a, b)].append(a)
    several = [firsts for firsts in first_of.values() if len(firsts) > 1]
    agreeing = sum(len(set(firsts)) == 1 for firsts in several)
    steps = sum(len(one) - 1 for one in sessions)
    return audit.Order(len(sessions), repeating, grouped, len(several), agreeing, 100 * repeats / max(steps, 1))


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=8))
def test_the_order_of_a_log_is_what_counting_click_by_click_gives(sessions: list[list[int]]) -> None:
    assert audit.order_of(Sessions.of(sessions, 5)) == literal_order(sessions)


def test_a_log_sorted_by_item_is_found_to_be_and_a_shuffled_one_is_not() -> None:
    assert "item order" in audit.order_of(Sessions.of([[1, 1, 2, 3], [1, 2, 2], [2, 3, 3]])).verdict
    assert audit.order_of(Sessions.of([[1, 2, 1], [2, 1, 1]])).verdict == "no item order"
    assert audit.order_of(Sessions.of([[1, 2]])).verdict == "too few to tell"


def test_a_log_without_repeats_is_judged_by_its_pairs() -> None:
    def verdict(*sessions: list[int]) -> str:
        return audit.order_of(Sessions.of(sessions)).verdict

    assert verdict([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]) == "item order", "ten of ten pairs agree"
    assert verdict([0, 1, 2, 3], [0, 1, 2, 3]) == "too few to tell", "six pairs may agree by chance"
    assert verdict([0, 1, 2], [0, 2, 1]) == "no item order", "one pair that does not agree is enough"


def test_time_order_is_told_by_sessions_that_never_step_back() -> None:
    def log(times: list[int]) -> ClickLog:
        none = np.empty(0)
        return ClickLog(np.array([7, 8, 7, 8]), none, none, np.array(times), none, none, {}, "", (), 0, (4,))

    assert audit.in_time_order(log([1, 5, 1, 6])) == 100
    assert audit.in_time_order(log([1, 6, 1, 5])) == 50


def test_repeats_add_up_by_eye() -> None:
    sessions = Sessions.of([[1, 1, 2], [3, 3], list(range(4, 26))])
    assert table1.repeats(sessions) == pytest.approx(100 * 2 / (2 + 1 + 21))


@pytest.mark.real
def test_the_raw_sample_comes_in_item_order_as_measured_before(real_data: Path) -> None:
    log = table.read([real_data / "raw-samples" / diginetica.RAW], diginetica.FORM)
    measured = [audit.first_sessions(audit.sessions_of(log, by_time=by_time)) for by_time in (False, True)]
    found = [audit.order_of(one) for one in measured]
    assert [(one.repeating, one.grouped, one.pairs, one.agreeing) for one in found] == [
        (1009, 1009, 634, 634), (1009, 364, 634, 368),
    ]  # fmt: skip
    assert [round(one.repeats, 1) for one in found] == [23.4, 8.9]


@pytest.mark.real
def test_table1_equals_the_paper_in_every_cell(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(real_data), "--results", str(tmp_path), "--dataset"]
    assert main(["table1", *options, "yoochoose1_64", "diginetica"]) == 0
    out = capsys.readouterr().out
    words = " ".join(out.split())
    assert "*Yes:* all five counts of YOOCHOOSE 1/64 and DIGINETICA, time order are the paper's." in words
    assert "412 (0.74 %)" in out


@pytest.mark.real
def test_the_audit_page_stands_on_the_raw_sample(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(real_data / "raw-samples"), "--results", str(tmp_path), "--quiet"]
    assert main(["audit", *options, "--dataset", audit.FILE_ORDER, audit.TIME_ORDER]) == 0
    out = capsys.readouterr().out
    words = " ".join(out.split())
    assert "Wholly in item order: train-item-views.csv, rows as they stand." in words
    assert "S-POP" in out and "ten random orders" not in out


def test_the_audit_says_whether_the_orders_differ_by_more_than_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(results: Path, *orders: str) -> str:
        study = Study(Request(datasets=[], data=Path("data"), results=results))
        return audit._noise(study, {name: study.records.results(audit.NARM, name) for name in orders})

    orders = (audit.FILE_ORDER, audit.TIME_ORDER)
    gap, noise = re.findall(r"[0-9.]+(?= points|\)\.)", said(RESULTS, *orders))
    files = [RESULTS / "runs" / name / "narm-seed0.json" for name in orders]
    recalls = [load_file(file)[1].recall() for file in files]
    assert float(gap) == pytest.approx(abs(recalls[0] - recalls[1]), abs=0.06)
    assert "are not noise" in said(RESULTS, *orders) and 0.8 < float(noise) < 1.6  # two intervals of 0.8
    for name in orders:  # alone, without rows of several seeds, nothing tells how far another seed would move them
        for file in (RESULTS / "runs" / name).glob("narm-seed0.*"):
            (tmp_path / "runs" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / "runs" / name)
    monkeypatch.setattr(stored_records, "reference_folder", lambda: tmp_path / "none")
    assert said(tmp_path, *orders) == ""
