"""SR-GNN: its graph by hand, its network against its equations in plain numpy, its learning rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce.baselines.sr_gnn import SRGNN, graph
from reproduce.fitting.batches import Batch

N_ITEMS = 7
SESSIONS = [[3], [2, 5, 2, 5, 1], [6, 6, 0], [1, 2, 3, 1, 4, 2]]


def batch(sessions: list[list[int]]) -> Batch:
    width = max(map(len, sessions))
    items = torch.tensor([one + [0] * (width - len(one)) for one in sessions])
    return Batch(items, torch.tensor([len(one) for one in sessions]), torch.empty(0, dtype=torch.int64))


def test_the_graph_of_a_session_by_hand() -> None:
    # Clicks 2 5 2 5 1: the edges are 2->5 twice, 5->2 once, 5->1 once. The nodes lie at the places 0, 1 and 4.
    node, clicks, out, into = graph(batch([[2, 5, 2, 5, 1], [0, 0]]), binary=False, dtype=torch.float32)
    assert node[0].tolist() == [0, 1, 0, 1, 4]
    assert clicks.tolist() == [[2, 2, 0, 0, 1], [2, 0, 0, 0, 0]]
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


def test_a_repeated_transition_counts_each_time_or_once() -> None:
    # Clicks 2 5 2 5 2 1: item 2 leads twice to 5 and once to 1, item 5 twice to 2. The nodes lie at the places 0, 1, 5.
    for binary, to_5 in ((False, 2 / 3), (True, 1 / 2)):
        _, _, out, into = graph(batch([[2, 5, 2, 5, 2, 1]]), binary=binary, dtype=torch.float64)
        np.testing.assert_allclose(out[0, 0], [0, to_5, 0, 0, 0, 1 - to_5], rtol=1e-12)
        np.testing.assert_allclose(into[0, 0], [0, 1, 0, 0, 0, 0], rtol=1e-12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def papers_scores(w: dict[str, np.ndarray], session: list[int], steps: int, edges_are: str) -> np.ndarray:
    """Return the scores by the paper's equations, node by node."""
    emb = w["emb.weight"]
    D = emb.shape[1]
    nodes = sorted(set(session))
    edges = {(i, j): 0 for i in nodes for j in nodes}
    for i, j in itertools.pairwise(session):
        edges[i, j] = 1 if edges_are == "binary" else edges[i, j] + 1
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


def codes_scores(w: dict[str, np.ndarray], session: list[int], steps: int, edges_are: str) -> np.ndarray:
    """Return the scores by the equations of the authors' code, for all nodes at once, in its own terms.

    Its cell is a GRU's: gates i, r and n come from the messages and, separately, from the states; h' = n + i (h - n).
    """
    nodes, place = np.unique(session, return_inverse=True)
    A = np.zeros((len(nodes), len(nodes)))
    for i, j in itertools.pairwise(place):
        A[i, j] = 1 if edges_are == "binary" else A[i, j] + 1
    A_out = A / np.where(A.sum(1) == 0, 1, A.sum(1))[:, None]
    A_in = (A / np.where(A.sum(0) == 0, 1, A.sum(0))).T
    v = w["emb.weight"][nodes]  # (nodes, D)
    D = v.shape[1]
    for _ in range(steps):
        H = v @ w["H.weight"].T + w["H.bias"]
        a = np.concatenate([A_out @ H[:, :D], A_in @ H[:, D:]], 1) + w["b"]
        from_a = a @ w["W_zro.weight"].T + w["W_zro.bias"]
        from_zr, from_o = v @ w["U_zr.weight"].T + w["U_zr.bias"], v @ w["U_o.weight"].T + w["U_o.bias"]
        i = sigmoid(-from_a[:, :D] - from_zr[:, :D])  # 1 - z
        r = sigmoid(from_a[:, D : 2 * D] + from_zr[:, D:])
        n = np.tanh(from_a[:, 2 * D :] + r * from_o)
        v = n + i * (v - n)
    clicked = v[place]  # (clicks, D)
    q1 = clicked[-1] @ w["W1.weight"].T + w["W1.bias"]
    q2 = clicked @ w["W2.weight"].T + w["W2.bias"]
    s_g = (sigmoid(q1 + q2) @ w["q.weight"].T * clicked).sum(0)
    return w["emb.weight"] @ (w["W3.weight"] @ np.concatenate([clicked[-1], s_g]) + w["W3.bias"])


ORACLES = {"paper": papers_scores, "code": codes_scores}
sessions_drawn = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=9), min_size=1, max_size=4)


def scores(form: str, edges: str, steps: int, sessions: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores by the network and by the oracle, from the same random weights."""
    torch.manual_seed(0)
    model = SRGNN(embedding=5, steps=steps, form=form, edges=edges)  # type: ignore[arg-type]
    network = model.network(N_ITEMS).double().eval()
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    with torch.inference_mode():
        found = model.scores(network, batch(sessions)).numpy()
    return found, np.array([ORACLES[form](weights, one, steps, edges) for one in sessions])


@pytest.mark.parametrize("form", ["paper", "code"])
@pytest.mark.parametrize("edges", ["counted", "binary"])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_network_computes_the_equations_of_its_form(form: str, edges: str, steps: int) -> None:
    found, expected = scores(form, edges, steps, SESSIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["paper", "code"])
@settings(max_examples=40)
@given(sessions_drawn)
def test_on_any_session_too(form: str, sessions: list[list[int]]) -> None:
    for edges in ("counted", "binary"):
        found, expected = scores(form, edges, 2, sessions)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_two_kinds_of_edges_agree_until_a_transition_is_repeated() -> None:
    for form in ("paper", "code"):
        counted, binary = (
            scores(form, edges, 1, [[2, 5, 2, 1], [2, 5, 2, 5, 2, 1]])[0] for edges in ("counted", "binary")
        )
        np.testing.assert_allclose(counted[0], binary[0], rtol=1e-12)
        assert not np.allclose(counted[1], binary[1])


def test_the_learning_rate_falls_to_a_tenth_every_three_epochs() -> None:
    model = SRGNN(embedding=2)
    optimiser = model.optimiser(model.network(N_ITEMS))
    rates = []
    for epoch in range(1, 8):
        model.schedule(optimiser, epoch)
        rates.append(optimiser.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [1e-3] * 3 + [1e-4] * 3 + [1e-5])
