"""Every model of the catalogue keeps the contract; where a model breaks it, the rule is named."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.baselines.pop import Pop
from reproduce.errors import ModelError
from reproduce.fitting import contract
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

MODELS = sorted(catalog.recommenders())


@pytest.mark.parametrize("rule", contract.RULES.values(), ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_keeps_the_rule(name: str, rule: contract.Rule, cpu: torch.device) -> None:
    assert rule(partial(catalog.make_recommender, name), cpu) == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", MODELS)
def test_every_model_keeps_the_contract_on_a_gpu(name: str) -> None:
    assert contract.broken(partial(catalog.make_recommender, name), torch.device("cuda")) == []


@pytest.mark.parametrize("name", [name for name in MODELS if issubclass(catalog.recommender(name), Neural)])
def test_every_network_keeps_the_contract_computed_as_on_a_gpu(
    name: str, cpu: torch.device, as_cuda: Callable[[bool], None]
) -> None:
    as_cuda(True)
    assert contract.broken(partial(catalog.make_recommender, name), cpu) == []


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_products_with_the_vectors_of_items_where_a_model_has_them(name: str, cpu: torch.device) -> None:
    """What two prefixes' scores differ by is a combination of the vectors' columns: a bias would cancel."""
    train, test = contract.cycle()
    own = catalog.resolved(catalog.make_recommender(name))
    narrow = {"epochs": 1} | dict.fromkeys(("embedding", "hidden", "factors", "width"), 4)  # vectors span 4 directions
    model = catalog.make_recommender(name, {key: value for key, value in narrow.items() if key in own})
    model.fit(train, seed=0, device=cpu, journal=Journal())
    if not isinstance(model, Neural | Pairwise):
        with pytest.raises(ModelError, match="has no vectors of items"):
            model.item_vectors()
        return
    vectors = model.item_vectors().double().numpy()
    scores = model.score(test.prefixes()[0]).double().numpy()
    differences = (scores[1:] - scores[:-1]).T  # (m, n - 1)
    assert vectors.shape == (train.n_items, 4)
    rest = differences - vectors @ np.linalg.lstsq(vectors, differences, rcond=None)[0]
    assert np.abs(rest).max() < 1e-5 * np.abs(scores).max()


def test_the_circle_tells_a_model_that_learns_order_from_one_that_counts(cpu: torch.device) -> None:
    recall = {
        name: contract.recall_at_1_on_the_cycle(partial(catalog.make_recommender, name), cpu)
        for name, kind in catalog.recommenders().items()
        if not kind.learns_order
    }
    assert recall["pop"] < 50
    assert max(recall.values()) < 100, recall


class Broken(Pop):
    """A POP that does one thing wrong."""

    learns_order: ClassVar[bool] = False


class NotFinite(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        return super().score(prefixes) / 0


class OneItemShort(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        return super().score(prefixes)[:, 1:]


class NoEmptyBatch(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        if not len(prefixes):
            raise ValueError("need at least one array to concatenate")
        return super().score(prefixes)


class ByPlaceInTheBatch(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        return super().score(prefixes) + torch.arange(len(prefixes))[:, None]


class ReadsTheNextClick(Broken):
    """A mistake by one: the click behind a prefix is the one to predict."""

    def score(self, prefixes: Sessions) -> torch.Tensor:
        behind = prefixes.items[np.minimum(prefixes.stops, len(prefixes.items) - 1)]
        return super().score(prefixes) + torch.nn.functional.one_hot(torch.as_tensor(behind), prefixes.n_items)


class ByChance(Broken):
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        self.clicks_ = torch.as_tensor(np.random.default_rng().random(train.n_items))


class ByTheGlobalGenerator(Broken):
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        super().fit(train, seed=seed, device=device, journal=journal)
        random.random()


class GlobalSeed(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        np.random.seed(0)  # noqa: NPY002
        return super().score(prefixes)


class DefaultDtype(Broken):
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        super().fit(train, seed=seed, device=device, journal=journal)
        torch.set_default_dtype(torch.float64)


class SortsItsArgument(Broken):
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        train.items.sort()
        super().fit(train, seed=seed, device=device, journal=journal)


class ByItemNumber(Broken):
    def score(self, prefixes: Sessions) -> torch.Tensor:
        return super().score(prefixes) + torch.linspace(0, 0.5, prefixes.n_items)


@dataclass(kw_only=True)
class ChangesItsField(Broken):
    rounds: int = 3

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        super().fit(train, seed=seed, device=device, journal=journal)
        self.rounds -= 1


class OnlyCounts(Pop):
    learns_order: ClassVar[bool] = True


class RandomRows(Broken):
    """Learns random rows, which is allowed, but looks up the wrong one."""

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        self.rows_ = torch.as_tensor(np.random.default_rng(seed).random((train.n_items, train.n_items)))

    def score(self, prefixes: Sessions) -> torch.Tensor:
        return self.rows_[(prefixes.last + 1) % prefixes.n_items]


@pytest.mark.parametrize(
    ("kind", "rule", "found"),
    [
        (NotFinite, "scores are finite", "not finite"),
        (OneItemShort, "scores are finite", "shape (10, 30), not (10, 31)"),
        (NoEmptyBatch, "a batch of one and an empty batch", "raised ValueError: need at least one"),
        (ByPlaceInTheBatch, "a prefix scores the same alone", "alone and in a batch scores prefix"),
        (ReadsTheNextClick, "a prefix scores the same alone", "where the session goes on scores prefix"),
        (ByChance, "the same seed gives the same scores", "two fits with one seed"),
        (ByTheGlobalGenerator, "global state", "fit changed the random state of random"),
        (GlobalSeed, "global state", "score changed the random state of numpy"),
        (DefaultDtype, "global state", "fit changed torch's default dtype"),
        (SortsItsArgument, "its arguments are unchanged", "fit changed the items"),
        (ByItemNumber, "the numbering of the items", "fitted on renumbered items"),
        (ChangesItsField, "its fields rebuild the model", "fit changed the model's fields"),
        (OnlyCounts, "a model that learns order", "Recall@1 is"),
        (RandomRows, "the numbering of the items", "with its item-indexed weights permuted"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_model_that_breaks_a_rule_is_told_which(kind: type[Pop], rule: str, found: str, cpu: torch.device) -> None:
    told = contract.broken(kind, cpu)
    assert any(line.startswith(rule) and found in line for line in told), told
