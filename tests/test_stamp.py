"""STAMP: both forms against their equations in plain numpy; the training of the authors' code in small steps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce.baselines.stamp import STAMP
from reproduce.fitting.batches import Batch
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

N_ITEMS = 7
SESSIONS = [[3], [2, 5, 2], [6, 0, 1, 4]]
CPU = torch.device("cpu")


def batch(sessions: list[list[int]]) -> Batch:
    width = max(map(len, sessions))
    items = torch.tensor([one + [0] * (width - len(one)) for one in sessions])
    return Batch(items, torch.tensor([len(one) for one in sessions]), torch.arange(len(sessions)) % N_ITEMS)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def papers_scores(w: dict[str, np.ndarray], session: list[int], norm: float) -> np.ndarray:
    """Return the scores by the paper's equations, click by click."""
    x = np.array([cut(w["emb.weight"][item], norm) for item in session])
    m_s, m_t = x.mean(0), x[-1]
    m_a = np.zeros(x.shape[1])
    for x_j in x:
        inner = w["W1.weight"] @ x_j + w["W2.weight"] @ m_t + w["W3.weight"] @ m_s + w["W1.bias"]
        m_a += (w["w0.weight"][0] @ sigmoid(inner)) * x_j
    h_s = np.tanh(w["A.weight"] @ m_a + w["A.bias"])
    h_t = np.tanh(w["B.weight"] @ m_t + w["B.bias"])
    return np.array([(h_s * h_t * candidate).sum() for candidate in w["emb.weight"]])


def codes_scores(w: dict[str, np.ndarray], session: list[int], norm: float) -> np.ndarray:
    """Return the scores by the authors' code's equations, all clicks at once: rows times matrices, and no biases."""
    x = w["emb.weight"][session]
    if norm:
        x = x * np.minimum(1, norm / np.sqrt((x**2).sum(1, keepdims=True)))
    mean, last = x.mean(0), x[-1]
    alpha = sigmoid(x @ w["W1.weight"].T + last @ w["W2.weight"].T + mean @ w["W3.weight"].T) @ w["w0.weight"].T
    read = alpha[:, 0] @ x + mean
    return (np.tanh(read @ w["A.weight"].T) * np.tanh(last @ w["B.weight"].T)) @ w["emb.weight"].T


def cut(vector: np.ndarray, norm: float) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector * norm / length if norm and length > norm else vector


ORACLES = {"paper": papers_scores, "code": codes_scores}


def scores(form: str, norm: float, sessions: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores by the network and by the oracle, from the same random weights and biases."""
    torch.manual_seed(0)
    model = STAMP(embedding=5, form=form, embedding_norm=norm)  # type: ignore[arg-type]
    network = model.network(N_ITEMS).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)  # embeddings of length 1.5 or so
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    with torch.inference_mode():
        found = model.scores(network, batch(sessions)).numpy()
    return found, np.array([ORACLES[form](weights, one, norm) for one in sessions])


@pytest.mark.parametrize("form", ["paper", "code"])
@pytest.mark.parametrize("norm", [0.0, 1.0, 1.5])
def test_the_network_computes_the_equations_of_its_form(form: str, norm: float) -> None:
    found, expected = scores(form, norm, SESSIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["paper", "code"])
@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=9), min_size=1, max_size=4))
def test_on_any_session_too(form: str, sessions: list[list[int]]) -> None:
    for norm in (0.0, 1.0):
        found, expected = scores(form, norm, sessions)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_only_embeddings_longer_than_the_norm_are_shortened_and_no_candidate_is() -> None:
    same, _ = scores("code", 0.0, SESSIONS)
    shorter, _ = scores("code", 1.0, SESSIONS)
    longer, _ = scores("code", 100.0, SESSIONS)
    assert not np.allclose(same, shorter)
    np.testing.assert_allclose(longer, same, rtol=1e-12)


def gradients(**fields: Any) -> tuple[float, STAMP, torch.nn.Module]:
    torch.manual_seed(0)
    model = STAMP(embedding=5, init=0.5, embedding_init=0.5, **fields)
    network = model.network(N_ITEMS).double()
    loss = model.loss(network, batch(SESSIONS))
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), model, network


def test_with_a_gradient_norm_the_loss_is_the_mean_and_its_gradient_the_sums() -> None:
    mean, _, network = gradients()
    value, _, summed = gradients(gradient_norm=1e6)
    assert value == pytest.approx(mean, rel=1e-12)
    for one, other in zip(network.parameters(), summed.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(other.grad, 3 * one.grad, rtol=1e-10, atol=1e-12)


def test_every_tensors_gradient_is_cut_by_itself_before_the_step() -> None:
    _, _, network = gradients(gradient_norm=1e6)
    lengths = [float(one.grad.norm()) for one in network.parameters() if one.grad is not None]
    norm = float(np.median(lengths))  # some gradients are longer, some are not
    assert min(lengths) < norm < max(lengths)
    _, model, stepped = gradients(gradient_norm=norm)
    model.optimiser(stepped).step()
    for one, other in zip(network.parameters(), stepped.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(other.grad, torch.as_tensor(cut(one.grad.flatten().numpy(), norm)).view_as(one.grad))


logs = st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=6), min_size=1, max_size=12)


@settings(max_examples=60)
@given(logs, st.integers(1, 4), st.sampled_from(["none", "first", "last"]))
def test_a_batch_has_sessions_of_one_length_and_their_prefixes_of_one_length(
    lists: list[list[int]], most: int, truncation: str
) -> None:
    # Each click encodes its session and place, so that a batch can be traced back.
    named = [[100 * i + place for place in range(len(one))] for i, one in enumerate(lists)]
    train = Sessions.of(named, n_items=1300)
    model = STAMP(batch=most, batching="one-length", truncation=truncation, longest=3, validation_share=0.2)  # type: ignore[arg-type]
    training, held_out, _ = model.part(train, np.random.default_rng(0), CPU)
    torch.manual_seed(0)
    seen, turns = [], []  # labels; the length of the sessions of each batch
    for one in model.batches(training):
        assert 1 <= len(one) <= most
        labels = one.labels.tolist()  # the click after the whole prefix
        lengths = {len(lists[label // 100]) for label in labels}
        assert len(lengths) == len(set(one.lengths.tolist())) == 1
        if truncation == "none":
            assert {label % 100 for label in labels} == set(one.lengths.tolist())
        turns.append(lengths.pop())
        seen += labels
    held = set(zip(held_out.starts.tolist(), held_out.stops.tolist(), strict=True))
    prefixes, following = train.prefixes()
    spans = zip(prefixes.starts.tolist(), prefixes.stops.tolist(), following.tolist(), strict=True)
    assert sorted(seen) == sorted(label for start, stop, label in spans if (start, stop) not in held)
    lengths_in_turn = [length for length, _ in itertools.groupby(turns)]
    assert len(set(lengths_in_turn)) == len(lengths_in_turn)  # no length comes back after another


def test_sessions_go_batch_by_batch_each_from_its_shortest_prefix_to_its_longest() -> None:
    train = Sessions.of([[100 * i + place for place in range(4)] for i in range(5)], n_items=500)
    model = STAMP(batch=2, batching="one-length", validation_share=0.001)
    training, _, _ = model.part(train, np.random.default_rng(0), CPU)
    torch.manual_seed(0)
    orders = [[one.labels.tolist() for one in model.batches(training)] for _ in range(2)]
    for order in orders:
        for places in range(0, len(order), 3):  # a group of sessions has three prefixes each
            group = order[places : places + 3]
            assert [[label % 100 for label in labels] for labels in group] == [[n] * len(group[0]) for n in (1, 2, 3)]
            assert len({frozenset(label // 100 for label in labels) for labels in group}) == 1
    assert orders[0] != orders[1]  # drawn anew in every epoch


def test_the_authors_code_can_be_fitted_and_learns_a_cycle() -> None:
    cycle = Sessions.of([[(i + step) % N_ITEMS for step in range(2 + i % 4)] for i in range(200)], n_items=N_ITEMS)
    theirs = STAMP(form="code", embedding_norm=1.0, gradient_norm=150.0, batching="one-length", learning_rate=0.003)
    model = replace(theirs, embedding=16, batch=8, epochs=10)
    model.fit(cycle, seed=0, device=CPU, journal=Journal())
    assert model.score(Sessions.of([[5], [0, 1, 2]], n_items=N_ITEMS)).argmax(1).tolist() == [6, 3]
