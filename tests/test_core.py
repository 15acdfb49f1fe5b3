"""CORE: both forms against their equations in plain numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from reproduce.baselines.core import CORE
from reproduce.errors import UsageError
from reproduce.fitting.batches import Batch
from reproduce.reading.sessions import Sessions

N_ITEMS = 7
SESSIONS = [[3], [2, 5, 2], [6, 0, 1, 4, 1, 2, 3]]
LONGEST = 5


def norm(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    return x * np.array([0.5 * (1 + math.erf(one / math.sqrt(2))) for one in x])


def logits(w: dict[str, np.ndarray], x: list[np.ndarray], heads: int, layers: int) -> np.ndarray:
    """Return w . F_i + b of every click, position by position and head by head."""
    y = [norm(one + w["weights.place.weight"][i], w, "weights.norm") for i, one in enumerate(x)]
    for layer in range(layers):
        name = f"weights.blocks.{layer}."
        in_w, in_b = w[name + "self_attn.in_proj_weight"], w[name + "self_attn.in_proj_bias"]
        q, k, v = zip(*(np.split(in_w @ one + in_b, 3) for one in y), strict=True)
        size = len(q[0]) // heads
        new = []
        for i in range(len(y)):
            read = np.zeros_like(q[i])
            for head in range(heads):
                at = slice(head * size, (head + 1) * size)
                share = np.exp([q[i][at] @ k[j][at] / math.sqrt(size) for j in range(i + 1)])
                read[at] = sum(s * v[j][at] for j, s in enumerate(share / share.sum()))
            out = w[name + "self_attn.out_proj.weight"] @ read + w[name + "self_attn.out_proj.bias"]
            z = norm(y[i] + out, w, name + "norm1")
            inner = gelu(w[name + "linear1.weight"] @ z + w[name + "linear1.bias"])
            new.append(norm(z + w[name + "linear2.weight"] @ inner + w[name + "linear2.bias"], w, name + "norm2"))
        y = new
    return np.array([w["weights.w.weight"][0] @ one + w["weights.w.bias"][0] for one in y])


@pytest.mark.parametrize("weights", ["transformer", "average"])
def test_scores_equal_the_equations_in_numpy(weights: Any) -> None:
    torch.manual_seed(0)
    model = CORE(embedding=6, heads=2, inner=5, layers=2, longest=LONGEST, weights=weights)
    network = model.network(N_ITEMS).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    model.device_, model.network_ = torch.device("cpu"), network
    w = {name: value.detach().numpy() for name, value in network.named_parameters()}
    found = model.score(Sessions.of(SESSIONS, N_ITEMS)).numpy()
    for row, session in zip(found, SESSIONS, strict=True):
        x = [w["emb.weight"][item] for item in session[-LONGEST:]]
        alpha = np.full(len(x), 1 / len(x))
        if weights == "transformer":
            alpha = np.exp(logits(w, x, 2, 2))
            alpha /= alpha.sum()
        h = sum(a * one for a, one in zip(alpha, x, strict=True))
        cosines = [h @ e / math.sqrt((h @ h) * (e @ e)) for e in w["emb.weight"]]
        np.testing.assert_allclose(row, np.array(cosines) / 0.07, rtol=1e-9, atol=1e-10)


def test_in_training_clicks_and_candidates_are_dropped_and_the_cosines_stay_cosines() -> None:
    torch.manual_seed(0)
    network = CORE(embedding=50).network(N_ITEMS).train()
    query, rows, bias = network(Batch(torch.tensor([[2, 5]]), torch.tensor([2]), torch.tensor([0])))
    assert bias is None
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(N_ITEMS))
    torch.testing.assert_close(query.norm(dim=1), torch.tensor([1 / 0.07]))
    dropped = (rows == 0).double().mean()
    assert 0.1 < float(dropped) < 0.3


def test_heads_that_do_not_divide_the_embedding_are_refused() -> None:
    with pytest.raises(UsageError, match=r"core.heads=3: must divide core.embedding, which is 100"):
        CORE(heads=3).network(N_ITEMS)
