"""GRU-Rec: 300 training steps in plain numpy, row by row, for both values of `duplicates` and of `own_target`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from reproduce.baselines.gru4rec import GRU4Rec, Network
from reproduce.reading.sessions import Sessions

CPU = torch.device("cpu")
ITEMS, HIDDEN, LANES, STEPS, RATE = 6, 3, 5, 300, 0.05
Weights = dict[str, np.ndarray]


def log() -> list[list[int]]:
    """Return sessions over so few items that most batches contain one twice, as a click or as a target."""
    rng = np.random.default_rng(3)
    return [rng.integers(ITEMS, size=rng.integers(2, 7)).tolist() for _ in range(60)]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def epochs(sessions: list[list[int]], at_least: int) -> Iterator[list[tuple[int, int, int, bool]]]:
    """Yield steps without end, each with (click, next click, lane, whether the session begins) of every busy lane."""
    while True:
        waiting, under_way = list(sessions), dict[int, list[int]]()
        while True:
            begins = set()
            for lane in range(LANES):
                if len(under_way.get(lane, [])) < 2 and waiting:
                    under_way[lane] = waiting.pop(0)
                    begins.add(lane)
            step = [(s[0], s[1], lane, lane in begins) for lane, s in sorted(under_way.items()) if len(s) > 1]
            if len(step) < at_least:
                break
            yield step
            under_way = {lane: session[1:] for lane, session in under_way.items()}


def top1_slopes(scores: np.ndarray, targets: list[int], own_target: str) -> np.ndarray:
    """Return the gradient of the summed TOP1 loss / LANES with respect to each score, (B, B), pair by pair."""
    slopes = np.zeros_like(scores)
    for i in range(len(targets)):
        counted = own_target == "counted"
        wrong = [j for j in range(len(targets)) if (j != i if counted else targets[j] != targets[i])]
        among = (len(targets) if counted else len(wrong)) * LANES  # also where fewer lanes are busy
        for j in wrong:
            p, q = sigmoid(scores[i, j] - scores[i, i]), sigmoid(scores[i, j] ** 2)
            slopes[i, j] += (p * (1 - p) + 2 * scores[i, j] * q * (1 - q)) / among
            slopes[i, i] -= p * (1 - p) / among
    return slopes


Slope = tuple[str, Any, np.ndarray]  # name of a weight, row or `...` for all, gradient


def gradient(w: Weights, clicks: list[int], targets: list[int], h: np.ndarray, own_target: str) -> tuple[Any, ...]:
    """Return the states after a step and its gradients: of a dense weight the whole, of an item's by occurrence."""
    into = w["E"][clicks] + w["b"]
    r, z = sigmoid(into[:, 3:6] + h @ w["U_rz"][:, :3]), sigmoid(into[:, 6:] + h @ w["U_rz"][:, 3:])
    hat = np.tanh(into[:, :3] + (r * h) @ w["U"])
    new = (1 - z) * h + z * hat
    scores = np.tanh(new @ w["w"][targets].T + w["b_out"][targets, 0])  # (B, B)
    on_scores = top1_slopes(scores, targets, own_target) * (1 - scores**2)
    on_new = on_scores @ w["w"][targets]
    on_hat = on_new * z * (1 - hat**2)
    on_r = (on_hat @ w["U"].T) * h * r * (1 - r)
    on_z = on_new * (hat - h) * z * (1 - z)
    on_gates = np.concatenate([on_r, on_z], 1)
    on_into = np.concatenate([on_hat, on_gates], 1)
    slopes: list[Slope] = [
        ("b", ..., on_into.sum(0)),
        ("U", ..., (r * h).T @ on_hat),
        ("U_rz", ..., h.T @ on_gates),
    ]
    slopes += [("E", item, on_into[k]) for k, item in enumerate(clicks)]
    slopes += [("w", item, on_scores[:, k] @ new) for k, item in enumerate(targets)]
    slopes += [("b_out", item, on_scores[:, k].sum(keepdims=True)) for k, item in enumerate(targets)]
    return new, slopes


def added(slopes: list[Slope]) -> list[Slope]:
    """Return one gradient for each row: the sum of those of its occurrences."""
    total: dict[tuple[str, Any], np.ndarray] = {}
    for name, row, slope in slopes:
        total[name, row] = total.get((name, row), 0.0) + slope
    return [(name, row, slope) for (name, row), slope in total.items()]


def by_numpy(start: Weights, momentum: float, duplicates: str, own_target: str, short_steps: str) -> Weights:
    w = {name: value.copy() for name, value in start.items()}
    squares, velocity = ({name: np.zeros_like(value) for name, value in w.items()} for _ in range(2))
    state = np.zeros((LANES, HIDDEN))
    steps = epochs(log(), LANES if short_steps == "dropped" else 1)
    for _ in range(STEPS):
        step = next(steps)
        clicks, targets, lanes, begins = (list(column) for column in zip(*step, strict=True))
        state[[lane for lane, b in zip(lanes, begins, strict=True) if b]] = 0.0
        state[lanes], slopes = gradient(w, clicks, targets, state[lanes], own_target)
        moves = []
        for name, row, g in added(slopes) if duplicates == "added" else slopes:
            size = np.sqrt(squares[name][row] + g**2 + 1e-6)
            moves.append((name, row, momentum * velocity[name][row] - RATE * g / size, g))
        for name, row, move, g in moves:  # all moves were computed from the old weights, squares and velocities
            w[name][row] += move
            squares[name][row] += g**2
            velocity[name][row] = move
    return w


@cache
def by_torch(momentum: float, duplicates: Any, own_target: Any, short_steps: Any) -> tuple[Weights, Weights]:
    """Return the weights before and after the steps."""
    fields: dict[str, Any] = {"momentum": momentum, "duplicates": duplicates, "own_target": own_target}
    fields["short_steps"] = short_steps
    model = GRU4Rec(hidden=HIDDEN, batch=LANES, dropout=0.0, validation="none", learning_rate=RATE, **fields)
    lanes, _, _ = model.part(Sessions.of(log(), ITEMS), np.random.default_rng(0), CPU)
    torch.manual_seed(0)
    network = model.network_ = model.network(ITEMS).double()
    assert isinstance(network, Network)
    before = {name: value.detach().numpy().copy() for name, value in network.named_parameters()}
    optimiser = model.optimiser(network)
    made = 0
    while made < STEPS:
        for batch in model.batches(lanes):
            network.carried = network.carried.double()
            optimiser.zero_grad()
            model.loss(network, batch).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            made += 1
            if made == STEPS:
                break
    return before, {name: value.detach().numpy() for name, value in network.named_parameters()}


@pytest.mark.parametrize("momentum", [0.0, 0.2])
@pytest.mark.parametrize("duplicates", ["added", "separate"])
@pytest.mark.parametrize("own_target", ["left-out", "counted"])
@pytest.mark.parametrize("short_steps", ["divided", "dropped"])
def test_300_steps_equal_those_made_in_numpy(
    momentum: float, duplicates: Any, own_target: Any, short_steps: Any
) -> None:
    before, found = by_torch(momentum, duplicates, own_target, short_steps)
    expected = by_numpy(before, momentum, duplicates, own_target, short_steps)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=1e-10, err_msg=name)
        assert np.abs(value - before[name]).max() > 0.02  # the weights have moved


def test_the_eight_ways_end_apart() -> None:
    """Otherwise the test above could not tell them apart."""
    ends = [
        by_torch(0.0, duplicates, own_target, short_steps)[1]["w"]
        for duplicates in ("added", "separate")
        for own_target in ("left-out", "counted")
        for short_steps in ("divided", "dropped")
    ]
    apart = [np.abs(one - other).max() for k, one in enumerate(ends) for other in ends[:k]]
    assert min(apart) > 0.01
