"""SASRec: the network against its equations in plain numpy, and training at all positions of a session in one pass."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce.baselines.sasrec import Network, Passes, SASRec
from reproduce.reading.sessions import Sessions

CPU = torch.device("cpu")
N_ITEMS = 7
LISTS = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=9), min_size=1, max_size=6)


def untrained(**fields: int) -> tuple[SASRec, Network, dict[str, np.ndarray]]:
    torch.manual_seed(0)
    model = SASRec(**{"width": 4, "heads": 2, "longest": 5, "layers": 2, "batch": 3, **fields})
    network = model.network(N_ITEMS).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    model.device_, model.network_ = CPU, network
    return model, network, {name: value.detach().numpy() for name, value in network.named_parameters()}


def norm(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def by_numpy(w: dict[str, np.ndarray], session: list[int], heads: int, longest: int, layers: int) -> np.ndarray:
    """Return LN(x_i) at every position of one session, (T, D), position by position and head by head."""
    session = session[-longest:]
    x = [w["emb.weight"][item] + w["place.weight"][i] for i, item in enumerate(session)]

    def linear(name: str, value: np.ndarray) -> np.ndarray:
        return w[f"{name}.weight"] @ value + w[f"{name}.bias"]

    for layer in range(layers):
        block = f"blocks.{layer}."
        new = []
        for i in range(len(session)):
            q = norm(x[i], w, block + "attention_norm")
            asked = linear(block + "query", q)
            size = len(asked) // heads
            read = np.zeros_like(asked)
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                keys = [linear(block + "key", x[j])[part] for j in range(i + 1)]
                values = [linear(block + "value", x[j])[part] for j in range(i + 1)]
                weight = np.exp([asked[part] @ key / math.sqrt(size) for key in keys])
                read[part] = sum(a * v for a, v in zip(weight / weight.sum(), values, strict=True))
            h = q + linear(block + "out", read)
            z = norm(h, w, block + "feed_norm")
            new.append(z + linear(block + "W2", np.maximum(linear(block + "W1", z), 0)))
        x = new
    return np.array([norm(one, w, "last_norm") for one in x])


@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (2, 2)])
def test_scores_equal_the_equations_in_numpy(heads: int, layers: int) -> None:
    model, _, w = untrained(heads=heads, layers=layers)
    sessions = [[3], [2, 5, 2], [6, 0, 1, 4, 1, 2, 3]]
    found = model.score(Sessions.of(sessions, N_ITEMS)).numpy()
    for row, session in zip(found, sessions, strict=True):
        state = by_numpy(w, session, heads, 5, layers)[-1]
        np.testing.assert_allclose(row, w["emb.weight"] @ state, rtol=1e-9, atol=1e-12)


@settings(max_examples=60)
@given(LISTS, st.sampled_from(["first", "last"]))
def test_every_position_of_every_session_is_passed_once_with_the_click_after_it(
    lists: list[list[int]], truncation: str
) -> None:
    model, _, _ = untrained()
    model.validation, model.truncation = "none", truncation  # type: ignore[assignment]
    training, held_out, _ = model.part(Sessions.of(lists, N_ITEMS), np.random.default_rng(0), CPU)
    assert len(held_out) == 0
    torch.manual_seed(1)
    found = []
    for passes in model.batches(training):
        for place, target in zip(passes.positions.tolist(), passes.targets.tolist(), strict=True):
            row, step = divmod(place, passes.batch.items.shape[1])
            assert step < int(passes.batch.lengths[row])
            found.append((tuple(passes.batch.items[row, : step + 1].tolist()), target))
    kept = [s[-6:] if truncation == "last" else s[:6] for s in lists]  # at most 5 clicks with a next one
    assert sorted(found) == sorted((tuple(s[:i]), s[i]) for s in kept for i in range(1, len(s)))


def test_the_loss_is_the_mean_cross_entropy_over_all_positions() -> None:
    model, network, w = untrained()
    model.validation = "none"
    lists = [[3, 1, 2], [6, 0], [4, 4, 4, 1, 0, 2, 2, 5]]
    training, _, _ = model.part(Sessions.of(lists, N_ITEMS), np.random.default_rng(0), CPU)
    (passes,) = model.batches(training)
    assert isinstance(passes, Passes) and len(passes) == 2 + 1 + 5
    losses = []
    for session in ([3, 1, 2], [6, 0], [4, 1, 0, 2, 2, 5]):
        for state, target in zip(by_numpy(w, session[:-1], 2, 5, 2), session[1:], strict=True):
            scores = w["emb.weight"] @ state
            losses.append(math.log(np.exp(scores).sum()) - scores[target])
    assert float(model.loss(network, passes).detach()) == pytest.approx(np.mean(losses), rel=1e-9)


def test_whole_sessions_are_held_out() -> None:
    log = Sessions.of([[i, i, i] for i in range(20)])
    training, held_out, labels = SASRec().part(log, np.random.default_rng(0), CPU)
    assert len(set(labels.tolist())) == 2 and len(held_out) == 4 and len(training) == 18
