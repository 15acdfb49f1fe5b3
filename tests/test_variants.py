"""The variants of NARM: what each changes, seen in what the model computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.baselines.narm import NARM
from reproduce.paper import numbers
from reproduce.reading.sessions import Sessions
from reproduce.reports.ablation import PAPERS, VARIANTS
from reproduce.runs.experiment import Experiment

H, M = 3, 40


def test_the_papers_variants_run_by_default_the_whole_model_first() -> None:
    assert PAPERS == ("hybrid", "global-only", "local-only", "fc-decoder")
    assert set(PAPERS) <= set(VARIANTS)
    assert catalog.make_recommender("narm", VARIANTS["hybrid"].fields) == catalog.make_recommender("narm")


def test_a_variant_with_50_units_is_its_namesake_with_another_size_and_the_paper_has_both() -> None:
    halved = [name for name in VARIANTS if name.endswith("-50")]
    assert len(halved) == 3
    for name in halved:
        small, whole = (model(one).network(M) for one in (name, name.removesuffix("-50")))
        shapes = [{key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (small, whole)]
        assert shapes[0].keys() == shapes[1].keys()
        assert [one["gru.gru.weight_hh_l0"] for one in shapes] == [(150, 50), (300, 100)]
        assert shapes[0]["emb.weight"] == shapes[1]["emb.weight"]


def test_no_two_variants_share_a_record_and_the_first_keep_their_names() -> None:
    paths = [Experiment.of("cycle", "narm", one.fields).path for one in VARIANTS.values()]
    assert len(set(paths)) == len(paths)
    assert paths[:2] == ["runs/cycle/narm-seed0", "runs/cycle/narm,encoder=global-seed0"]


def test_the_published_numbers_are_those_of_tables_4_and_2() -> None:
    found = {name: one.published["DIGINETICA"] for name, one in VARIANTS.items() if one.published}
    assert {name: (one.recall, one.mrr) for name, one in found.items()} == {
        "hybrid": (62.58, 27.35),
        "global-only": (61.88, 26.51),
        "local-only": (61.71, 26.04),
        "fc-decoder": (57.84, 24.77),
        "hybrid-50": (61.73, 26.25),
        "global-only-50": (59.63, 23.52),
        "local-only-50": (58.74, 22.91),
    }


def test_table_5_leaves_to_prefixes_over_19_clicks_what_table_3_says_it_should() -> None:
    assert list(numbers.TABLE5) == list(range(1, 20))
    longer = 410  # of DIGINETICA's 60,858 test prefixes
    for i, label in enumerate(("Improved GRU-Rec", "NARM")):
        rest = numbers.TABLE3[label]["DIGINETICA"].recall / 100 * 60_858 - sum(
            pair[i] for pair in numbers.TABLE5.values()
        )
        assert 0.3 * longer < rest < 0.5 * longer  # a hit rate somewhat below that of 19 clicks, 70 or 75 of 105


def model(name: str, **fields: object) -> NARM:
    made = catalog.make_recommender("narm", {**VARIANTS[name].fields, **fields})
    assert isinstance(made, NARM)
    return made


def untrained(name: str) -> NARM:
    """Return a variant's small network with random weights, in evaluation mode and float64."""
    made = model(name, embedding=4, hidden=H)
    torch.manual_seed(1)
    made.network_ = made.network(M).double().eval()
    for parameter in made.network_.parameters():
        parameter.data = torch.randn_like(parameter)
    made.device_ = torch.device("cpu")
    return made


def prefixes(*lengths: int) -> Sessions:
    rng = np.random.default_rng(0)
    return Sessions.of([rng.integers(0, M, n).tolist() for n in lengths], n_items=M)


@pytest.mark.parametrize(("name", "half"), [("global-only", slice(0, H)), ("local-only", slice(H, 2 * H))])
def test_an_encoder_alone_is_the_hybrid_with_the_other_half_of_c_t_cut_off(name: str, half: slice) -> None:
    hybrid, alone = untrained("hybrid"), untrained(name)
    weights = hybrid.network_.state_dict()
    cut = torch.zeros_like(weights["B.weight"])  # (D, 2H)
    cut[:, half] = weights["B.weight"][:, half]
    kept = {key: value for key, value in weights.items() if key in alone.network_.state_dict()}
    alone.network_.load_state_dict({**kept, "B.weight": weights["B.weight"][:, half]})
    full = hybrid.score(prefixes(1, 4, 9))
    hybrid.network_.load_state_dict({**weights, "B.weight": cut})
    torch.testing.assert_close(alone.score(prefixes(1, 4, 9)), hybrid.score(prefixes(1, 4, 9)))
    assert not torch.allclose(alone.score(prefixes(1, 4, 9)), full)


def test_without_a_query_the_model_is_the_hybrid_with_A_1_set_to_0() -> None:
    hybrid, blind = untrained("hybrid"), untrained("no-query")
    weights = hybrid.network_.state_dict()
    blind.network_.load_state_dict({key: value for key, value in weights.items() if key != "A1.weight"})
    some = prefixes(1, 4, 9)
    assert not torch.allclose(blind.score(some), hybrid.score(some))
    hybrid.network_.load_state_dict({**weights, "A1.weight": torch.zeros(H, H)})
    torch.testing.assert_close(blind.score(some), hybrid.score(some))


def test_hard_attention_leaves_the_gates_of_the_cell_smooth() -> None:
    hybrid, hard = untrained("hybrid"), untrained("hard-attention")
    hard.network_.load_state_dict(hybrid.network_.state_dict())
    batch = hybrid.as_batch(prefixes(4, 9))
    for one, other in zip(hybrid.network_.states(batch), hard.network_.states(batch), strict=True):  # type: ignore[operator]
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.allclose(hard.score(prefixes(4, 9)), hybrid.score(prefixes(4, 9)))


def test_raw_attention_is_equation_7_and_its_softmax_is_the_authors() -> None:
    raw, softmax = untrained("raw-attention"), untrained("hybrid")
    softmax.network_.load_state_dict(raw.network_.state_dict())
    some = prefixes(5, 5)
    w = {key: value.numpy() for key, value in raw.network_.state_dict().items()}
    h = raw.network_.gru(raw.network_.emb(raw.as_batch(some).items), torch.tensor([5, 5])).detach().numpy()  # (2, 5, H)
    alpha = raw.extras(some)["attention"]
    for b in range(2):
        for j in range(5):
            inner = w["A1.weight"] @ h[b, -1] + w["A2.weight"] @ h[b, j]
            assert alpha[b, j] == pytest.approx(w["v.weight"][0] @ (1 / (1 + np.exp(-inner))), rel=1e-10)
    normal = np.exp(alpha) / np.exp(alpha).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax.extras(some)["attention"], normal, rtol=1e-10)


def test_first_19_last_19_and_all_clicks_agree_on_prefixes_up_to_19_and_on_no_longer_one() -> None:
    models = [untrained(name) for name in ("hybrid", "last-19", "no-truncation")]
    short, long = prefixes(1, 2, 18, 19), prefixes(20, 31)
    first, last, whole = ([one.score(some) for some in (short, long)] for one in models)
    for other in (last, whole):
        torch.testing.assert_close(other[0], first[0], rtol=0, atol=0)
    for one, other in ((first, last), (first, whole), (last, whole)):
        for row in range(2):
            assert not torch.allclose(one[1][row], other[1][row])


def test_last_19_of_a_long_prefix_is_the_prefix_of_its_last_19_clicks() -> None:
    last, long = untrained("last-19"), prefixes(31)
    torch.testing.assert_close(last.score(long), last.score(Sessions.of([long[0][-19:].tolist()], n_items=M)))


def test_the_fully_connected_decoder_scores_W_c_t_plus_b() -> None:
    full, bilinear = untrained("fc-decoder"), untrained("hybrid")
    weights = bilinear.network_.state_dict()
    W = weights["emb.weight"] @ weights["B.weight"]  # (M, 2H): with W and b, the two decoders differ by b alone
    b = torch.randn(M, dtype=torch.float64)
    kept = {key: value for key, value in weights.items() if key != "B.weight"}
    full.network_.load_state_dict({**kept, "out.weight": W, "out.bias": b})
    torch.testing.assert_close(full.score(prefixes(1, 4, 9)), bilinear.score(prefixes(1, 4, 9)) + b)


def test_the_authors_cell_is_their_equations_one_step_after_the_other() -> None:
    cell = untrained("authors-cell")
    w = {key: value.numpy() for key, value in cell.network_.state_dict().items()}
    some = prefixes(6)
    h = np.zeros(H)
    for item in some[0]:
        x = w["gru.W.weight"] @ w["emb.weight"][item] + w["gru.W.bias"]
        gates = np.clip(0.2 * (x[: 2 * H] + w["gru.U_zr.weight"] @ h) + 0.5, 0, 1)
        z, r = gates[:H], gates[H:]
        h = (1 - z) * h + z * np.tanh(x[2 * H :] + w["gru.U.weight"] @ (r * h))
    last, _ = cell.network_.states(cell.as_batch(some))  # type: ignore[operator]
    np.testing.assert_allclose(last[0].detach().numpy(), h, rtol=1e-10)


def test_the_initial_weights_of_torch_spread_as_torchs_and_not_as_the_authors() -> None:
    torch.manual_seed(0)
    networks = [model(name).network(2_000) for name in ("torch-init", "hybrid")]
    spreads = [float(one.state_dict()["emb.weight"].std()) for one in networks]
    assert spreads == pytest.approx([1.0, (2 / 2_000) ** 0.5], rel=0.02)


def test_validation_on_sessions_holds_all_prefixes_of_a_session_out_and_on_prefixes_does_not() -> None:
    log = Sessions.of([[4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3] for i in range(40)])  # an item tells its session
    whole = []
    for name in ("session-validation", "hybrid"):
        _, held_out, _ = model(name).part(log, np.random.default_rng(0), torch.device("cpu"))
        owners = np.bincount([int(prefix[0]) // 4 for prefix in held_out], minlength=40)
        assert len(held_out) == 12
        whole.append(set(owners.tolist()) == {0, 3})
    assert whole == [True, False]


def test_without_dropout_a_network_in_training_gives_what_it_gives_afterwards() -> None:
    same = []
    for name in ("no-dropout", "hybrid"):
        one = untrained(name)
        batch = one.as_batch(prefixes(4, 9))
        query, *_ = one.network_.train()(batch)
        after, *_ = one.network_.eval()(batch)
        same.append(torch.equal(query, after))
    assert same == [True, False]
