"""GRU-Rec: lanes against a literal iterator, losses by double loops, the equations in numpy."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.baselines.gru4rec import LOSSES, GRU4Rec, Lanes, Network, Step, side_by_side
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

CPU = torch.device("cpu")


def literal(lists: list[list[int]], batch: int) -> Iterator[list[tuple[int, int, bool, int]]]:
    """Yield steps: (click, next click, whether it begins its session, lane) of every busy lane, taken lane by lane."""
    waiting = [one for one in lists if len(one) > 1]
    lanes: list[tuple[list[int], int] | None] = [None] * batch
    while True:
        row = []
        for lane in range(batch):
            if lanes[lane] is None and waiting:
                lanes[lane] = (waiting.pop(0), 0)
            there = lanes[lane]
            if there is not None:
                session, at = there
                row.append((session[at], session[at + 1], at == 0, lane))
                lanes[lane] = (session, at + 1) if at + 2 < len(session) else None
        if not row:
            return
        yield row


def steps(lanes: Lanes) -> list[list[tuple[int, int, bool, int]]]:
    columns = (lanes.items, lanes.targets, lanes.begins, lanes.lanes)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    return [rows[begin:end] for begin, end in zip(lanes.bounds, lanes.bounds[1:], strict=False)]


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=0, max_size=12),
    st.integers(min_value=1, max_value=5),
)
def test_sessions_sit_in_their_lanes_as_a_literal_iterator_puts_them(lists: list[list[int]], batch: int) -> None:
    lanes = side_by_side(Sessions.of(lists, 6), batch, 1.0, CPU)
    assert steps(lanes) == list(literal(lists, batch))
    assert len(lanes) == sum(len(one) - 1 for one in lists)


def by_loops(
    kind: str, scores: np.ndarray, targets: list[int], columns: list[int], penalty: float, own_target: str
) -> float:
    """Return the mean loss of the batch, computed pair by pair.

    With the own target counted, every column but the target's own is a negative, and top1 and bpr are means over all
    columns, without the constant of the own one.
    """

    def sigma(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    total = 0.0
    for i, target in enumerate(targets):
        s, right = scores[i], scores[i, i]
        counted = own_target == "counted"
        wrong = [s[j] for j, item in enumerate(columns) if (j != i if counted else item != target)]
        if not wrong:
            continue
        among = len(columns) if counted else len(wrong)
        share = [math.exp(x) / sum(math.exp(y) for y in wrong) for x in wrong]
        if kind == "top1":
            total += sum(sigma(x - right) + sigma(x * x) for x in wrong) / among
        elif kind == "bpr":
            total -= sum(math.log(sigma(right - x)) for x in wrong) / among
        elif kind == "top1-max":
            total += sum(p * (sigma(x - right) + sigma(x * x)) for p, x in zip(share, wrong, strict=True))
        elif kind == "bpr-max":
            total -= math.log(sum(p * sigma(right - x) for p, x in zip(share, wrong, strict=True)))
            total += penalty * sum(p * x * x for p, x in zip(share, wrong, strict=True))
        else:
            total -= math.log(math.exp(right) / (math.exp(right) + sum(math.exp(x) for x in wrong)))
    return total / len(targets)


def untrained(fields: dict[str, Any]) -> tuple[GRU4Rec, Network]:
    model = GRU4Rec(**{"hidden": 3, "batch": 4, "dropout": 0.0, **fields})
    torch.manual_seed(0)
    model.device_, model.network_ = CPU, model.network(7).double()
    for parameter in model.network_.parameters():
        parameter.data = torch.randn_like(parameter)
    assert isinstance(model.network_, Network)
    model.network_.carried = torch.zeros(4, 3, dtype=torch.float64)
    return model, model.network_


def one_step(targets: list[int], negatives: list[int]) -> Step:
    n = len(targets)
    return Step(
        torch.arange(n),
        torch.tensor(targets),
        torch.ones(n, dtype=torch.bool),
        torch.arange(n),
        torch.tensor(negatives, dtype=torch.int64),
        -0.1 * torch.arange(1, n + len(negatives) + 1, dtype=torch.float64),
    )


@pytest.mark.parametrize("own_target", ["left-out", "counted"])
@pytest.mark.parametrize("activation", ["tanh", "linear", "elu"])
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(
    ("targets", "negatives"),
    [([1, 2, 3], []), ([1, 2, 1, 4], [5, 2, 5]), ([3, 3], [6]), ([2], [2]), ([2, 2], [])],
    ids=["in the batch", "drawn too", "one target twice", "no negative", "none at all"],
)
def test_losses_equal_their_formulas_by_double_loops(
    kind: Any, activation: Any, targets: list[int], negatives: list[int], own_target: str
) -> None:
    fields = {"loss_function": kind, "activation": activation, "penalty": 0.3, "own_target": own_target}
    model, network = untrained(fields)
    step = one_step(targets, negatives)
    columns = targets + negatives
    raw = model.score(Sessions.of([[i] for i in range(len(targets))], 7)).numpy()[:, columns]
    f = {"tanh": np.tanh, "linear": lambda x: x, "elu": lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1))}[activation]
    expected = by_loops(kind, f(raw), targets, columns, 0.3, own_target)
    loss = model.loss(network, step)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-10)
    loss.backward()  # type: ignore[no-untyped-call]
    slopes = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(bool(torch.isfinite(one.to_dense()).all()) for one in slopes)


def test_a_short_step_weighs_as_much_as_its_share_of_a_batch() -> None:
    """A value held by hand: sigma(0) = 1/2, and one row of a batch of four."""
    model, network = untrained({"loss_function": "bpr", "activation": "linear"})
    for parameter in network.parameters():
        parameter.data.zero_()
    loss = model.loss(network, one_step([2], [5]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0.693147, abs=1e-6)
    assert network.b_out.grad is not None
    assert network.b_out.grad.to_dense()[:, 0].tolist() == [0, 0, -0.125, 0, 0, 0.125, 0]


def test_an_epoch_with_short_steps_dropped_ends_before_the_first_of_them() -> None:
    lanes = side_by_side(Sessions.of([[1, 2, 3], [4, 5], [6, 0], [1, 2, 3, 4]], 7), 2, 1.0, CPU)
    assert [len(step) for step in lanes.steps(0)] == [2, 2, 1, 1, 1]
    assert [len(step) for step in lanes.steps(0, at_least=2)] == [2, 2]


@pytest.mark.parametrize("logq", [0.5, 1.0])
def test_logq_lowers_every_column_by_its_share_of_the_clicks(logq: float) -> None:
    """In cross-entropy: ln P of an item in the batch, alpha ln P of one that was drawn."""
    lanes = side_by_side(Sessions.of([[1, 2], [3, 2], [3, 3]], 4), 2, 0.5, CPU)
    torch.manual_seed(0)
    step = next(lanes.steps(3))
    share = {1: 1 / 6, 2: 2 / 6, 3: 3 / 6}
    expected = [math.log(share[i]) for i in step.targets.tolist()]
    expected += [0.5 * math.log(share[i]) for i in step.negatives.tolist()]
    np.testing.assert_allclose(step.log_q.numpy(), expected, rtol=1e-6)

    model, network = untrained({"loss_function": "cross-entropy", "activation": "linear", "logq": logq})
    by_hand = one_step([1, 2], [5])
    s = model.score(Sessions.of([[0], [1]], 7)).numpy()[:, [1, 2, 5]] + logq * np.array([0.1, 0.2, 0.3])
    mean = np.mean([math.log(sum(map(math.exp, row))) - row[i] for i, row in enumerate(s)])
    assert float(model.loss(network, by_hand).detach()) == pytest.approx(mean, rel=1e-10)


def test_tied_embeddings_read_a_click_from_the_rows_that_score_it() -> None:
    model, network = untrained({"embeddings": "tied"})
    w = {name: value.detach().numpy() for name, value in network.named_parameters()}
    assert sorted(w) == ["U", "U_rz", "W", "b", "b_out", "w"]
    h = np.zeros(3)
    for item in (2, 5, 2):
        c, r, z = np.split(w["w"][item] @ w["W"] + w["b"], 3)
        r, z = sigmoid(r + h @ w["U_rz"][:, :3]), sigmoid(z + h @ w["U_rz"][:, 3:])
        h = (1 - z) * h + z * np.tanh(c + (r * h) @ w["U"])
    found = model.score(Sessions.of([[2, 5, 2]], 7)).numpy()[0]
    np.testing.assert_allclose(found, w["w"] @ h + w["b_out"][:, 0], rtol=1e-10)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_scores_equal_the_equations_in_numpy() -> None:
    model, network = untrained({})
    w = {name: value.detach().numpy() for name, value in network.named_parameters()}
    prefixes = Sessions.of([[3], [2, 5, 2], [6, 0, 1, 4] * 6], 7)
    for i, found in enumerate(model.score(prefixes).numpy()):
        h = np.zeros(3)
        for item in prefixes[i]:
            c, r, z = np.split(w["E"][item] + w["b"], 3)
            r, z = sigmoid(r + h @ w["U_rz"][:, :3]), sigmoid(z + h @ w["U_rz"][:, 3:])
            h = (1 - z) * h + z * np.tanh(c + (r * h) @ w["U"])
        np.testing.assert_allclose(found, w["w"] @ h + w["b_out"][:, 0], rtol=1e-10)


def test_a_state_carried_through_the_lanes_is_that_of_the_prefix_read_from_its_start() -> None:
    lists = [[1, 2, 3], [4, 5], [6, 0, 2, 1, 3], [5, 5, 5], [3, 4], [2, 6, 1]]
    model, network = untrained({"batch": 2})
    log = Sessions.of(lists, 7)
    lanes = side_by_side(log, 2, 1.0, CPU)
    found, prefixes, at = [], [], dict[int, list[int]]()
    for step in lanes.steps(0):
        h = network.go_on(step)
        found.append(network.rate_all(h).detach())
        for item, begins, lane in zip(step.items.tolist(), step.begins.tolist(), step.lanes.tolist(), strict=True):
            at[lane] = [item] if begins else [*at[lane], item]
            prefixes.append(at[lane])
        assert not network.carried.requires_grad
    torch.testing.assert_close(torch.cat(found), model.score(Sessions.of(prefixes, 7)))


def test_nothing_is_carried_from_one_epoch_into_the_next() -> None:
    model, network = untrained({"batch": 2, "dropout": 0.0})
    network.carried.fill_(9.0)
    next(iter(model.batches(side_by_side(Sessions.of([[1, 2, 3]], 7), 2, 1.0, CPU))))
    assert network.carried.shape == (2, 3) and not network.carried.any()


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, [0, 1, 4, 0]), (0.5, [0, 1, 2, 0]), (0.0, [0, 1, 1, 0])])
def test_negatives_are_drawn_by_clicks_to_the_power_of_alpha(alpha: float, expected: list[float]) -> None:
    lanes = side_by_side(Sessions.of([[1, 2, 2, 2, 2]], 4), 1, alpha, CPU)
    torch.manual_seed(0)
    drawn = np.bincount(next(lanes.steps(20_000)).negatives.numpy(), minlength=4)
    np.testing.assert_allclose(drawn / 20_000, np.array(expected) / sum(expected), atol=0.015)  # 4 standard deviations
    assert drawn[0] == drawn[3] == 0


def test_whole_sessions_are_held_out() -> None:
    log = Sessions.of([[i, i, i] for i in range(20)])
    lanes, held_out, labels = GRU4Rec().part(log, np.random.default_rng(0), CPU)
    assert len(set(labels.tolist())) == 2 and len(held_out) == 4
    assert set(lanes.items.tolist()) == set(range(20)) - set(labels.tolist())


def test_without_validation_all_sessions_train_and_the_last_epoch_stands() -> None:
    train = catalog.load_split("cycle", ".").train
    model, journal = GRU4Rec(hidden=4, epochs=7, batch=16, patience=1, validation="none"), Journal()
    lanes, held_out, _ = model.part(train, np.random.default_rng(0), CPU)
    assert len(held_out) == 0 and len(lanes) == len(train.prefixes()[0])
    model.fit(train, seed=0, device=CPU, journal=journal)
    assert [sorted(epoch) for epoch in journal.history] == 7 * [["epoch", "examples_per_second", "loss", "seconds"]]
    shorter = GRU4Rec(hidden=4, epochs=6, batch=16, validation="none")
    shorter.fit(train, seed=0, device=CPU, journal=Journal())
    assert not torch.equal(model.score(train), shorter.score(train))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"momentum": 0.3, "negatives": 5, "loss_function": "bpr-max"},
        {"momentum": 0.3, "duplicates": "separate", "own_target": "counted"},
    ],
    ids=str,
)
def test_a_fit_that_goes_on_from_a_checkpoint_ends_in_the_same_bits(fields: dict[str, Any]) -> None:
    train = catalog.load_split("cycle", ".").train
    kept = {}

    class Keeping(Journal):
        def save(self, state: dict[str, Any]) -> None:
            if state["epoch"] == 2:
                torch.save(state, file := io.BytesIO())
                kept["state"] = file.getvalue()

    class GoingOn(Journal):
        def restore(self) -> dict[str, Any]:
            return torch.load(io.BytesIO(kept["state"]), weights_only=True)

    models = [GRU4Rec(hidden=8, epochs=4, batch=16, **fields) for _ in range(2)]
    for model, journal in zip(models, (Keeping(), GoingOn()), strict=True):
        model.fit(train, seed=1, device=CPU, journal=journal)
    assert torch.equal(models[0].score(train), models[1].score(train))


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_learns_the_circle(kind: Any) -> None:
    split = catalog.load_split("cycle", ".")
    model = GRU4Rec(loss_function=kind, activation="linear", hidden=24, dropout=0.0, learning_rate=0.1, batch=16)
    model.fit(split.train, seed=0, device=CPU, journal=Journal())
    prefixes, targets = split.test.prefixes()
    assert (model.score(prefixes).argmax(1).numpy() == targets).mean() == 1
