"""NARM on a GPU: two fits agree, and a CPU gives the same scores and attention from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reproduce import catalog
from reproduce.baselines.narm import NARM
from reproduce.fitting.recommender import Journal
from reproduce.runs.environment import choose_device

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("fields", [{}, {"hidden": 50}, {"cell": "authors"}, {"hidden": 50, "cell": "authors"}])
def test_a_fit_is_deterministic_and_its_weights_score_as_on_a_cpu(
    device: str, fields: dict[str, Any], as_cuda: Callable[[bool], None]
) -> None:
    """On the CPU of a machine without a GPU: a fit in CUDA's way, scored in both ways."""
    as_cuda(True)
    small = {"embedding": 5} if device == "cpu" else {}
    split = catalog.load_split("cycle" if device == "cpu" else "synthetic", ".")
    few = split.test.prefixes()[0].take(slice(0, 300))
    scores, attention, models = [], [], []
    for _ in range(2):
        model = catalog.make_recommender("narm", {"epochs": 1, **small, **fields})
        assert isinstance(model, NARM)
        model.fit(split.train, seed=0, device=choose_device(device), journal=Journal())
        scores.append(model.score(few).cpu())
        attention.append(torch.as_tensor(model.extras(few)["attention"]))
        models.append(model)
    assert torch.equal(*scores)
    assert torch.equal(*attention)
    # Move the weights to a CPU: a fit there would draw other dropout.
    as_cuda(False)
    model = models[0]
    model.network_, model.device_ = model.network_.cpu(), torch.device("cpu")
    torch.testing.assert_close(model.score(few), scores[0], rtol=1e-5, atol=1e-5)
    on_cpu = torch.as_tensor(model.extras(few)["attention"])  # only as wide as the longest prefix
    torch.testing.assert_close(on_cpu, attention[0][:, : on_cpu.shape[1]], rtol=1e-5, atol=1e-5)
