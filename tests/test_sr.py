"""SR: the rules against a literal count, and what is kept of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce.baselines.sr import SR
from reproduce.reading.sessions import Sessions

F: dict[str, Callable[[int], float]] = {
    "same": lambda d: 1.0,
    "div": lambda d: 1 / d,
    "quadratic": lambda d: 1 / (d * d),
    "linear": lambda d: max(0.0, 1 - d / 10),
    "log": lambda d: 1 / math.log10(d + 1.7),
}


def literal(lists: list[list[int]], n: int, steps: int, f: str, pruning: int) -> np.ndarray:
    """Return w, (n, n), counted pair by pair; what is smaller than the `pruning`-th of its row is 0.

    Pairs of one distance are counted before they are weighted, so that equal counts tie to the last bit.
    """
    pairs = np.zeros((steps + 1, n, n))
    for session in lists:
        for i, a in enumerate(session):
            for j in range(i + 1, min(i + steps, len(session) - 1) + 1):
                pairs[j - i, a, session[j]] += 1
    w = sum((pairs[d] * F[f](d) for d in range(1, steps + 1)), np.zeros((n, n)))
    for row in w:
        row[row < sorted(row)[::-1][min(pruning, n) - 1]] = 0
    return w


@pytest.mark.parametrize("f", F)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=14), min_size=1, max_size=8),
    st.integers(1, 15),
    st.integers(1, 6),
)
def test_scores_equal_a_literal_count(f: Any, lists: list[list[int]], steps: int, pruning: int) -> None:
    model = SR(steps=steps, f=f, pruning=pruning)
    model.fit(Sessions.of(lists, 6))  # type: ignore[call-arg]
    found = model.score(Sessions.of([[item] for item in range(6)], 6)).numpy()
    np.testing.assert_allclose(found, literal(lists, 6, steps, f, pruning), rtol=1e-12, atol=1e-12)


def test_a_rule_by_hand() -> None:
    """After 1 come 2 (distance 1), 3 (distance 2) and, in the other session, 3 (distance 1)."""
    model = SR(steps=2, f="div")
    model.fit(Sessions.of([[1, 2, 3, 0], [1, 3]], 4))  # type: ignore[call-arg]
    assert model.score(Sessions.of([[0, 1]], 4)).tolist() == [[0, 0, 1, 1.5]]


def test_rules_tied_with_the_last_one_kept_are_kept() -> None:
    model = SR(pruning=1)
    model.fit(Sessions.of([[0, 1], [0, 2], [3, 1], [3, 1], [3, 2]], 4))  # type: ignore[call-arg]
    scores = model.score(Sessions.of([[0], [3]], 4))
    assert scores.tolist() == [[0, 1, 1, 0], [0, 2, 0, 0]]
    assert scores.dtype == torch.float64
