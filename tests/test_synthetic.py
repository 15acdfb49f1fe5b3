"""The simulated log: made from a seed, with realistic lengths; models that read more of a session do better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.datasets.synthetic import Simulator
from reproduce.evaluation.metrics import RECALL
from reproduce.evaluation.ranking import rank, rank_all
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Split
from reproduce.runs.experiment import Experiment
from reproduce.runs.runner import run


@pytest.fixture(scope="module")
def split() -> Split:
    return catalog.load_split("synthetic", ".")


def recall(split: Split, model: str, fields: dict[str, object] | None = None) -> float:
    made = catalog.make_recommender(model, fields)
    made.fit(split.train, seed=0, device=torch.device("cpu"), journal=Journal())
    return RECALL.of_ranks(rank(*rank_all(made, *split.test.prefixes())))


def test_the_same_seed_gives_the_same_log_and_another_seed_another(split: Split) -> None:
    assert catalog.load_split("synthetic", "elsewhere").digest == split.digest
    few, other = (Simulator(sessions=50, seed=seed).sessions_by_day()[0] for seed in (1, 2))
    assert few == Simulator(sessions=50, seed=1).sessions_by_day()[0]
    assert few != other


def test_it_has_lengths_like_the_real_logs(split: Split) -> None:
    assert split.train.n_items == 150
    assert 4.0 <= split.train.lengths.mean() <= 6.0
    values, counts = np.unique(split.train.lengths, return_counts=True)
    assert values[counts.argmax()] == 2
    assert split.train.lengths.max() > 19


def test_every_test_item_was_seen_in_train(split: Split) -> None:
    assert set(split.test.clicks()[0].tolist()) <= set(split.train.clicks()[0].tolist())


def test_reading_the_last_click_beats_counting_beats_not_reading(split: Split) -> None:
    pop, s_pop, item_knn = (recall(split, model) for model in ("pop", "s_pop", "item_knn"))
    assert pop + 5 < s_pop
    assert s_pop + 5 < item_knn


@pytest.mark.slow
def test_every_network_passes_its_best_epoch_and_narm_is_ahead(tmp_path: Path) -> None:
    networks = ("gru4rec", "improved_gru_rec", "narm")
    made = {name: run(Experiment.of("synthetic", name), data=".", results=tmp_path, device="cpu") for name in networks}
    assert [name for name in networks if made[name].best_epoch == len(made[name].epochs)] == []
    assert made["narm"].recall() > made["improved_gru_rec"].recall() > made["gru4rec"].recall()
    assert made["narm"].mrr() > made["improved_gru_rec"].mrr() > made["gru4rec"].mrr()
