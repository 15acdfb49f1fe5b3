"""What audit says of item orders, against sorting by hand and models fitted anew."""

from __future__ import annotations

import pickle
from itertools import count
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.datasets import diginetica
from reproduce.evaluation.ranking import rank, rank_all
from reproduce.fitting.recommender import Journal
from reproduce.paper.numbers import Score
from reproduce.reading import processed
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.reports import audit
from reproduce.reports.document import Table
from reproduce.reports.renderers import SPACE, cell_text

CPU = torch.device("cpu")
HEADING = "What the order of the items is worth"
ITEMS = 60
PROVENANCE = Provenance("processed files", "file", emulated=True, reconstructed=True)


def sessions(seed: int, number: int) -> list[list[int]]:
    """Return sessions of popular and rare items, with repeats."""
    rng = np.random.default_rng(seed)
    return [(ITEMS * rng.random(rng.integers(2, 8)) ** 2).astype(int).tolist() for _ in range(number)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with made-up processed files under DIGINETICA's name, without an item order."""
    folder = tmp_path / "data" / diginetica.FOLDER
    folder.mkdir(parents=True)
    test = [(one[:n], one[n]) for one in sessions(1, 30) for n in range(len(one) - 1, 0, -1)]
    (folder / processed.TRAIN).write_bytes(pickle.dumps([list(range(ITEMS)), *sessions(0, 80)]))
    (folder / processed.TEST).write_bytes(pickle.dumps(([prefix for prefix, _ in test], [label for _, label in test])))
    return tmp_path / "data"


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), min_size=1, max_size=8), st.integers(0, 99))
def test_a_random_order_of_the_items_is_one_order_in_all_sessions(lists: list[list[int]], seed: int) -> None:
    found = audit.shuffled(Sessions.of(lists, 10), seed).lists()
    assert [sorted(one) for one in found] == [sorted(one) for one in lists]
    for one in found:
        assert one == [item for item in dict.fromkeys(one) for _ in range(one.count(item))]
    seen = {(a, b) for one in found for i, a in enumerate(one) for b in one[i:] if a != b}
    assert not any((b, a) in seen for a, b in seen)


def test_each_seed_has_an_order_of_its_own() -> None:
    one = Sessions.of([list(range(50))])
    orders = [audit.shuffled(one, seed).lists() for seed in audit.SEEDS]
    assert len({str(order) for order in orders}) == 10
    assert audit.shuffled(one, 3).lists() == orders[3]


def test_counting_train_once_gives_what_fitting_in_every_order_gives() -> None:
    split = Split("made up", Sessions.of(sessions(0, 80), ITEMS), Sessions.of(sessions(1, 30), ITEMS), PROVENANCE)
    found = audit.in_random_orders(split, CPU)
    assert list(found) == ["POP", "S-POP", "Item-KNN"]
    for row in audit.COUNTING:
        for seed, score in zip((None, *audit.SEEDS), found[row.label], strict=True):
            parts = (split.train, split.test)
            train, test = parts if seed is None else (audit.shuffled(part, seed) for part in parts)
            model = catalog.make_recommender(row.model, {})
            model.fit(train, seed=0, device=CPU, journal=Journal())
            ranks = rank(*rank_all(model, *test.prefixes())).tolist()
            assert score.recall == pytest.approx(100 * mean(one <= 20 for one in ranks))
            assert score.mrr == pytest.approx(100 * mean(1 / one if one <= 20 else 0 for one in ranks))
    assert len({score.recall for score in found["Item-KNN"]}) > 5  # the order does matter


def test_the_spread_adds_up_by_eye() -> None:
    random = [Score(10.0, 1.0), Score(12.0, 4.0), Score(14.0, 1.0)]
    table, _ = audit.orders_table({"POP": [Score(9.0, 2.5), *random]}, PROVENANCE)
    assert isinstance(table, Table) and table.columns[1] == "reconstructed order"
    cells = [cell_text(cell).replace(SPACE, " ") for cell in table.rows[0]]
    assert cells == ["POP", "9.00 / 2.50", "12.00 (10.00 to 14.00)", "2.00 (1.00 to 4.00)", "0.91 / 0.23"]


def test_audit_shows_other_orders_beside_the_one_the_split_has(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = count()

    def page(*datasets: str) -> str:  # each in a folder of its own: one folder takes no second split of a name
        results = str(tmp_path / str(next(pages)))
        assert main(["audit", "--data", str(data), "--results", results, "--dataset", *datasets]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "emulated order" in page(diginetica.IN_FILE_ORDER).partition(HEADING)[2]
    order = np.random.default_rng(2).permutation(ITEMS)
    (data / diginetica.FOLDER / diginetica.ORDER).write_text("".join(f"{item}\n" for item in order))
    spread = page(diginetica.IN_FILE_ORDER, diginetica.BY_TIME).partition(HEADING)[2]
    assert "reconstructed order" in spread and "depends on the order itself" in spread
    assert HEADING not in page(diginetica.BY_TIME)  # file order was not asked for


def test_audit_shows_no_other_orders_where_the_raw_file_has_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{s};NA;{item};{item};2016-05-{1 + s:02}" for s in range(20) for item in (7, 8, 9)]
    (tmp_path / diginetica.RAW).write_text("sessionId;userId;itemId;timeframe;eventdate\n" + "\n".join(rows) + "\n")
    options = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--quiet"]
    assert main(["audit", *options, "--dataset", diginetica.IN_FILE_ORDER]) == 0
    out = capsys.readouterr().out
    assert HEADING not in out and "rows as they stand" in out


@pytest.mark.real
@pytest.mark.slow
def test_the_reconstructed_order_gives_the_papers_counting_rows_and_no_random_order_does(real_data: Path) -> None:
    if not (real_data / diginetica.FOLDER / diginetica.ORDER).is_file():
        pytest.skip("item_order.txt is not here")
    split = catalog.load_split(diginetica.IN_FILE_ORDER, real_data)
    found = audit.in_random_orders(split, CPU)
    for label, paper in {"POP": 0.91, "S-POP": 21.07, "Item-KNN": 28.35}.items():
        own, *random = (abs(score.recall - paper) for score in found[label])
        assert own < 0.5 and own < min(random)
