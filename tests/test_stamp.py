"""STAMP against its equations in plain numpy."""

from __future__ import annotations

import numpy as np
import torch

from reproduce.baselines.stamp import STAMP
from reproduce.fitting.neural import Batch

N_ITEMS = 7
SESSIONS = [[3], [2, 5, 2], [6, 0, 1, 4]]


def batch() -> Batch:
    width = max(map(len, SESSIONS))
    items = torch.tensor([one + [0] * (width - len(one)) for one in SESSIONS])
    return Batch(items, torch.tensor([len(one) for one in SESSIONS]), torch.empty(0, dtype=torch.int64))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def numpy_scores(w: dict[str, np.ndarray], session: list[int]) -> np.ndarray:
    x = w["emb.weight"][session]
    m_s, m_t = x.mean(0), x[-1]
    m_a = np.zeros(x.shape[1])
    for x_j in x:
        inner = w["W1.weight"] @ x_j + w["W2.weight"] @ m_t + w["W3.weight"] @ m_s + w["W1.bias"]
        m_a += (w["w0.weight"][0] @ sigmoid(inner)) * x_j
    h_s = np.tanh(w["A.weight"] @ m_a + w["A.bias"])
    h_t = np.tanh(w["B.weight"] @ m_t + w["B.bias"])
    return np.array([(h_s * h_t * candidate).sum() for candidate in w["emb.weight"]])


def test_the_network_computes_the_papers_equations() -> None:
    torch.manual_seed(0)
    model = STAMP(embedding=5, embedding_init=1.0, init=0.5)
    network = model.network(N_ITEMS).eval()
    torch.nn.init.normal_(network.A.bias)
    torch.nn.init.normal_(network.W1.bias)
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    expected = [numpy_scores(weights, one) for one in SESSIONS]
    with torch.inference_mode():
        np.testing.assert_allclose(model.scores(network, batch()).numpy(), expected, rtol=1e-4, atol=1e-5)
