"""Triples, and a step on them: what BPR-MF and FPMC share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.baselines.bpr_mf import BPRMF
from reproduce.baselines.fpmc import FPMC
from reproduce.errors import InputError, ModelError
from reproduce.fitting import pairwise as loop
from reproduce.fitting.pairwise import Pairwise, Triples, climb, draw_triples
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

CPU = torch.device("cpu")
LOGS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=7), min_size=1, max_size=6)


def drawn(model: Pairwise, log: Sessions, batch: int = 3) -> list[tuple[int, list[int], int, int]]:
    """Return session, clicks before, right and wrong item of every triple drawn."""
    steps = list(draw_triples(model.positives(log), batch, np.random.default_rng(0), CPU))
    assert all(len(one) == batch for one in steps[:-1])
    rows = []
    for one in steps:
        before = [one.before[one.owner == k].tolist() for k in range(len(one))]
        rows += list(zip(one.session.tolist(), before, one.right.tolist(), one.wrong.tolist(), strict=True))
    return rows


@given(LOGS)
def test_bpr_draws_every_click_once_with_an_item_the_session_never_clicked(lists: list[list[int]]) -> None:
    rows = drawn(BPRMF(), Sessions.of(lists, n_items=5))
    clicked = {item for one in lists for item in one}
    assert sorted((s, r) for s, _, r, _ in rows) == sorted(
        (s, item) for s, one in enumerate(lists) for item in one if set(one) != clicked
    )
    assert all(wrong not in lists[s] and not before for s, before, _, wrong in rows)


@given(LOGS)
def test_fpmc_draws_every_pair_of_clicks_once_with_an_item_that_is_not_the_next(lists: list[list[int]]) -> None:
    rows = drawn(FPMC(), Sessions.of(lists, n_items=5))
    pairs = [(s, [before], right) for s, one in enumerate(lists) for before, right in pairwise(one)]
    assert sorted((s, b, r) for s, b, r, _ in rows) == sorted(pairs)
    assert all(wrong != right for _, _, right, wrong in rows)


@pytest.mark.parametrize("ahead", [1, 2, 1000])
def test_triples_do_not_depend_on_how_many_batches_travel_at_once(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, log = FPMC(basket="prefix", negatives=2), Sessions.of([[0, 1, 2, 3, 4], [4, 3], [1, 1, 2]] * 5, 5)
    expected = drawn(model, log, batch=4)
    monkeypatch.setattr(loop, "AHEAD", ahead)
    assert drawn(model, log, batch=4) == expected


@given(LOGS, st.integers(1, 4))
def test_fpmc_draws_several_wrong_items_after_all_clicks_so_far(lists: list[list[int]], each: int) -> None:
    rows = drawn(FPMC(basket="prefix", negatives=each), Sessions.of(lists, n_items=5))
    expected = [(s, one[:k], one[k]) for s, one in enumerate(lists) for k in range(1, len(one))]
    assert sorted((s, b, r) for s, b, r, _ in rows) == sorted(expected * each)
    assert all(wrong != right for _, _, right, wrong in rows)


def grouped_by_loops(log: list[list[int]]) -> list[int]:
    """Return the items of all clicks after grouping their rows, (item, session), by item and then by session."""
    table = [(item, s) for s, one in enumerate(log) for item in one]
    for column in (0, 1):
        joined: dict[int, list[tuple[int, int]]] = {}
        for row in table:
            joined.setdefault(row[column], []).append(row)
        table = [row for group in joined.values() for row in group]
    return [item for item, _ in table]


@given(LOGS)
def test_the_rows_that_wrong_items_come_from_are_the_first_in_their_order(lists: list[list[int]]) -> None:
    log = Sessions.of(lists, n_items=5)
    clicks = [item for one in lists for item in one]
    m = len(set(clicks))
    expected = {"first-rows": clicks[:m], "last-rows": clicks[-m:], "grouped": grouped_by_loops(lists)[:m]}
    for negatives, items in expected.items():
        model = BPRMF(negatives=negatives)  # type: ignore[arg-type]
        assert model.positives(log).pool.tolist() == items
        rows = drawn(model, log)
        kept = [(s, item) for s, one in enumerate(lists) for item in one if not set(items) <= set(one)]
        assert sorted((s, r) for s, _, r, _ in rows) == sorted(kept)
        assert all(wrong in items and wrong not in lists[s] for s, _, _, wrong in rows)
        alike = BPRMF(negatives=negatives, wrong="items").positives(log).pool  # type: ignore[arg-type]
        assert alike.tolist() == sorted(set(items))


def test_rows_grouped_by_hand() -> None:
    """Sessions [3, 5] and [5, 3, 4] grouped by item give 3 3 5 5 4, and then by session 3 5, 3 5 4.

    There are three items, so the first three rows are taken.
    """
    assert BPRMF(negatives="grouped").positives(Sessions.of([[3, 5], [5, 3, 4]], 6)).pool.tolist() == [3, 5, 3]


def test_wrong_items_are_drawn_alike_or_as_often_as_they_are_clicked() -> None:
    log = Sessions.of([[0, 1]] * 3000 + [[2]] * 2000 + [[3]] * 1000, n_items=5)
    shares = {
        kind: np.bincount([row[3] for row in drawn(BPRMF(wrong=kind), log, 500) if row[2] < 2], minlength=5)
        for kind in ("clicks", "items")
    }
    assert np.abs(shares["clicks"] - [0, 0, 4000, 2000, 0]).max() < 200  # standard deviation 37
    assert np.abs(shares["items"] - [0, 0, 2000, 2000, 2000]).max() < 200


@pytest.mark.parametrize(
    "model",
    [BPRMF(factors=3), FPMC(factors=3), FPMC(factors=3, basket="prefix")],
    ids=["bpr_mf", "fpmc", "fpmc baskets"],
)
def test_a_batch_climbs_the_gradient_of_the_summed_log_sigmoid(model: Pairwise) -> None:
    """Compare with autograd, with rows that occur twice in the batch."""
    columns = ([0, 0, 1], [2, 3, 3], [4, 2, 0], [1, 2, 4, 2, 1, 3], [0, 1, 1, 1, 2, 2])
    triples = Triples(*(torch.tensor(column) for column in columns))
    draw = torch.Generator().manual_seed(0)
    tables = {name: table.double() for name, table in model.tables(2, 5, draw).items()}
    leaves = {name: table.clone().requires_grad_() for name, table in tables.items()}
    torch.nn.functional.logsigmoid(model.margin(leaves, triples)).sum().backward()
    before = {name: table.clone() for name, table in tables.items()}
    climb(tables, model.steps(tables, triples), 0.1, 0.0)
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        torch.testing.assert_close(tables[name], before[name] + 0.1 * leaf.grad, rtol=1e-12, atol=1e-14)


def test_regularisation_shrinks_the_rows_of_a_triple_and_no_others() -> None:
    tables = {"h": torch.ones(3, 2)}
    climb(tables, [("h", torch.tensor([1]), torch.zeros(1, 2))], 0.5, 0.1)
    torch.testing.assert_close(tables["h"], torch.tensor([[1.0, 1.0], [0.95, 0.95], [1.0, 1.0]]))


@pytest.mark.parametrize("name", ["bpr_mf", "fpmc"])
def test_an_interrupted_fit_goes_on_to_the_same_bits(name: str) -> None:
    train = catalog.load_split("cycle", ".").train

    class Keeping(Journal):
        def save(self, state: dict) -> None:
            if state["epoch"] == 2:
                self.kept = {"epoch": 2, "tables": {key: table.clone() for key, table in state["tables"].items()}}

    class GoingOn(Journal):
        def restore(self) -> dict:
            return whole.kept

    whole, model = Keeping(), catalog.make_recommender(name, {"epochs": 4})
    model.fit(train, seed=1, device=CPU, journal=whole)
    again, resumed = GoingOn(), catalog.make_recommender(name, {"epochs": 4})
    resumed.fit(train, seed=1, device=CPU, journal=again)
    assert [one["epoch"] for one in again.history] == [3, 4]
    assert torch.equal(model.score(train), resumed.score(train))


def test_another_models_checkpoint_and_a_runaway_loss_are_told_in_one_line() -> None:
    train = catalog.load_split("cycle", ".").train

    class Foreign(Journal):
        def restore(self) -> dict:
            return {"epoch": 1, "network": {}}

    with pytest.raises(InputError, match="does not fit fpmc"):
        FPMC().fit(train, seed=0, device=CPU, journal=Foreign())
    with pytest.raises(ModelError, match="bpr_mf: the loss is not a finite number"):
        BPRMF(learning_rate=10.0, spread=10.0, batch=512, regularisation=1.0, epochs=50).fit(
            train, seed=0, device=CPU, journal=Journal()
        )
