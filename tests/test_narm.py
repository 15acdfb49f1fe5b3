"""NARM against an evaluation of its equations in plain numpy, one click at a time."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.baselines.narm import NARM, Network
from reproduce.evaluation import devices
from reproduce.fitting.attention import collect
from reproduce.reading.sessions import Sessions

M = 9
PREFIXES = Sessions.of([[0], [1, 2], [3, 3, 4, 5], [8, 7, 6, 5, 4, 3, 2]], n_items=M)


def narm(fields: dict[str, Any]) -> NARM:
    model = catalog.make_recommender("narm", {"embedding": 4, "hidden": 3, "longest": 5, **fields})
    assert isinstance(model, NARM)
    return model


def untrained(fields: dict[str, Any]) -> NARM:
    """Return a model with random weights and biases, in evaluation mode and float64."""
    model = narm(fields)
    torch.manual_seed(1)
    model.network_ = model.network(M).double().eval()
    for parameter in model.network_.parameters():
        parameter.data = torch.randn_like(parameter)
    model.device_ = torch.device("cpu")
    return model


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def hard(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def states(w: dict[str, np.ndarray], clicks: np.ndarray, cell: str) -> np.ndarray:
    """Return h_1 .. h_t by the equations in the paper, or by those of torch's GRU."""
    h = np.zeros(3)
    out = []
    for item in clicks:
        x = w["emb.weight"][item]
        if cell == "torch":  # gates r, z, n; the reset gate acts after the product
            i_r, i_z, i_n = np.split(w["gru.gru.weight_ih_l0"] @ x + w["gru.gru.bias_ih_l0"], 3)
            h_r, h_z, h_n = np.split(w["gru.gru.weight_hh_l0"] @ h + w["gru.gru.bias_hh_l0"], 3)
            r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
            candidate = np.tanh(i_n + r * h_n)
            h = (1 - z) * candidate + z * h  # torch's z is the paper's 1 - z
        else:
            sigma = hard if cell == "authors" else sigmoid
            W_z, W_r, W = np.split(w["gru.W.weight"], 3)
            b_z, b_r, b = np.split(w["gru.W.bias"], 3)
            U_z, U_r = np.split(w["gru.U_zr.weight"], 2)
            z = sigma(W_z @ x + U_z @ h + b_z)
            r = sigma(W_r @ x + U_r @ h + b_r)
            candidate = np.tanh(W @ x + w["gru.U.weight"] @ (r * h) + b)
            h = (1 - z) * h + z * candidate
        out.append(h)
    return np.array(out)


def kept(model: NARM, clicks: np.ndarray) -> np.ndarray:
    return {"first": clicks[:5], "last": clicks[-5:], "none": clicks}[model.truncation]


def inside(model: NARM, clicks: np.ndarray) -> np.ndarray:
    """Return A_1 h_t + A_2 h_j of every kept click, (kept, H)."""
    w = {name: value.numpy() for name, value in model.network_.state_dict().items()}
    h = states(w, kept(model, clicks), model.cell)
    query = w["A1.weight"] @ h[-1] if model.attention_query == "h_t" else np.zeros(3)
    return np.array([query + w["A2.weight"] @ h_j for h_j in h])


def by_hand(model: NARM, clicks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of all items, (M,), and the attention over the kept clicks."""
    w = {name: value.numpy() for name, value in model.network_.state_dict().items()}
    h = states(w, kept(model, clicks), model.cell)
    alpha = np.zeros(len(h))
    parts = [h[-1]]
    if model.encoder != "global":
        sigma = hard if model.attention_sigmoid == "hard" else sigmoid
        q = np.array([w["v.weight"][0] @ sigma(x) for x in inside(model, clicks)])
        alpha = q if model.attention == "raw" else np.exp(q) / np.exp(q).sum()
        c_local = sum(a * h_j for a, h_j in zip(alpha, h, strict=True))
        parts = [c_local] if model.encoder == "local" else [h[-1], c_local]
    c = np.concatenate(parts)
    if model.decoder == "bilinear":
        return np.array([emb_i @ w["B.weight"] @ c for emb_i in w["emb.weight"]]), alpha
    return w["out.weight"] @ c + w["out.bias"], alpha


VARIANTS = [
    {"encoder": e, "decoder": d, "attention": a, "attention_sigmoid": s, "cell": c, "truncation": t}
    for e, d, a, s, c, t in [
        *itertools.product(
            ["hybrid", "global", "local"],
            ["bilinear", "fully-connected"],
            ["softmax", "raw"],
            ["smooth", "hard"],
            ["torch", "paper", "authors"],
            ["first"],
        ),
        ("hybrid", "bilinear", "softmax", "smooth", "torch", "last"),
        ("hybrid", "bilinear", "softmax", "smooth", "torch", "none"),
        ("hybrid", "bilinear", "softmax", "smooth", "authors", "none"),
    ]
] + [
    {"attention_query": "none"},
    {"attention_query": "none", "encoder": "local", "attention": "raw", "attention_sigmoid": "hard", "cell": "paper"},
]


@pytest.mark.parametrize("fields", VARIANTS, ids=lambda fields: "-".join(fields.values()))
def test_scores_and_attention_equal_the_equations_in_numpy(fields: dict[str, str]) -> None:
    model = untrained(fields)
    scores, attention = model.score(PREFIXES).numpy(), model.extras(PREFIXES)["attention"]
    for i in range(len(PREFIXES)):
        expected, alpha = by_hand(model, PREFIXES[i])
        np.testing.assert_allclose(scores[i], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(attention[i, : len(alpha)], alpha, rtol=1e-10, atol=1e-12)
        assert not attention[i, len(alpha) :].any()


def test_the_loss_is_the_cross_entropy_of_the_scores() -> None:
    for decoder in ("bilinear", "fully-connected"):
        model = untrained({"decoder": decoder})
        batch = model.as_batch(PREFIXES)
        labels = torch.tensor([3, 1, 4, 1])
        loss = model.loss(model.network_, type(batch)(batch.items, batch.lengths, labels))
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(model.score(PREFIXES), labels))


@pytest.mark.parametrize("cell", ["torch", "paper", "authors"])
def test_softmax_attention_is_positive_sums_to_one_and_ignores_padding(cell: str) -> None:
    model = untrained({"cell": cell})
    weights = model.extras(PREFIXES)["attention"]  # (4, 5)
    kept = np.minimum(PREFIXES.lengths, 5)
    valid = np.arange(5) < kept[:, None]
    assert (weights[valid] > 0).all()
    assert (weights[~valid] == 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    alone = model.extras(PREFIXES.take(np.array([1])))["attention"]
    np.testing.assert_allclose(alone[0], weights[1, :2], rtol=1e-12)


@pytest.mark.parametrize("cell", ["torch", "paper", "authors"])
@pytest.mark.parametrize("attention", ["softmax", "raw"])
def test_with_padding_computed_as_on_cuda_nothing_changes(
    monkeypatch: pytest.MonkeyPatch, cell: str, attention: str
) -> None:
    """Compare scores, attention, loss and all gradients of what runs on CUDA with those of what runs on a CPU."""
    model = untrained({"cell": cell, "attention": attention})
    some = PREFIXES.take(np.array([0, 1, 2]))  # all shorter than five clicks, a batch's width on CUDA
    found = []
    for computed in (False, True):
        monkeypatch.setattr(devices, "as_cuda", lambda device, computed=computed: computed)
        batch = model.as_batch(some)
        assert batch.items.shape == (3, 5 if computed else 4)
        loss = model.loss(model.network_, replace(batch, labels=torch.tensor([3, 1, 4])))
        gradients = torch.autograd.grad(loss, list(model.network_.parameters()))
        weights = torch.as_tensor(model.extras(some)["attention"][:, :4])
        found.append((model.score(some), weights, loss.detach(), *gradients))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("fields", [{}, {"attention_query": "none"}, {"cell": "authors", "truncation": "last"}])
def test_units_count_as_saturated_where_a_hard_sigmoid_is_constant(fields: dict[str, str]) -> None:
    for sigma in ("hard", "smooth"):
        model = untrained({**fields, "attention_sigmoid": sigma})
        model.network_.A2.weight.data *= 5  # type: ignore[union-attr]
        found = model.extras(PREFIXES)["saturated"]
        shares = []
        for i in range(len(PREFIXES)):
            constant = (hard(inside(model, PREFIXES[i])) % 1 == 0).mean(1)  # at 0 or at 1
            np.testing.assert_allclose(found[i, : len(constant)], constant, rtol=0, atol=1e-12)
            assert not found[i, len(constant) :].any()
            shares += constant.tolist()
        assert 0 < np.mean(shares) < 1


def test_the_record_keeps_the_share_of_saturated_units_over_all_clicks_of_all_test_prefixes() -> None:
    model = untrained({"attention_sigmoid": "hard"})
    model.network_.A2.weight.data *= 5  # type: ignore[union-attr]
    test = Sessions.of([[0, 1], [3, 3, 4, 5], [8, 7, 6, 5, 4, 3, 2]], n_items=M)
    clicks = [[0], [3], [3, 3], [3, 3, 4], [8], [8, 7], [8, 7, 6], [8, 7, 6, 5], [8, 7, 6, 5, 4], [8, 7, 6, 5, 4]]
    units = np.concatenate([inside(model, np.array(one)) for one in clicks])  # a prefix keeps its first five clicks
    found = collect(model, test, model.truncation)
    assert found is not None
    assert found.means["saturated"] == pytest.approx((np.abs(units) >= 2.5).mean(), abs=1e-6)


def test_a_model_without_a_local_encoder_has_no_units_to_saturate() -> None:
    model = untrained({"encoder": "global"})
    assert set(model.extras(PREFIXES)) == {"attention"}
    found = collect(model, PREFIXES, model.truncation)
    assert found is not None
    assert "saturated" not in found.means


def test_in_the_linear_range_of_a_hard_sigmoid_the_attention_is_blind_to_the_query() -> None:
    seeing, blind = untrained({"attention_sigmoid": "hard"}), untrained({"attention_query": "none"})
    blind.network_.sigma = seeing.network_.sigma
    drawn = {name: value.clone() for name, value in seeing.network_.state_dict().items()}
    for scale, same in ((0.1, True), (4.0, False)):
        weights = {**drawn, **{name: scale * drawn[name] for name in ("A1.weight", "A2.weight")}}
        seeing.network_.load_state_dict(weights)
        blind.network_.load_state_dict({name: value for name, value in weights.items() if name != "A1.weight"})
        one, other = seeing.extras(PREFIXES), blind.extras(PREFIXES)
        assert np.allclose(one["attention"], other["attention"], rtol=1e-12, atol=1e-14) == same
        assert one["saturated"].any() != same


def test_attention_is_computed_with_deterministic_algorithms() -> None:
    model = untrained({})
    found: list[bool] = []
    model.network_.A2.register_forward_hook(lambda *_: found.append(torch.are_deterministic_algorithms_enabled()))  # type: ignore[union-attr]
    model.extras(PREFIXES)
    assert found and all(found)


def test_first_and_last_truncation_differ_only_on_longer_prefixes() -> None:
    first, last = untrained({"truncation": "first"}), untrained({"truncation": "last"})
    last.network_ = first.network_
    one, other = first.score(PREFIXES), last.score(PREFIXES)
    torch.testing.assert_close(one[:3], other[:3], rtol=0, atol=0)
    assert not torch.allclose(one[3], other[3])


def test_parameters_are_as_many_as_the_papers_equations_have() -> None:
    for cell, extra in (("authors", 0), ("paper", 0), ("torch", 300)):  # torch's GRU has a second bias vector, 3 H
        model = catalog.make_recommender("narm", {"cell": cell})
        assert isinstance(model, NARM)
        assert sum(p.numel() for p in model.network(1_000).parameters()) == 75_400 + 50 * 1_000 + extra


@pytest.mark.parametrize(("embedding", "hidden"), [(50, 100), (8, 6)])
def test_the_decoders_have_2HD_and_2Hm_weights_as_the_paper_counts(embedding: int, hidden: int) -> None:
    """Section 3.4 of the paper, which does not count the bias of the fully connected decoder."""
    m, sizes = 1_000, []
    for decoder, weight in (("bilinear", "B.weight"), ("fully-connected", "out.weight")):
        model = catalog.make_recommender("narm", {"decoder": decoder, "embedding": embedding, "hidden": hidden})
        assert isinstance(model, NARM)
        weights = {name: value.numel() for name, value in model.network(m).named_parameters()}
        sizes.append((weights[weight], sum(weights.values())))
    (bilinear, with_bilinear), (full, with_full) = sizes
    assert (bilinear, full) == (2 * hidden * embedding, 2 * hidden * m)
    assert with_full - with_bilinear == full + m - bilinear  # nothing else differs


@pytest.mark.parametrize("cell", ["torch", "paper", "authors"])
def test_the_authors_initialisation_has_the_standard_deviations_of_their_rule(cell: str) -> None:
    torch.manual_seed(0)
    for decoder in ("bilinear", "fully-connected"):
        model = catalog.make_recommender("narm", {"cell": cell, "decoder": decoder})
        assert isinstance(model, NARM)
        weights = dict(model.network(2_000).named_parameters())
        expected = {"emb.weight": (2 / 2_000) ** 0.5, "A1.weight": 0.1414, "A2.weight": 0.1414, "v.weight": 1.414}
        expected |= {"B.weight": 0.2} if decoder == "bilinear" else {"out.weight": (2 / 200) ** 0.5}
        expected |= {"gru.gru.weight_ih_l0" if cell == "torch" else "gru.W.weight": 0.2}
        for name, sd in expected.items():
            assert float(weights[name].detach().std()) == pytest.approx(sd, rel=0.2 if name == "v.weight" else 0.05)
        names = ("gru.gru.weight_hh_l0",) if cell == "torch" else ("gru.U_zr.weight", "gru.U.weight")
        for gate in torch.cat([weights[name] for name in names]).split(100):
            torch.testing.assert_close(gate @ gate.T, torch.eye(100), rtol=0, atol=1e-5)
        assert all(not p.any() for name, p in weights.items() if "bias" in name)


def test_dropout_lies_on_the_input_of_the_gru_and_on_the_session_and_nowhere_else() -> None:
    network = narm({"embedding_dropout": 0.25, "session_dropout": 0.5}).network(M)
    assert {name: module.p for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout)} == {
        "input_dropout": 0.25,
        "session_dropout": 0.5,
    }


def test_the_decoder_sees_the_undropped_embeddings() -> None:
    network = narm({"embedding_dropout": 0.99}).network(M).train()
    assert isinstance(network, Network)
    _, rows, _ = network.decode(torch.zeros(2, 6))
    assert rows is network.emb.weight
