"""The metrics: under every rule of counting, against all orders of the tied items written out, and by eye."""

from __future__ import annotations

import csv
import itertools
import math
import re
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproduce.__main__ import main
from reproduce.errors import UsageError
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import METRICS, MRR, RECALL, Measure, Metric
from reproduce.paper.counting import NARM_CODE, OURS, Counting
from reproduce.reports import measuring, table2
from reproduce.reports.measuring import View
from reproduce.reports.records import Records

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


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_number_is_the_mean_over_all_orders_of_tied_items(rule: Counting, k: int) -> None:
    cases = list(itertools.product(range(7), range(5)))
    greater, equal = np.array(cases).T
    hits = Measure(METRICS["recall"], k).values(greater, equal, rule)
    reciprocals = Measure(METRICS["mrr"], k).values(greater, equal, rule)
    wanted = [by_hand(g, e, rule, k) for g, e in cases]
    np.testing.assert_allclose(hits, [one for one, _ in wanted], rtol=1e-12)
    np.testing.assert_allclose(reciprocals, [one for _, one in wanted], rtol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1), st.integers(1, 70))
def test_without_ties_at_random_a_metric_is_that_of_the_rank(counts: list[tuple[int, int]], k: int) -> None:
    greater, equal = np.array(counts).T
    for rule, ranks in ((OURS, greater + equal + 1), (NARM_CODE, greater + 1)):
        for metric in METRICS.values():
            alone = [float(metric.worth(np.array([float(r)]))[0]) if r <= k else 0.0 for r in ranks]
            assert Measure(metric, k).values(greater, equal, rule).tolist() == pytest.approx(alone)
            assert Measure(metric, k).mean(greater, equal, rule) == pytest.approx(Measure(metric, k).of_ranks(ranks))


def test_the_target_tied_at_the_last_place_counts_for_half_at_random() -> None:
    one, two = np.array([19]), np.array([1])
    assert RECALL.values(one, two, Counting(ties="at random")) == [0.5]
    assert RECALL.values(one, two, Counting(below=True, ties="at random")) == [0.0]
    assert MRR.values(one, two, Counting(ties="at random")) == pytest.approx([1 / 40])


def test_the_metrics_add_up_by_eye() -> None:
    ranks = np.array([1, 3, 6])
    values = {name: metrics.parse(f"{name}@5").of_ranks(ranks) for name in METRICS}
    assert values == pytest.approx(
        {
            "recall": 200 / 3,
            "hitrate": 200 / 3,
            "mrr": 100 * (1 + 1 / 3) / 3,
            "ndcg": 100 * (1 + 1 / math.log2(4)) / 3,
        }
    )
    assert all(math.isnan(metrics.parse(f"{name}@5").of_ranks(np.array([], dtype=np.int64))) for name in METRICS)


def test_a_metric_is_named_with_its_cut_off() -> None:
    assert [metrics.parse(one).title for one in ("recall@20", "NDCG@10", "hitrate@1")] == [
        "Recall@20",
        "NDCG@10",
        "HitRate@1",
    ]
    assert metrics.parse("mrr@20") == MRR and MRR.key == "mrr@20"
    for wrong, told in (
        ("recal@20", "unknown metric 'recal'; did you mean recall"),
        ("auc@20", "available: hitrate, mrr, ndcg, recall"),
        ("recall", "write a cut-off from 1 to 100,000 after the name, as in recall@20"),
        ("recall@0", "write a cut-off"),
        ("recall@1e3", "write a cut-off"),
    ):
        with pytest.raises(UsageError, match=re.escape(told)):
            metrics.parse(wrong)


def test_a_new_metric_is_one_entry_of_the_list_and_every_table_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Metric("first", "First", lambda ranks: np.asarray(ranks == 1.0, float))
    monkeypatch.setattr(metrics, "METRICS", {**METRICS, "first": first})
    results = str(Path(metrics.__file__).parents[2] / "results")
    words = ["export", "--dataset", "eshop", "--model", "pop", "narm", "--metric", "first@5", "recall@1"]
    assert main([*words, "--format", "csv", "--results", results, "--to", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "comparison-eshop.csv").open()))
    assert len(rows) == 2
    assert all(float(one["First@5"]) == pytest.approx(float(one["Recall@1"])) for one in rows)


def test_views_of_the_stored_ranks() -> None:
    """Two sessions of three and two prefixes; every target of the first is tied with one item at places 20 and 21."""
    session, length = np.array([0, 0, 0, 1, 1]), np.array([3, 1, 2, 1, 2])
    greater, equal = np.array([19, 19, 19, 0, 30]), np.array([1, 1, 1, 0, 0])
    one = types.SimpleNamespace(session=session, length=length, greater=greater, equal=equal)
    assert measuring.last_clicks(one).tolist() == [True, False, False, False, True]  # type: ignore[arg-type]
    due = {"against": 20.0, "random": 50.0, "favour": 80.0}
    assert {ties: RECALL.mean(greater, equal, View(ties=ties).rule) for ties in due} == pytest.approx(due)  # type: ignore[arg-type]
    assert View.of({}) == View() and View().note == ""
    assert View.of({"protocol": "last", "ties": "random"}).note == (
        "In this view only the last click of every test session is predicted, as in leave-one-out evaluation and ties "
        "are broken at random."
    )


def test_targets_that_train_lacks_are_ranked_or_missed() -> None:
    greater, equal = np.array([0, 30, 1]), np.array([0, 0, 0])
    unseen = np.array([False, False, True])
    rules = [Counting(), Counting(unseen_missed=True)]
    recalls = [RECALL.mean(greater, equal, rule, unseen) for rule in rules]
    assert recalls == pytest.approx([200 / 3, 100 / 3])
    mrrs = [MRR.mean(greater, equal, rule, unseen) for rule in rules]
    assert mrrs == pytest.approx([150 / 3, 100 / 3])


def test_only_a_fraction_of_yoochoose_has_targets_that_train_lacks() -> None:
    """412 on 1/64; on DIGINETICA the least clicked items share POP's last place, and train has them all."""
    own = Records(Path(metrics.__file__).parents[2] / "results")
    unseen = table2.unseen_targets(own, "yoochoose1_64")
    assert unseen is not None and unseen.sum() == 412
    assert all(table2.unseen_targets(own, name) is None for name in ("diginetica", "diginetica-file-order", "eshop"))
