"""Ranks: equal to brute force, with ties counting against the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce.errors import ModelError
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import MRR, RECALL
from reproduce.evaluation.ranking import chunk_rows, rank, rank_all, rank_counts
from reproduce.reading.sessions import Sessions


class Fixed:
    """A stand-in for a model: a fixed row of scores for every last click."""

    name = "fixed"

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores

    def score(self, prefixes: Sessions) -> torch.Tensor:
        return self.scores[torch.as_tensor(prefixes.last)]


@given(
    st.integers(1, 6).flatmap(
        lambda m: st.lists(
            st.tuples(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=m, max_size=m), st.integers(0, m - 1)),
            min_size=1,
            max_size=6,
        )
    )
)
def test_ranks_equal_brute_force_under_both_tie_rules(cases: list[tuple[list[float], int]]) -> None:
    scores, targets = torch.tensor([row for row, _ in cases]), torch.tensor([target for _, target in cases])
    greater, equal = (counts.numpy() for counts in rank_counts(scores, targets))
    last = [sum(s > row[t] or (s == row[t] and i != t) for i, s in enumerate(row)) + 1 for row, t in cases]
    first = [sum(s > row[t] for s in row) + 1 for row, t in cases]
    assert rank(greater, equal).tolist() == last
    assert (greater + 1).tolist() == first


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64])
def test_ranks_are_the_same_for_every_kind_of_number_and_for_rows_in_the_same_memory(dtype: torch.dtype) -> None:
    scores = torch.tensor([3, 1, 2, 3, -1], dtype=dtype).expand(5, -1)  # five rows in the memory of one
    greater, equal = rank_counts(scores, torch.arange(5))
    assert greater.tolist() == [0, 3, 2, 0, 4]
    assert equal.tolist() == [1, 0, 0, 1, 0]
    assert greater.dtype == equal.dtype == torch.int64


def test_a_model_that_scores_everything_alike_hits_nothing() -> None:
    greater, equal = rank_counts(torch.zeros(3, 100), torch.tensor([0, 50, 99]))
    assert RECALL.of_ranks(rank(greater.numpy(), equal.numpy())) == 0.0


def test_recall_and_mrr_add_up_by_eye() -> None:
    ranks = np.array([1, 2, 20, 21])
    assert RECALL.of_ranks(ranks) == 75.0
    assert MRR.of_ranks(ranks) == pytest.approx(100 * (1 + 0.5 + 0.05) / 4)
    assert metrics.parse("recall@1").of_ranks(ranks) == 25.0


def test_no_targets_give_no_number_instead_of_zero() -> None:
    assert np.isnan(RECALL.of_ranks(np.array([])))
    assert np.isnan(MRR.of_ranks(np.array([])))


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_chunks_do_not_change_ranks(chunk: int) -> None:
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).round()
    prefixes, targets = Sessions.of([[0, 1, 2], [3, 0], [2, 2, 1, 3]]).prefixes()
    greater, equal = rank_all(Fixed(scores), prefixes, targets, chunk)  # type: ignore[arg-type]
    rows = scores[torch.as_tensor(prefixes.last)]
    expected = [(int((r > r[t]).sum()), int((r == r[t]).sum()) - 1) for r, t in zip(rows, targets, strict=True)]
    assert list(zip(greater.tolist(), equal.tolist(), strict=True)) == expected


@pytest.mark.parametrize("place", [(0, 0), (0, 2), (1, 1), (1, 2)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_an_error_not_a_hit(bad: float, place: tuple[int, int]) -> None:
    scores = torch.zeros(3, 3)
    scores[place] = bad
    prefixes, targets = Sessions.of([[0, 1, 2]]).prefixes()
    with pytest.raises(ModelError, match="fixed: score returned a number that is not finite"):
        rank_all(Fixed(scores), prefixes, targets)  # type: ignore[arg-type]


def test_scores_of_the_wrong_shape_are_an_error_that_says_the_right_one() -> None:
    prefixes, targets = Sessions.of([[0, 1, 2]]).prefixes()
    with pytest.raises(ModelError, match=r"shape \(2, 3\), not \(2, 2\)"):
        rank_all(Fixed(torch.zeros(3, 2)), prefixes, targets)  # type: ignore[arg-type]


def test_the_chunk_depends_on_the_catalogue_and_the_kind_of_device_only() -> None:
    assert chunk_rows(1) == chunk_rows(1, torch.device("cpu")) == 1 << 22
    assert chunk_rows(1, torch.device("cuda", 1)) == 1 << 26
    assert chunk_rows(1 << 23) == 1


def test_the_host_asks_whether_scores_are_finite_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whether = torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda one: asked.append(one) or whether(one))
    prefixes, targets = Sessions.of([[0, 1, 2], [3, 0], [2, 2, 1, 3]]).prefixes()
    rank_all(Fixed(torch.zeros(4, 4)), prefixes, targets, 1)  # type: ignore[arg-type]
    assert len(prefixes) == 6 and len(asked) == 1
