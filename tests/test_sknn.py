"""S-KNN and V-SKNN against slow versions that follow the papers word by word."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.baselines.sknn import SKNN, VSKNN
from reproduce.evaluation import ranking
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

N_ITEMS = 6
LOGS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=12)


def candidates(train: list[list[int]], session: list[int], sample: int) -> list[int]:
    """The newest sessions that share an item, newest first."""
    sharing = [n for n, one in enumerate(train) if set(one) & set(session)]
    return sorted(sharing, reverse=True)[:sample]


def brute_sknn(train: list[list[int]], session: list[int], k: int, sample: int) -> list[float]:
    likeness = {}
    for n in candidates(train, session, sample):
        s, other = set(session), set(train[n])
        likeness[n] = Fraction(len(s & other) ** 2, len(s) * len(other))
    near = sorted(likeness, key=lambda n: (-likeness[n], -n))[:k]
    return [sum(math.sqrt(likeness[n]) for n in near if i in train[n]) for i in range(N_ITEMS)]


def brute_vsknn(
    train: list[list[int]], session: list[int], k: int, sample: int, power: int, decay: str, idf: float
) -> list[float]:
    likeness, step = {}, {}
    weight = {item: Fraction(place, len(session)) ** power for place, item in enumerate(session, 1)}  # the last wins
    for n in candidates(train, session, sample):
        likeness[n] = sum(weight[item] for item in set(session) & set(train[n]))
        step[n] = next(step for step, item in enumerate(reversed(session), 1) if item in train[n])
    near = sorted(likeness, key=lambda n: (-likeness[n], -n))[:k]
    d = {
        "same": lambda step: 1.0,
        "div": lambda step: 1 / step,
        "quadratic": lambda step: 1 / step**2,
        "linear": lambda step: max(0.0, 1 - step / 10),
    }[decay]
    scores = []
    for i in range(N_ITEMS):
        having = sum(i in one for one in train)
        factor = 1 + idf * math.log(len(train) / having) if having else 0.0
        scores.append(factor * sum(float(likeness[n]) * d(step[n]) for n in near if i in train[n]))
    return scores


def scored(model: SKNN, train: list[list[int]], sessions: list[list[int]]) -> np.ndarray:
    model.fit(Sessions.of(train, N_ITEMS), seed=0, device=torch.device("cpu"), journal=Journal())
    return model.score(Sessions.of(sessions, N_ITEMS)).numpy()


@settings(max_examples=60, deadline=None)
@given(train=LOGS, sessions=LOGS, k=st.integers(1, 5), sample=st.integers(1, 6))
def test_sknn_equals_a_slow_one(train: list[list[int]], sessions: list[list[int]], k: int, sample: int) -> None:
    expected = [brute_sknn(train, one, k, sample) for one in sessions]
    np.testing.assert_allclose(scored(SKNN(neighbours=k, sample=sample), train, sessions), expected, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    train=LOGS,
    sessions=LOGS,
    k=st.integers(1, 5),
    sample=st.integers(1, 6),
    weights=st.sampled_from(["same", "linear", "quadratic"]),
    decays=st.sampled_from(["same", "div", "linear", "quadratic"]),
    idf=st.sampled_from([0.0, 2.0]),
)
def test_vsknn_equals_a_slow_one(
    train: list[list[int]], sessions: list[list[int]], k: int, sample: int, weights: str, decays: str, idf: float
) -> None:
    power = ["same", "linear", "quadratic"].index(weights)
    model = VSKNN(neighbours=k, sample=sample, weights=weights, decays=decays, idf=idf)  # type: ignore[arg-type]
    expected = [brute_vsknn(train, one, k, sample, power, decays, idf) for one in sessions]
    np.testing.assert_allclose(scored(model, train, sessions), expected, rtol=1e-5, atol=1e-7)


def test_by_hand_vsknn_weighs_the_last_click_most() -> None:
    train = [[0, 3], [1, 4], [0, 1, 5]]
    model = VSKNN(neighbours=3, sample=3, weights="linear", decays="div", idf=0.0)
    # Session [0, 1]: w_0 = 1/2, w_1 = 1. Likeness 1/2, 1, 3/2; the last shared click is 2, 1, 1 steps from the end.
    expected = [0.25 + 1.5, 1 + 1.5, 0, 0.25, 1, 1.5]
    assert scored(model, train, [[0, 1]])[0].tolist() == expected


def test_of_equal_neighbours_the_newer_one_is_taken() -> None:
    train = [[0, 1], [0, 2], [0, 3]]
    assert scored(SKNN(neighbours=1, sample=3), train, [[0]])[0].nonzero()[0].tolist() == [0, 3]


def test_only_the_newest_sessions_that_share_a_click_are_looked_at() -> None:
    train = [[0], [0, 1, 2, 3], [4], [4]]
    assert scored(SKNN(neighbours=1, sample=1), train, [[0]])[0].nonzero()[0].tolist() == [0, 1, 2, 3]


def test_many_prefixes_are_scored_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train = [rng.integers(0, N_ITEMS, 4).tolist() for _ in range(20)]
    sessions = [rng.integers(0, N_ITEMS, 3).tolist() for _ in range(11)]
    whole = scored(VSKNN(), train, sessions)
    monkeypatch.setattr("reproduce.baselines.sknn.ROWS", 4)
    assert np.array_equal(whole, scored(VSKNN(), train, sessions))


@pytest.mark.real
@pytest.mark.slow
def test_vsknn_on_diginetica_is_near_the_published_numbers_and_takes_less_than_a_minute(real_data: Path) -> None:
    split = catalog.load_split("diginetica", real_data)
    model = VSKNN()
    began = time.monotonic()
    model.fit(split.train, seed=0, device=torch.device("cpu"), journal=Journal())
    ranks = ranking.rank(*ranking.rank_all(model, *split.test.prefixes()))
    assert time.monotonic() - began < 60
    assert len(ranks) == 60_858
    assert abs(ranking.recall_at(ranks) - 52.03) < 2 and abs(ranking.mrr_at(ranks) - 18.41) < 2
