"""POP, S-POP and Item-KNN: by hand on three sessions, and by brute force on random ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.baselines.item_knn import nearest
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

TRAIN = Sessions.of([[0, 1, 0], [1, 2], [1, 0]], n_items=4)
CPU = torch.device("cpu")


def scores(name: str, train: Sessions, prefixes: Sessions, fields: dict[str, object] | None = None) -> np.ndarray:
    model = catalog.make_recommender(name, fields)
    model.fit(train, seed=0, device=CPU, journal=Journal())
    return model.score(prefixes).numpy()


def test_pop_scores_clicks_in_train() -> None:
    assert scores("pop", TRAIN, Sessions.of([[2], [3]], 4)).tolist() == [[3, 3, 1, 0]] * 2


def test_s_pop_ranks_by_clicks_in_the_session_then_by_popularity() -> None:
    # Clicks in train: 3, 3, 1, 0: three steps of popularity, two thirds, two thirds, one third and none.
    assert scores("s_pop", TRAIN, Sessions.of([[3, 2, 3], [0]], 4)) == pytest.approx(
        np.array([[2 / 3, 2 / 3, 1 + 1 / 3, 2], [1 + 2 / 3, 2 / 3, 1 / 3, 0]])
    )


def test_item_knn_is_the_regularised_cosine_to_the_last_click() -> None:
    # Co-occurrence from click counts: items 0 and 1 share 2 x 1 + 1 x 1 = 3, items 1 and 2 share 1; clicks 3, 3, 1.
    expected = [3 / 5, 0, 1 / np.sqrt(5 * 3), 0]
    fields = {"regularisation": 2, "alpha": 0.5}
    assert scores("item_knn", TRAIN, Sessions.of([[0, 2, 1]], 4), fields)[0] == pytest.approx(np.array(expected))


def test_item_knn_leaves_the_item_itself_out() -> None:
    assert scores("item_knn", Sessions.of([[0, 0, 0, 1]], 2), Sessions.of([[0]], 2))[0, 0] == 0


log = st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=5), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(log, st.sampled_from(["clicks", "sessions"]), st.integers(1, 3), st.sampled_from([0.0, 0.5, 0.8]))
def test_item_knn_equals_brute_force(lists: list[list[int]], counts: str, k: int, alpha: float) -> None:
    c = [Counter(one) if counts == "clicks" else Counter(set(one)) for one in lists]
    n = {i: sum(one[i] for one in c) for i in range(6)}
    expected = np.zeros((6, 6))
    for i in range(6):
        similar = {
            j: together / ((n[i] + 20) ** alpha * (n[j] + 20) ** (1 - alpha))
            for j in range(6)
            if j != i and (together := sum(one[i] * one[j] for one in c))
        }
        least = sorted(similar.values(), reverse=True)[:k]
        for j, value in similar.items():
            expected[i, j] = value if value >= least[-1] else 0
    fields = {"counts": counts, "neighbours": k, "alpha": alpha}
    found = scores("item_knn", Sessions.of(lists, 6), Sessions.of([[i] for i in range(6)], 6), fields)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_neighbours_tied_with_the_last_one_kept_stay_too() -> None:
    row, value = np.array([0, 0, 0, 0, 1]), np.array([5.0, 2.0, 2.0, 1.0, 1.0])
    assert nearest(row, value, 2).tolist() == [True, True, True, False, True]
