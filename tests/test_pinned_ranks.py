"""Every model ranks as it did when the committed records were made: digests of its ranks after a short fit.

A record names the commit that made it. What keeps it true is not that the model's file has not changed since, but that
the model still ranks the same. So the ranks of a short fit on a small generated log, with one thread, are pinned here.
The commit of a change that moves a digest says why, and the records concerned are made anew. To print today's digests:

    python tests/test_pinned_ranks.py

A case with two digests has one per processor: of two with AVX512, the same commit (c8c2e2b) gave each its own.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.evaluation.ranking import rank_all
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

PINNED = Path(__file__).with_name("golden") / "pinned_ranks.json"
SHORT = {"epochs": 2, "batch": 64, "embedding": 8, "hidden": 12}
TWO_EPOCHS = {"epochs": 2}
GRU = {"epochs": 2, "batch": 8, "hidden": 12, "learning_rate": 0.01}
GRU_2018 = {"loss_function": "bpr-max", "activation": "elu", "negatives": 16, "alpha": 0.0, "momentum": 0.3}
GRU_TIED = {"loss_function": "cross-entropy", "activation": "linear", "embeddings": "tied", "negatives": 16}
STAMP_CODE = {"form": "code", "embedding_norm": 1.0, "gradient_norm": 150.0, "batching": "one-length"}
CORE = {"epochs": 2, "batch": 64, "embedding": 8, "inner": 12}
IDF_OF_SESSIONS = {"idf_counts": "sessions", "neighbours": 50}

# The model and the fields of each case, by its name. Fields whose default may change are set.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pop": ("pop", {}),
    "s_pop": ("s_pop", {"popular": 10}),
    "s_pop all": ("s_pop", {"popular": 0}),
    "item_knn": ("item_knn", {}),
    "item_knn product": ("item_knn", {"counts": "product"}),
    "item_knn sessions": ("item_knn", {"counts": "sessions"}),
    "bpr_mf": ("bpr_mf", TWO_EPOCHS),
    "fpmc": ("fpmc", TWO_EPOCHS),
    "gru4rec": ("gru4rec", GRU),
    "gru4rec 2018": ("gru4rec", {**GRU, **GRU_2018}),
    "gru4rec 2016": ("gru4rec", {**GRU, "duplicates": "separate", "own_target": "counted", "short_steps": "dropped"}),
    "gru4rec tied": ("gru4rec", {**GRU, **GRU_TIED, "logq": 1.0}),
    "improved_gru_rec": ("improved_gru_rec", SHORT),
    "narm": ("narm", SHORT),
    "narm global": ("narm", {**SHORT, "encoder": "global"}),
    "narm local": ("narm", {**SHORT, "encoder": "local"}),
    "narm fully connected": ("narm", {**SHORT, "decoder": "fully-connected"}),
    "narm last": ("narm", {**SHORT, "truncation": "last", "longest": 3}),
    "narm raw": ("narm", {**SHORT, "attention": "raw"}),
    "narm no query": ("narm", {**SHORT, "attention_query": "none"}),
    "narm hard attention": ("narm", {**SHORT, "attention_sigmoid": "hard"}),
    "narm authors' cell": ("narm", {**SHORT, "cell": "authors", "attention_sigmoid": "hard"}),
    "sknn": ("sknn", {}),
    "vsknn": ("vsknn", {"sample": 50}),
    "vsknn log": ("vsknn", {"weights": "log", "decays": "quadratic", "idf": 2.0, "sample": 50}),
    "vsknn div": ("vsknn", {**IDF_OF_SESSIONS, "weights": "div", "decays": "linear-to-0", "sample": 2500}),
    "vsknn quadratic": ("vsknn", {**IDF_OF_SESSIONS, "decays": "quadratic", "idf": 5.0, "sample": 50}),
    "sr": ("sr", {}),
    "sr quadratic": ("sr", {"steps": 4, "f": "quadratic", "pruning": 5}),
    "sasrec": ("sasrec", {"epochs": 2, "batch": 64, "width": 8}),
    "core": ("core", CORE),
    "core average": ("core", {**CORE, "weights": "average"}),
    "stamp": ("stamp", {"epochs": 2, "batch": 64}),
    "stamp code": ("stamp", {"epochs": 2, "batch": 64, **STAMP_CODE}),
    "sr_gnn": ("sr_gnn", {"epochs": 2, "batch": 64}),
    "sr_gnn code": ("sr_gnn", {"epochs": 2, "batch": 64, "form": "code", "edges": "binary"}),
}


def small_log() -> tuple[Sessions, Sessions]:
    """Return train and test, 240 and 60 sessions over 40 items; a click is mostly on the item after the last one."""
    rng = np.random.default_rng(20171106)
    lengths = 2 + np.minimum(rng.geometric(0.35, 300) - 1, 12)
    clicks = []
    for n in lengths:
        session = [int(rng.integers(40) * rng.random())]
        for _ in range(n - 1):
            step = int(rng.choice([1, 1, 1, 0, 2, 7]))
            session.append((session[-1] + step) % 40)
        clicks += session
    items = np.array(clicks)
    cut = int(lengths[:240].sum())
    return Sessions.packed(items[:cut], lengths[:240], 40), Sessions.packed(items[cut:], lengths[240:], 40)


def digest(case: str) -> str:
    """Return the first 16 digits of a sha256 of the rank counts of all test prefixes, after a fit with seed 0."""
    name, fields = CASES[case]
    train, test = small_log()
    model = catalog.make_recommender(name, fields)
    model.fit(train, seed=0, device=torch.device("cpu"), journal=Journal())
    greater, equal = rank_all(model, *test.prefixes())
    return hashlib.sha256(np.stack([greater, equal]).astype("<i8").tobytes()).hexdigest()[:16]


def test_every_model_of_the_catalogue_is_pinned() -> None:
    assert {model for model, _ in CASES.values()} == {
        name for name, kind in catalog.recommenders().items() if kind.__module__.startswith("reproduce.")
    }


@pytest.mark.parametrize("case", CASES)
def test_a_model_ranks_as_it_did(case: str) -> None:
    pinned = json.loads(PINNED.read_text())
    here = {"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
    if not here.items() <= pinned.items():  # other kernels add in another order
        pytest.skip(f"pinned with torch {pinned['torch']} on a processor with {pinned['cpu']}")
    assert digest(case) in pinned["digests"][case].split()


if __name__ == "__main__":
    torch.set_num_threads(1)
    cpu = torch.backends.cpu.get_cpu_capability()
    found = {case: digest(case) for case in CASES}
    print(json.dumps({"torch": torch.__version__, "cpu": cpu, "digests": found}, indent=1))
