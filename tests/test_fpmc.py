"""FPMC: one step by hand, and a score that needs the last click only."""

from __future__ import annotations

import math

import pytest
import torch

from reproduce.baselines.fpmc import FPMC
from reproduce.fitting.pairwise import Triples, climb
from reproduce.reading.sessions import Sessions


def test_one_step_by_hand() -> None:
    """One factor: 2 (1 - 3) by the session, 5 (0.5 - 0.1) by the last click: margin -2, slope 1 / (1 + e^-2)."""
    tables = {
        name: torch.tensor(rows, dtype=torch.float64)[:, None]
        for name, rows in {"u": [2.0], "i": [0.0, 1.0, 3.0], "a": [5.0, 0.0, 0.0], "c": [0.0, 0.5, 0.1]}.items()
    }
    model, triple = FPMC(factors=1), Triples(*(torch.tensor([n]) for n in (0, 0, 1, 2)))
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


def test_the_last_click_alone_scores() -> None:
    model = FPMC(factors=2)
    model.device_ = torch.device("cpu")
    model.a_ = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    model.c_ = torch.tensor([[3.0, 1.0], [0.0, 4.0]])
    scores = model.score(Sessions.of([[1, 0], [0, 1], [1]], 2))
    torch.testing.assert_close(scores, torch.tensor([[5.0, 8.0], [1.0, 4.0], [1.0, 4.0]]))
