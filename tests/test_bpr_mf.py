"""BPR-MF: one step by hand, and the mean of a new session's items."""

from __future__ import annotations

import math

import pytest
import torch

from reproduce.baselines.bpr_mf import BPRMF
from reproduce.fitting.pairwise import Triples, climb
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions


def tables() -> dict[str, torch.Tensor]:
    return {
        "w": torch.tensor([[1.0, 2.0]], dtype=torch.float64),
        "h": torch.tensor([[3.0, 0.0], [0.0, 1.0], [9.0, 9.0]], dtype=torch.float64),
    }


def test_one_step_by_hand() -> None:
    """Margin 1 * 3 - 2 * 1 = 1, so the slope is 1 / (1 + e)."""
    model, there = BPRMF(factors=2), tables()
    nothing = torch.empty(0, dtype=torch.int64)
    triple = Triples(*(torch.tensor([n]) for n in (0, 0, 1)), nothing, nothing)
    assert float(model.margin(there, triple)) == 1.0
    climb(there, model.steps(there, triple), 0.1, 0.01)
    s = 1 / (1 + math.e)
    expected = {
        "w": [[1 + 0.1 * (3 * s - 0.01), 2 + 0.1 * (-s - 0.02)]],
        "h": [[3 + 0.1 * (s - 0.03), 0.1 * 2 * s], [-0.1 * s, 1 + 0.1 * (-2 * s - 0.01)], [9.0, 9.0]],
    }
    for name, rows in expected.items():
        assert there[name].tolist() == [pytest.approx(row, rel=1e-12) for row in rows]


def test_a_new_session_is_the_mean_of_its_items() -> None:
    model = BPRMF(factors=2)
    model.device_ = torch.device("cpu")
    model.h_ = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    # [0, 0, 1]: mean (2, 1/3); [2]: (1, 1)
    scores = model.score(Sessions.of([[0, 0, 1], [2]], 3))
    torch.testing.assert_close(scores, torch.tensor([[6.0, 1 / 3, 7 / 3], [3.0, 1.0, 2.0]]))


def test_items_that_share_sessions_score_above_those_that_do_not() -> None:
    train = Sessions.of([[0, 1, 2], [2, 0], [1, 2], [3, 4], [4, 5, 3], [5, 3]] * 20, 6)
    model = BPRMF(factors=8, learning_rate=0.1, epochs=20)
    model.fit(train, seed=0, device=torch.device("cpu"), journal=Journal())
    scores = model.score(Sessions.of([[0], [4]], 6))
    assert scores[0, :3].min() > scores[0, 3:].max() and scores[1, 3:].min() > scores[1, :3].max()
