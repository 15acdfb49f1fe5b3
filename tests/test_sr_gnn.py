"""SR-GNN: its graph by hand, its network against its equations in plain numpy, its learning rate."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from reproduce.baselines.sr_gnn import SRGNN, graph
from reproduce.fitting.neural import Batch

N_ITEMS = 7
SESSIONS = [[3], [2, 5, 2, 5, 1], [6, 6, 0], [1, 2, 3, 1, 4, 2]]


def batch(sessions: list[list[int]]) -> Batch:
    width = max(map(len, sessions))
    items = torch.tensor([one + [0] * (width - len(one)) for one in sessions])
    return Batch(items, torch.tensor([len(one) for one in sessions]), torch.empty(0, dtype=torch.int64))


def test_the_graph_of_a_session_by_hand() -> None:
    # Clicks 2 5 2 5 1: the edges are 2->5 twice, 5->2 once, 5->1 once. The nodes lie at the places 0, 1 and 4.
    node, out, into = graph(batch([[2, 5, 2, 5, 1], [0, 0]]))
    assert node[0].tolist() == [0, 1, 0, 1, 4]
    expected_out = np.zeros((5, 5))
    expected_out[0, 1] = 1  # from 2 always to 5
    expected_out[1, 0] = expected_out[1, 4] = 0.5  # from 5 once to 2, once to 1
    expected_in = np.zeros((5, 5))
    expected_in[1, 0] = 1  # into 5 always from 2
    expected_in[0, 1] = 1  # into 2 from 5
    expected_in[4, 1] = 1  # into 1 from 5
    assert np.array_equal(out[0], expected_out)
    assert np.array_equal(into[0], expected_in)
    # Item 0 twice, then padding (item 0 too): one edge to itself, none into the padding.
    assert node[1, :2].tolist() == [0, 0]
    assert out[1].nonzero().tolist() == into[1].nonzero().tolist() == [[0, 0]]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numpy_scores(w: dict[str, np.ndarray], session: list[int], steps: int) -> np.ndarray:
    emb = w["emb.weight"]
    D = emb.shape[1]
    nodes = sorted(set(session))
    edges = {(i, j): 0 for i in nodes for j in nodes}
    for i, j in itertools.pairwise(session):
        edges[i, j] += 1
    H_out, H_in = w["H.weight"][:D], w["H.weight"][D:]
    W_z, W_r, W_o = np.split(w["W_zro.weight"], 3)
    b_z, b_r, b_o = np.split(w["W_zro.bias"], 3)
    U_z, U_r = np.split(w["U_zr.weight"], 2)
    v = {i: emb[i] for i in nodes}
    for _ in range(steps):
        after = {}
        for i in nodes:
            leaving, coming = sum(edges[i, j] for j in nodes), sum(edges[j, i] for j in nodes)
            a_out, a_in = np.zeros(D), np.zeros(D)
            for j in nodes:
                a_out += edges[i, j] / max(leaving, 1) * (H_out @ v[j])
                a_in += edges[j, i] / max(coming, 1) * (H_in @ v[j])
            a = np.concatenate([a_out, a_in]) + w["b"]
            z = sigmoid(W_z @ a + b_z + U_z @ v[i])
            r = sigmoid(W_r @ a + b_r + U_r @ v[i])
            candidate = np.tanh(W_o @ a + b_o + w["U_o.weight"] @ (r * v[i]))
            after[i] = (1 - z) * v[i] + z * candidate
        v = after
    v_n = v[session[-1]]
    s_g = np.zeros(D)
    for i in session:
        s_g += (w["q.weight"][0] @ sigmoid(w["W1.weight"] @ v_n + w["W1.bias"] + w["W2.weight"] @ v[i])) * v[i]
    return emb @ (w["W3.weight"] @ np.concatenate([v_n, s_g]))


def test_the_network_computes_the_papers_equations() -> None:
    for steps in (1, 2):
        torch.manual_seed(0)
        model = SRGNN(embedding=5, steps=steps)
        network = model.network(N_ITEMS).eval()
        weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
        expected = [numpy_scores(weights, one, steps) for one in SESSIONS]
        with torch.inference_mode():
            np.testing.assert_allclose(model.scores(network, batch(SESSIONS)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_learning_rate_falls_to_a_tenth_every_three_epochs() -> None:
    model = SRGNN(embedding=2)
    optimiser = model.optimiser(model.network(N_ITEMS))
    rates = []
    for epoch in range(1, 8):
        model.schedule(optimiser, epoch)
        rates.append(optimiser.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [1e-3] * 3 + [1e-4] * 3 + [1e-5])
