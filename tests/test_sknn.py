"""S-KNN and V-SKNN against slow versions that follow the papers word by word."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.baselines.sknn import SKNN, VSKNN
from reproduce.evaluation import ranking
from reproduce.evaluation.metrics import MRR, RECALL
from reproduce.fitting.recommender import Journal
from reproduce.paper import elsewhere, later_baselines
from reproduce.reading.sessions import Sessions

N_ITEMS = 6
LOGS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=12)


def candidates(train: list[list[int]], session: list[int], sample: int) -> list[int]:
    """Return the newest sessions that share an item, newest first."""
    sharing = [n for n, one in enumerate(train) if set(one) & set(session)]
    return sorted(sharing, reverse=True)[:sample]


def brute_sknn(train: list[list[int]], session: list[int], k: int, sample: int) -> list[float]:
    likeness = {}
    for n in candidates(train, session, sample):
        s, other = set(session), set(train[n])
        likeness[n] = Fraction(len(s & other) ** 2, len(s) * len(other))
    near = sorted(likeness, key=lambda n: (-likeness[n], -n))[:k]
    return [sum(math.sqrt(likeness[n]) for n in near if i in train[n]) for i in range(N_ITEMS)]


# By the steps back from the end of the session, 1 at its last click, and by the session's length.
WEIGHTS: dict[str, Callable[[int, int], Fraction | float]] = {
    "same": lambda step, length: Fraction(1),
    "div": lambda step, length: Fraction(length - step + 1, length),
    "quadratic": lambda step, length: Fraction(length - step + 1, length) ** 2,
    "log": lambda step, length: 1 / math.log10(step - 1 + 1.7),
}
DECAYS: dict[str, Callable[[int], float]] = {
    "same": lambda step: 1.0,
    "div": lambda step: 1 / step,
    "quadratic": lambda step: 1 / step**2,
    "linear": lambda step: 1 - 0.1 * step if step <= 100 else 0.0,
    "linear-to-0": lambda step: max(0.0, 1 - step / 10),
    "log": lambda step: 1 / math.log10(step + 1.7),
}


def brute_vsknn(train: list[list[int]], session: list[int], model: VSKNN) -> list[float]:
    likeness: dict[int, Fraction | float] = {}
    step = {}
    back = {item: step for step, item in reversed(list(enumerate(reversed(session), 1)))}  # steps to its last click
    for n in candidates(train, session, model.sample):
        shared = [WEIGHTS[model.weights](back[item], len(session)) for item in set(session) & set(train[n])]
        likeness[n] = math.fsum(shared) if model.weights == "log" else sum(shared)
        step[n] = min(back[item] for item in train[n] if item in back)
    near = sorted(likeness, key=lambda n: (-likeness[n], -n))[: model.neighbours]
    scores = []
    for i in range(N_ITEMS):
        count = sum(one.count(i) if model.idf_counts == "clicks" else i in one for one in train)
        factor = 1 + model.idf * math.log(len(train) / count) if count else 0.0
        scores.append(factor * sum(float(likeness[n]) * DECAYS[model.decays](step[n]) for n in near if i in train[n]))
    return scores


def scored(model: SKNN, train: list[list[int]], sessions: list[list[int]]) -> np.ndarray:
    model.fit(Sessions.of(train, N_ITEMS), seed=0, device=torch.device("cpu"), journal=Journal())
    return model.score(Sessions.of(sessions, N_ITEMS)).numpy()


@settings(max_examples=60)
@given(train=LOGS, sessions=LOGS, k=st.integers(1, 5), sample=st.integers(1, 6))
def test_sknn_equals_a_slow_one(train: list[list[int]], sessions: list[list[int]], k: int, sample: int) -> None:
    expected = [brute_sknn(train, one, k, sample) for one in sessions]
    np.testing.assert_allclose(scored(SKNN(neighbours=k, sample=sample), train, sessions), expected, rtol=1e-5)


# Sessions that end in up to 14 clicks on one item, so that a shared click may lie far from the end.
LONG = st.lists(
    st.builds(
        lambda begin, item, times: begin + [item] * times,
        st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6),
        st.integers(0, N_ITEMS - 1),
        st.integers(0, 14),
    ),
    min_size=1,
    max_size=6,
)
MODELS = st.builds(
    VSKNN,
    neighbours=st.integers(1, 5),
    sample=st.integers(1, 6),
    weights=st.sampled_from(list(WEIGHTS)),
    decays=st.sampled_from(list(DECAYS)),
    idf=st.sampled_from([0.0, 2.0]),
    idf_counts=st.sampled_from(["clicks", "sessions"]),
)


@settings(max_examples=120)
@given(train=LOGS, sessions=LONG, model=MODELS)
def test_vsknn_equals_a_slow_one(train: list[list[int]], sessions: list[list[int]], model: VSKNN) -> None:
    expected = [brute_vsknn(train, one, model) for one in sessions]
    np.testing.assert_allclose(scored(model, train, sessions), expected, rtol=1e-5, atol=1e-6)


def test_the_slow_one_knows_every_weight_and_decay() -> None:
    types = get_type_hints(VSKNN)
    assert set(WEIGHTS) == set(get_args(types["weights"])) and set(DECAYS) == set(get_args(types["decays"]))


def test_by_hand_vsknn_weighs_the_last_click_most() -> None:
    train = [[0, 3], [1, 4], [0, 1, 5]]
    model = VSKNN(neighbours=3, sample=3, weights="div", decays="div", idf=0.0)
    # Session [0, 1]: w_0 = 1/2, w_1 = 1. Likeness 1/2, 1, 3/2; the last shared click is 2, 1, 1 steps from the end.
    expected = [0.25 + 1.5, 1 + 1.5, 0, 0.25, 1, 1.5]
    assert scored(model, train, [[0, 1]])[0].tolist() == expected


def test_by_hand_a_click_counts_as_the_logarithm_of_its_distance_says() -> None:
    # Each item of session [0, 1] is shared with one session: weights 1 / log10(2.7) and 1 / log10(1.7).
    model = VSKNN(neighbours=2, sample=2, weights="log", decays="same", idf=0.0)
    found = scored(model, [[0, 3], [1, 4]], [[0, 1]])[0]
    assert found[3:5] == pytest.approx([1 / math.log10(2.7), 1 / math.log10(1.7)])


@pytest.mark.parametrize(
    ("step", "linear", "to_0"), [(1, 0.9, 0.9), (10, 0, 0), (12, -0.2, 0), (100, -9, 0), (101, 0, 0)]
)
def test_by_hand_the_linear_decay_falls_below_0_after_ten_steps_or_stops_there(
    step: int, linear: float, to_0: float
) -> None:
    session = [0] + [1] * (step - 1)
    for decays, expected in (("linear", linear), ("linear-to-0", to_0)):
        model = VSKNN(neighbours=1, sample=1, weights="same", decays=decays, idf=0.0)  # type: ignore[arg-type]
        assert scored(model, [[0, 3]], [session])[0][3] == pytest.approx(expected)


def test_by_hand_idf_counts_the_clicks_on_an_item_or_the_sessions_with_it() -> None:
    # Three sessions; item 3 has two clicks in one of them.
    train = [[0, 3, 3], [1, 2], [1, 4]]
    for counts, n in (("clicks", 2), ("sessions", 1)):
        model = VSKNN(neighbours=1, sample=1, weights="same", decays="same", idf=2.0, idf_counts=counts)  # type: ignore[arg-type]
        assert scored(model, train, [[0]])[0][3] == pytest.approx(1 + 2 * math.log(3 / n))


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
@pytest.mark.parametrize("dataset", ["diginetica", "diginetica-file-order", "yoochoose1_64"])
def test_vsknn_with_session_recs_setting_is_near_its_numbers(dataset: str, real_data: Path) -> None:
    row = next(row for row in later_baselines.ROWS if row.model == "vsknn").at(dataset)
    split = catalog.load_split(dataset, real_data)
    model = catalog.make_recommender(row.model, row.fields)
    model.fit(split.train, seed=0, device=torch.device("cpu"), journal=Journal())
    ranks = ranking.rank(*ranking.rank_all(model, *split.test.prefixes()))
    published = elsewhere.NUMBERS[elsewhere.SESSION_REC][dataset]["V-SKNN"]  # measured on another split of the log
    assert abs(RECALL.of_ranks(ranks) - published.recall) < 0.6
    assert abs(MRR.of_ranks(ranks) - published.mrr) < 0.4
