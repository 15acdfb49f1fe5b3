"""POP, S-POP and Item-KNN: by hand on three sessions, and by brute force on random ones."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.evaluation import ranking
from reproduce.evaluation.metrics import MRR, RECALL
from reproduce.fitting.pruning import greatest
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

TRAIN = Sessions.of([[0, 1, 0], [1, 2], [1, 0]], n_items=4)
CPU = torch.device("cpu")

log = st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=5), min_size=1, max_size=8)


def scores(name: str, train: Sessions, prefixes: Sessions, fields: dict[str, object] | None = None) -> np.ndarray:
    model = catalog.make_recommender(name, fields)
    model.fit(train, seed=0, device=CPU, journal=Journal())
    return model.score(prefixes).numpy()


def test_pop_scores_clicks_in_train() -> None:
    assert scores("pop", TRAIN, Sessions.of([[2], [3]], 4)).tolist() == [[3, 3, 1, 0]] * 2


def test_s_pop_ranks_by_clicks_in_the_session_then_by_popularity() -> None:
    # The clicks in train are 3, 3, 1, 0: three popularities, so a click in the session is worth 3.
    found = scores("s_pop", TRAIN, Sessions.of([[3, 2, 3], [0]], 4))
    assert found.tolist() == [[2, 2, 3 + 1, 6 + 0], [3 + 2, 2, 1, 0]]


def test_s_pop_knows_the_popularity_of_the_most_clicked_items_only_and_of_those_tied_with_the_last() -> None:
    # With `popular` 1 or 2, items 0 and 1 are known: two popularities, so a click in the session is worth 2.
    for popular in (1, 2):
        found = scores("s_pop", TRAIN, Sessions.of([[3, 2, 3], [0]], 4), {"popular": popular})
        assert found.tolist() == [[1, 1, 2, 4], [2 + 1, 1, 0, 0]]


def original_s_pop(train: list[list[int]], session: list[int], popular: int) -> list[Fraction]:
    """Return the original scores: clicks in the session, plus n / (n + 1) for the most clicked items.

    n is an item's clicks in train. Items tied with the last of the most clicked ones count too.
    """
    n = [sum(one.count(i) for one in train) for i in range(6)]
    least = sorted(n, reverse=True)[popular - 1] if 0 < popular < 6 else 0
    return [session.count(i) + (Fraction(n[i], n[i] + 1) if n[i] >= least else 0) for i in range(6)]


@settings(max_examples=60)
@given(log, log, st.integers(0, 7))
def test_s_pop_orders_the_items_as_the_original_formula(
    train: list[list[int]], sessions: list[list[int]], popular: int
) -> None:
    found = scores("s_pop", Sessions.of(train, 6), Sessions.of(sessions, 6), {"popular": popular})
    for row, session in zip(found, sessions, strict=True):
        expected = original_s_pop(train, session, popular)
        for i, j in combinations(range(6), 2):
            assert np.sign(row[i] - row[j]) == np.sign(expected[i] - expected[j])


def test_s_pop_tells_popularities_apart_beside_any_number_of_clicks_in_the_session() -> None:
    # Item i has i + 1 clicks in train: 1,000 popularities, whose fractions are too close for float32 to tell apart.
    items = np.repeat(np.arange(1000), np.arange(1, 1001))
    train = Sessions.packed(items, np.array([len(items)]), 1000)
    often = np.concatenate([np.full(20_000, 7), np.full(20_000, 8)])
    session = Sessions.packed(often, np.array([len(often)]), 1000)
    found = scores("s_pop", train, session, {"popular": 0})[0]
    assert np.argsort(-found)[:3].tolist() == [8, 7, 999]
    assert len(np.unique(found)) == 1000


@pytest.mark.parametrize(
    ("counts", "together", "n"),
    [
        ("original", 2 + 1, (3, 3)),  # clicks on item 0, the last click, in the sessions with item 1
        ("product", 2 * 1 + 1 * 1, (3, 3)),
        ("sessions", 1 + 1, (2, 3)),
    ],
)
def test_item_knn_is_the_regularised_cosine_to_the_last_click(counts: str, together: int, n: tuple[int, int]) -> None:
    fields = {"regularisation": 2, "alpha": 0.5, "counts": counts}
    expected = [0, together / np.sqrt((n[0] + 2) * (n[1] + 2)), 0, 0]
    assert scores("item_knn", TRAIN, Sessions.of([[2, 1, 0]], 4), fields)[0] == pytest.approx(np.array(expected))


def test_item_knn_counts_the_clicks_on_the_last_click_not_those_on_the_item_scored() -> None:
    # Session [0, 1, 0]: after item 0, item 1 scores by the two clicks on 0; after item 1, item 0 by the one click on 1.
    found = scores("item_knn", Sessions.of([[0, 1, 0]], 2), Sessions.of([[0], [1]], 2), {"regularisation": 0})
    assert found == pytest.approx(np.array([[0, 2 / np.sqrt(2)], [1 / np.sqrt(2), 0]]))


def test_item_knn_leaves_the_item_itself_out() -> None:
    assert scores("item_knn", Sessions.of([[0, 0, 0, 1]], 2), Sessions.of([[0]], 2))[0, 0] == 0


def together(one: list[int], i: int, j: int, counts: str) -> int:
    """Return what a session adds to the co-occurrence of i, the last click, and j, counted click by click."""
    if counts == "sessions":
        return int(i in one and j in one)
    if counts == "product":
        return sum(a == i and b == j for a in one for b in one)
    return sum(j in one for a in one if a == i)


@settings(max_examples=60)
@given(log, st.sampled_from(["original", "product", "sessions"]), st.integers(1, 3), st.sampled_from([0.0, 0.5, 0.8]))
def test_item_knn_equals_brute_force(lists: list[list[int]], counts: str, k: int, alpha: float) -> None:
    n = [sum((i in one) if counts == "sessions" else one.count(i) for one in lists) for i in range(6)]
    expected = np.zeros((6, 6))
    for i in range(6):
        similar = {
            j: cooc / ((n[i] + 20) ** alpha * (n[j] + 20) ** (1 - alpha))
            for j in range(6)
            if j != i and (cooc := sum(together(one, i, j, counts) for one in lists))
        }
        least = sorted(similar.values(), reverse=True)[:k]
        for j, value in similar.items():
            expected[i, j] = value if value >= least[-1] else 0
    fields = {"counts": counts, "neighbours": k, "alpha": alpha}
    found = scores("item_knn", Sessions.of(lists, 6), Sessions.of([[i] for i in range(6)], 6), fields)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_neighbours_tied_with_the_last_one_kept_stay_too() -> None:
    row, value = np.array([0, 0, 0, 0, 1]), np.array([5.0, 2.0, 2.0, 1.0, 1.0])
    assert greatest(row, value, 2).tolist() == [True, True, True, False, True]


def as_published(greater: np.ndarray, equal: np.ndarray) -> tuple[float, float]:
    """Return Recall@20 and MRR@20 as the public code of Hidasi et al. counts them: ranks below 20, ties at random.

    They are expected values over the tied places greater + 1 to greater + equal + 1.
    """
    place = np.arange(1, 20)
    inside = (place > greater[:, None]) & (place <= (greater + equal + 1)[:, None])  # (n, 19)
    share = inside / (equal + 1)[:, None]
    return 100 * float(share.sum(1).mean()), 100 * float((share / place).sum(1).mean())


@pytest.mark.real
def test_counted_as_the_original_counts_the_rows_have_its_digits_on_yoochoose_1_64(real_data: Path) -> None:
    split = catalog.load_split("yoochoose1_64", real_data)
    prefixes, targets = split.test.prefixes()
    seen = np.bincount(split.train.clicks()[0], minlength=split.train.n_items) > 0
    found = {}
    for name in ("pop", "s_pop", "item_knn"):
        model = catalog.make_recommender(name)
        model.fit(split.train, seed=0, device=CPU, journal=Journal())
        greater, equal = ranking.rank_all(model, prefixes, targets)
        if name == "item_knn":
            ranks = ranking.rank(greater, equal)
            assert (round(RECALL.of_ranks(ranks), 2), round(MRR.of_ranks(ranks), 2)) == (52.12, 21.80)
        greater[~seen[targets]] = prefixes.n_items  # the original recommends no item that is not in train
        found[name] = as_published(greater, equal)
    # Measured in one run of the original; for S-POP, over 30 random orders of the ties.
    assert found["pop"] == pytest.approx((6.725, 1.661), abs=0.001)
    assert found["s_pop"] == (pytest.approx(30.437, abs=0.012), pytest.approx(18.372, abs=0.025))
    assert found["item_knn"] == (pytest.approx(51.54, abs=0.01), pytest.approx(21.80, abs=0.01))
