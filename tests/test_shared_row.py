"""Ranks of scores that are one shared row except for some cells: exactly those of the dense scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.errors import ModelError
from reproduce.evaluation.ranking import rank_all, rank_counts
from reproduce.evaluation.shared_row import SharedRow
from reproduce.reading.sessions import Sessions


def test_counts_by_hand() -> None:
    """The row is 5 3 3 1. It is prefix 0's as it stands; for prefix 1, item 3 scores 9 and item 0 only 3."""
    cells = [torch.tensor(one) for one in ([1, 1], [3, 0])]
    shared = SharedRow(2, torch.tensor([5.0, 3.0, 3.0, 1.0]), *cells, torch.tensor([9.0, 3.0]))
    assert shared.dense().tolist() == [[5, 3, 3, 1], [3, 3, 3, 9]]
    greater, equal = shared.rank_counts(torch.tensor([1, 0]))
    assert (greater.tolist(), equal.tolist()) == ([1, 1], [1, 2])


@pytest.mark.parametrize("seed", range(30))
def test_counts_are_those_of_the_dense_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 40)), int(rng.integers(1, 30))
    cells = rng.choice(n * m, int(rng.integers(0, n * m + 1)), replace=False)
    row, scores = (torch.as_tensor(rng.integers(0, 6, size), dtype=torch.float32) for size in (m, len(cells)))
    shared = SharedRow(n, row, torch.as_tensor(cells // m), torch.as_tensor(cells % m), scores)
    targets = torch.as_tensor(rng.integers(0, m, n))
    for found, due in zip(shared.rank_counts(targets), rank_counts(shared.dense(), targets), strict=True):
        assert found.tolist() == due.tolist()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("name", "fields"), [("pop", {}), ("s_pop", {}), ("s_pop", {"popular": 0})])
def test_pop_and_s_pop_rank_as_their_scores_do(name: str, fields: dict[str, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(5, 300))
    train, test = (
        Sessions.of([(rng.random(k) ** 3 * m).astype(int).tolist() for k in rng.integers(2, 12, size)], m)
        for size in (80, 40)
    )
    model = catalog.make_recommender(name, fields)
    model.fit(train)  # type: ignore[call-arg]
    prefixes, targets = test.prefixes()
    due = rank_counts(literal(model, prefixes), torch.as_tensor(targets))
    for found, wanted in zip(rank_all(model, prefixes, targets), due, strict=True):
        assert found.tolist() == wanted.tolist()
    assert torch.equal(model.score(prefixes).double(), literal(model, prefixes))


def literal(model: object, prefixes: Sessions) -> torch.Tensor:
    """Return the scores by a loop over clicks: each item's popularity, and what a click in the session adds."""
    row = getattr(model, "clicks_", None)
    popularity = getattr(model, "popularity_", row).tolist()  # type: ignore[union-attr]
    scores = [list(popularity) for _ in range(len(prefixes))]
    for i, clicks in enumerate(prefixes.lists()):
        for item in clicks:
            scores[i][item] += getattr(model, "click_", 0)
    return torch.tensor(scores, dtype=torch.float64)


def test_a_score_that_is_not_finite_is_an_error() -> None:
    model = catalog.make_recommender("pop")
    train = Sessions.of([[0, 1], [1, 2]])
    model.fit(train)  # type: ignore[call-arg]
    model.clicks_[0] = torch.nan  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="pop: score returned a number that is not finite"):
        rank_all(model, train, np.array([1, 2]))
