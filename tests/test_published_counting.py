"""Recall and MRR under every rule of counting, against all orders of the tied items written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce.baselines.pop import Pop
from reproduce.evaluation import counting, ranking
from reproduce.fitting.recommender import Journal
from reproduce.paper.counting import OURS, Counting
from reproduce.reading.sessions import Sessions

RULES = [Counting(below, ties) for below in (False, True) for ties in ("against", "at random", "in favour")]  # type: ignore[arg-type]


def by_hand(greater: int, equal: int, rule: Counting, k: int) -> tuple[float, float]:
    """Return recall and reciprocal rank over all orders of the target and its tied items, counted as the rule says."""
    orders = list(itertools.permutations(range(equal + 1)))  # 0 is the target
    if rule.ties != "at random":
        place = equal if rule.ties == "against" else 0
        orders = [one for one in orders if one.index(0) == place]
    ranks = [greater + 1 + one.index(0) for one in orders]
    kept = [rank for rank in ranks if (rank < k if rule.below else rank <= k)]
    return len(kept) / len(orders), sum(1 / rank for rank in kept) / len(orders)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.told())
@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_number_is_the_mean_over_all_orders_of_tied_items(rule: Counting, k: int) -> None:
    cases = list(itertools.product(range(7), range(5)))
    greater, equal = np.array(cases).T
    hits = counting.hit(greater, equal, rule, k)
    reciprocals = counting.reciprocal(greater, equal, rule, k)
    wanted = [by_hand(g, e, rule, k) for g, e in cases]
    np.testing.assert_allclose(hits, [one for one, _ in wanted], rtol=1e-12)
    np.testing.assert_allclose(reciprocals, [one for _, one in wanted], rtol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1))
def test_our_own_rule_is_the_one_of_every_other_page(counts: list[tuple[int, int]]) -> None:
    greater, equal = np.array(counts).T
    ranks = ranking.rank(greater, equal)
    np.testing.assert_array_equal(counting.hit(greater, equal, OURS), ranking.hit(ranks))
    np.testing.assert_allclose(counting.reciprocal(greater, equal, OURS), ranking.reciprocal(ranks), rtol=1e-12)


def test_the_target_tied_at_the_last_place_counts_for_half_at_random() -> None:
    one, two = np.array([19]), np.array([1])
    assert counting.hit(one, two, Counting(ties="at random"), 20) == [0.5]
    assert counting.hit(one, two, Counting(below=True, ties="at random"), 20) == [0.0]
    assert counting.reciprocal(one, two, Counting(ties="at random"), 20) == pytest.approx([1 / 40])


def test_targets_that_train_lacks_are_ranked_missed_or_left_out() -> None:
    greater, equal = np.array([0, 30, 1]), np.array([0, 0, 0])
    unseen = np.array([False, False, True])
    rules = [Counting(unseen=one) for one in ("ranked", "missed", "dropped")]  # type: ignore[arg-type]
    recalls = [counting.mean_of("recall", greater, equal, rule, unseen) for rule in rules]
    assert recalls == pytest.approx([200 / 3, 100 / 3, 50])
    mrrs = [counting.mean_of("mrr", greater, equal, rule, unseen) for rule in rules]
    assert mrrs == pytest.approx([150 / 3, 100 / 3, 50])


def test_pop_tells_which_targets_train_lacks() -> None:
    train = Sessions.packed(np.array([0, 0, 1, 2, 1]), np.array([2, 3]), 5)  # items 3 and 4 occur in test only
    pop = Pop()
    pop.fit(train, seed=0, device=torch.device("cpu"), journal=Journal())
    prefixes = Sessions.packed(np.array([0, 0, 0, 0]), np.array([1, 1, 1, 1]), 5)
    greater, equal = ranking.rank_all(pop, prefixes, np.array([0, 2, 3, 4]))
    assert counting.unseen_targets(greater, equal, 5).tolist() == [False, False, True, True]
