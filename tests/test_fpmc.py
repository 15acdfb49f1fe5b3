"""FPMC: one step by hand with one click and with a basket of three, and scores from the last click or all of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from reproduce.baselines.fpmc import FPMC
from reproduce.fitting.pairwise import Triples, climb
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions


def test_one_step_by_hand() -> None:
    """The session gives 2 (1 - 3), the last click 5 (0.5 - 0.1): the margin is -2, the slope 1 / (1 + e^-2)."""
    tables = {
        name: torch.tensor(rows, dtype=torch.float64)[:, None]
        for name, rows in {"u": [2.0], "i": [0.0, 1.0, 3.0], "a": [5.0, 0.0, 0.0], "c": [0.0, 0.5, 0.1]}.items()
    }
    model, triple = FPMC(factors=1), Triples(*(torch.tensor([n]) for n in (0, 1, 2, 0, 0)))
    assert float(model.margin(tables, triple)) == pytest.approx(-2.0)
    climb(tables, model.steps(tables, triple), 0.1, 0.0)
    s = 0.1 / (1 + math.exp(-2))
    expected = {
        "u": [2 - 2 * s],
        "i": [0.0, 1 + 2 * s, 3 - 2 * s],
        "a": [5 + 0.4 * s, 0.0, 0.0],
        "c": [0.0, 0.5 + 5 * s, 0.1 - 5 * s],
    }
    for name, rows in expected.items():
        assert tables[name][:, 0].tolist() == pytest.approx(rows, rel=1e-12)


def test_one_step_by_hand_after_a_basket() -> None:
    """The clicks 0, 2 and 0 have the mean (5 + 2 + 5) / 3 = 4; the margin is 2 (1 - 3) + 4 (0.5 - 0.1) = -2.4.

    For each click on an item its factors move by a third of 0.4, times the slope.
    """
    tables = {
        name: torch.tensor(rows, dtype=torch.float64)[:, None]
        for name, rows in {"u": [2.0], "i": [0.0, 1.0, 3.0], "a": [5.0, 0.0, 2.0], "c": [0.0, 0.5, 0.1]}.items()
    }
    columns = ([0], [1], [2], [0, 2, 0], [0, 0, 0])
    model, triple = FPMC(factors=1, basket="prefix"), Triples(*(torch.tensor(column) for column in columns))
    assert float(model.margin(tables, triple)) == pytest.approx(-2.4)
    climb(tables, model.steps(tables, triple), 0.1, 0.01)
    s, shrink = 0.1 / (1 + math.exp(-2.4)), 1 - 0.1 * 0.01
    expected = {
        "u": [2 * shrink - 2 * s],
        "i": [0.0, shrink + 2 * s, 3 * shrink - 2 * s],
        "a": [5 - 2 * 0.005 + 2 * 0.4 / 3 * s, 0.0, 2 * shrink + 0.4 / 3 * s],
        "c": [0.0, 0.5 * shrink + 4 * s, 0.1 * shrink - 4 * s],
    }
    for name, rows in expected.items():
        assert tables[name][:, 0].tolist() == pytest.approx(rows, rel=1e-12)


@pytest.mark.parametrize(
    ("basket", "expected"),
    [("last", [[5.0, 8.0], [1.0, 4.0], [1.0, 4.0]]), ("prefix", [[3.0, 6.0], [3.0, 6.0], [1.0, 4.0]])],
)
def test_the_last_click_alone_scores_or_the_mean_of_all(basket: Any, expected: list[list[float]]) -> None:
    model = FPMC(factors=2, basket=basket)
    model.device_ = torch.device("cpu")
    model.a_ = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    model.c_ = torch.tensor([[3.0, 1.0], [0.0, 4.0]])
    scores = model.score(Sessions.of([[1, 0], [0, 1], [1]], 2))
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_a_basket_learns_what_follows_a_click_before_the_last() -> None:
    """After 0, 1 comes 3, and after 2, 1 comes 4: the last click alone cannot tell which."""
    train = Sessions.of([[0, 1, 3], [2, 1, 4]] * 40, 5)
    model = FPMC(factors=8, basket="prefix", negatives=3, batch=16, epochs=15)
    model.fit(train, seed=0, device=torch.device("cpu"), journal=Journal())
    scores = model.score(Sessions.of([[0, 1], [2, 1]], 5))
    assert scores.argmax(1).tolist() == [3, 4]
