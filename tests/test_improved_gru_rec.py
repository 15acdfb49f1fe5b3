"""Improved GRU-Rec: its equations in plain numpy, and clicks dropped from a prefix as by a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproduce.baselines.improved_gru_rec import ImprovedGRURec, drop_clicks
from reproduce.evaluation import devices
from reproduce.fitting.batches import Batch
from reproduce.reading.sessions import Sessions

PREFIXES = Sessions.of([[3], [2, 5, 2], [6, 0, 1, 4]], n_items=7)


def padded(lists: list[list[int]]) -> Batch:
    width = max(map(len, lists))
    items = torch.tensor([one + [0] * (width - len(one)) for one in lists])
    return Batch(items, torch.tensor([len(one) for one in lists]), torch.zeros(len(lists), dtype=torch.int64))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_scores_equal_the_equations_in_numpy() -> None:
    torch.manual_seed(0)
    model = ImprovedGRURec(embedding=4, hidden=3)
    model.device_ = torch.device("cpu")
    model.network_ = model.network(7).double().eval()
    for parameter in model.network_.parameters():
        parameter.data = torch.randn_like(parameter)
    w = {name: value.numpy() for name, value in model.network_.state_dict().items()}
    for i, found in enumerate(model.score(PREFIXES).numpy()):
        h = np.zeros(3)
        for item in PREFIXES[i]:
            i_r, i_z, i_n = np.split(w["gru.weight_ih_l0"] @ w["emb.weight"][item] + w["gru.bias_ih_l0"], 3)
            h_r, h_z, h_n = np.split(w["gru.weight_hh_l0"] @ h + w["gru.bias_hh_l0"], 3)
            z = sigmoid(i_z + h_z)
            h = (1 - z) * np.tanh(i_n + sigmoid(i_r + h_r) * h_n) + z * h
        np.testing.assert_allclose(found, w["out.weight"] @ h + w["out.bias"], rtol=1e-10)


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=6), min_size=1, max_size=5))
def test_dropped_clicks_leave_the_rest_in_order_and_never_nothing(rows: list[list[tuple[int, bool]]]) -> None:
    batch = padded([[item for item, _ in row] for row in rows])
    marks = padded([[int(mark) for _, mark in row] for row in rows]).items.bool()
    shorter = drop_clicks(batch, marks)
    for i, row in enumerate(rows):
        expected = [item for place, (item, mark) in enumerate(row) if not mark or place == len(row) - 1]
        assert shorter.items[i, : shorter.lengths[i]].tolist() == expected


def test_no_click_is_dropped_from_what_is_scored() -> None:
    model = ImprovedGRURec(embedding=4, hidden=3, click_dropout=0.99)
    model.device_ = torch.device("cpu")
    model.network_ = model.network(7).eval()
    torch.testing.assert_close(model.score(PREFIXES), model.score(PREFIXES), rtol=0, atol=0)


def test_the_loss_without_dropout_is_the_cross_entropy_of_the_scores() -> None:
    model = ImprovedGRURec(embedding=4, hidden=3, click_dropout=0.0, session_dropout=0.0)
    network = model.network(7)
    batch = padded(PREFIXES.lists())
    expected = torch.nn.functional.cross_entropy(model.scores(network, batch), batch.labels)
    torch.testing.assert_close(model.loss(network, batch), expected)


def test_with_padding_computed_as_on_cuda_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ImprovedGRURec(embedding=4, hidden=3, click_dropout=0.4, session_dropout=0.0)
    torch.manual_seed(0)
    network = model.network(7).double()
    batch = padded(PREFIXES.lists())
    found = []
    for computed in (False, True):
        monkeypatch.setattr(devices, "as_cuda", lambda device, computed=computed: computed)
        torch.manual_seed(1)  # so that the same clicks are dropped
        loss = model.loss(network, batch)
        found.append((loss.detach(), *torch.autograd.grad(loss, list(network.parameters()))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)
