"""The variants of NARM: the fields each sets, and the equation it changes."""

from __future__ import annotations

from typing import Any

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
FIELDS: dict[str, dict[str, Any]] = {
    "hybrid": {},
    "global-only": {"encoder": "global"},
    "local-only": {"encoder": "local"},
    "fc-decoder": {"decoder": "fully-connected"},
    "hybrid-50": {"hidden": 50},
    "global-only-50": {"encoder": "global", "hidden": 50},
    "local-only-50": {"encoder": "local", "hidden": 50},
    "raw-attention": {"attention": "raw"},
    "no-query": {"attention_query": "none"},
    "hard-attention": {"attention_sigmoid": "hard"},
    "authors-cell": {"cell": "authors", "attention_sigmoid": "hard"},
    "last-19": {"truncation": "last"},
    "no-truncation": {"truncation": "none"},
    "torch-init": {"init": "torch"},
    "session-validation": {"validation": "sessions"},
    "no-dropout": {"embedding_dropout": 0.0, "session_dropout": 0.0},
}


def test_the_variants_are_these_and_the_papers_run_by_default() -> None:
    assert list(VARIANTS) == list(FIELDS)
    assert PAPERS == ("hybrid", "global-only", "local-only", "fc-decoder")


@pytest.mark.parametrize("name", FIELDS)
def test_a_variant_sets_its_fields_and_leaves_all_others(name: str) -> None:
    resolved = catalog.resolved(catalog.make_recommender("narm", VARIANTS[name].fields))
    assert resolved == catalog.resolved(catalog.make_recommender("narm")) | FIELDS[name]


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


def untrained(name: str) -> NARM:
    """A variant's small network with random weights, in evaluation mode and float64."""
    fields = {**VARIANTS[name].fields, "embedding": 4, "hidden": H}
    model = catalog.make_recommender("narm", fields)
    assert isinstance(model, NARM)
    torch.manual_seed(1)
    model.network_ = model.network(M).double().eval()
    for parameter in model.network_.parameters():
        parameter.data = torch.randn_like(parameter)
    model.device_ = torch.device("cpu")
    return model


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
    first, last, whole = ([model.score(some) for some in (short, long)] for model in models)
    for other in (last, whole):
        torch.testing.assert_close(other[0], first[0], rtol=0, atol=0)
    for one, other in ((first, last), (first, whole), (last, whole)):
        for row in range(2):
            assert not torch.allclose(one[1][row], other[1][row])


def test_last_19_of_a_long_prefix_is_the_prefix_of_its_last_19_clicks() -> None:
    model, long = untrained("last-19"), prefixes(31)
    torch.testing.assert_close(model.score(long), model.score(Sessions.of([long[0][-19:].tolist()], n_items=M)))
