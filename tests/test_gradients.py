"""Gradients: a replayed step equals the step, draws included; what cannot be captured is computed, with a warning."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reproduce import catalog
from reproduce.baselines.narm import NARM
from reproduce.fitting import gradients
from reproduce.fitting.batches import Batch
from reproduce.fitting.gradients import Gradients, Values
from reproduce.fitting.neural import Neural
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions
from reproduce.runs.environment import choose_device

CPU = torch.device("cpu")
CAPTURED = sorted(name for name, kind in catalog.recommenders().items() if getattr(kind, "capturable", False))
SMALL = {"epochs": 2, "batch": 16, "embedding": 5}


def log() -> Sessions:
    rng = np.random.default_rng(0)
    return Sessions.of([rng.integers(30, size=rng.integers(2, 13)).tolist() for _ in range(60)], 30)


def fitted(model: Neural, device: torch.device = CPU, journal: Journal | None = None) -> Tensor:
    """Fit a model and return its scores."""
    model.fit(log(), seed=3, device=device, journal=journal or Journal())
    return model.score(log())


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of the batches that are captured."""
    shapes = []
    captured = Gradients.captured

    def counting(self: Gradients, batch: Batch) -> gradients.Graph:
        shapes.append(batch.items.shape)
        return captured(self, batch)

    monkeypatch.setattr(Gradients, "captured", counting)
    return shapes


def test_the_networks_whose_shapes_follow_from_the_batch_are_captured() -> None:
    assert CAPTURED == ["improved_gru_rec", "narm", "sr_gnn", "stamp"]


@pytest.mark.parametrize("way", [{}, {"truncation": "none"}], ids=str)
@pytest.mark.parametrize("name", CAPTURED)
def test_replayed_training_is_computed_training_to_the_bit(
    name: str,
    way: dict[str, Any],
    as_cuda: Callable[[bool], None],
    counted: list[torch.Size],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dropout is on, so this also shows that capturing leaves the random draws as they were."""
    as_cuda(True)
    replayed = fitted(catalog.make_recommender(name, {**SMALL, **way}))  # type: ignore[arg-type]
    assert counted and len(counted) == len(set(counted))
    shapes = list(counted)
    monkeypatch.setenv("REPRODUCE_CUDA_GRAPHS", "0")
    assert torch.equal(fitted(catalog.make_recommender(name, {**SMALL, **way})), replayed)  # type: ignore[arg-type]
    assert counted == shapes


def test_on_a_cpu_nothing_is_captured(counted: list[torch.Size]) -> None:
    fitted(NARM(**SMALL))
    assert counted == []


def test_shapes_beyond_the_most_are_computed(
    as_cuda: Callable[[bool], None], counted: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_cuda(True)
    whole = fitted(NARM(**SMALL, truncation="none"))
    assert len(counted) == 3  # 8 or 12 clicks wide, and the smaller last batch
    counted.clear()
    monkeypatch.setattr(gradients, "MOST", 1)
    assert torch.equal(fitted(NARM(**SMALL, truncation="none")), whole)
    assert len(counted) == 1


class Refuses(gradients.Recorder):
    """Fails after some draws, as torch does if the host waits during a capture."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warmed_up(self, work: Callable[[], Values]) -> Values:
        return work()

    def recorded(self, work: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        work()
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class Stale(Refuses):
    """Its replays compute nothing: the values stay those that were recorded, times 2."""

    def recorded(self, work: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        return [None if one is None else one * 2 for one in work()], lambda: None


@pytest.mark.parametrize(
    ("recorder", "told"), [(Refuses, "operation not permitted when stream is capturing"), (Stale, "a replay was off")]
)
def test_where_a_graph_fails_or_differs_training_goes_on_without_and_says_so(
    recorder: type, told: str, as_cuda: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_cuda(True)
    expected = fitted(NARM(**SMALL))
    monkeypatch.setattr(gradients, "Recorder", recorder)
    with pytest.warns(UserWarning, match=f"narm: trained without CUDA graphs, which is slower \\({told}") as warned:
        assert torch.equal(fitted(NARM(**SMALL)), expected)
    assert len(warned) == 1 and "and more" not in str(warned[0].message)


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ([3.0, 2e-9], True),
        ([3.0001, 1e-9], True),
        ([3.001, 1e-9], False),
        ([3.0, 1e-6], False),
        ([math.nan, 1e-9], False),
        ([3.0, None], False),
    ],
)
def test_a_replay_may_differ_by_rounding_and_a_tensor_that_is_rounding_by_itself(
    found: list[float | None], same: bool
) -> None:
    def values(numbers: list[float | None]) -> Values:
        return [None if one is None else torch.tensor([0.0, one]) for one in numbers]

    with nullcontext() if same else pytest.raises(gradients.Differs):
        gradients.check_close(values(found), values([3.0, 1e-9]))


class Kept(Journal):
    """Keeps what a fit saves after each epoch, and starts from what it is given."""

    def __init__(self, start: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.start, self.saved = start, []

    def restore(self) -> dict[str, Any] | None:
        return self.start

    def save(self, state: dict[str, Any]) -> None:
        network = {name: value.clone() for name, value in state["network"].items()}
        steps = [{key: value.clone() for key, value in one.items()} for one in state["optimiser"]["state"].values()]
        optimiser = {**state["optimiser"], "state": dict(enumerate(steps))}
        self.saved.append({**state, "network": network, "optimiser": optimiser})


def resumed_equals_undisturbed(device: torch.device) -> None:
    whole = Kept()
    expected = fitted(NARM(**SMALL), device, whole)
    assert torch.equal(fitted(NARM(**SMALL), device, Kept(whole.saved[0])), expected)


def test_a_resumed_fit_equals_an_undisturbed_one(as_cuda: Callable[[bool], None], counted: list[torch.Size]) -> None:
    as_cuda(True)
    resumed_equals_undisturbed(CPU)
    assert len(counted) == 4


@dataclass(kw_only=True)
class Waits(NARM):
    """Makes the host wait for its loss, which no capture allows."""

    name: ClassVar[str] = "waits"

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        loss = super().loss(network, batch)
        float(loss.detach())
        return loss


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestOnAGPU:
    @pytest.mark.filterwarnings("error:.*without CUDA graphs")
    @pytest.mark.parametrize("way", [{}, {"truncation": "none"}], ids=str)
    @pytest.mark.parametrize("name", CAPTURED)
    def test_replayed_training_is_computed_training(
        self, name: str, way: dict[str, Any], counted: list[torch.Size], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = choose_device("cuda")
        replayed = fitted(catalog.make_recommender(name, {**SMALL, **way}), device)  # type: ignore[arg-type]
        assert counted
        assert torch.equal(fitted(catalog.make_recommender(name, {**SMALL, **way}), device), replayed)  # type: ignore[arg-type]
        monkeypatch.setenv("REPRODUCE_CUDA_GRAPHS", "0")
        computed = fitted(catalog.make_recommender(name, {**SMALL, **way}), device)  # type: ignore[arg-type]
        torch.testing.assert_close(replayed, computed, rtol=1e-4, atol=1e-5)

    def test_a_resumed_fit_equals_an_undisturbed_one(self) -> None:
        resumed_equals_undisturbed(choose_device("cuda"))

    def test_a_step_that_waits_for_the_host_trains_without_a_graph_and_the_next_fit_has_one(
        self, counted: list[torch.Size], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = choose_device("cuda")
        with pytest.warns(UserWarning, match="waits: trained without CUDA graphs"):
            waited = fitted(Waits(**SMALL), device)
        counted.clear()
        replayed = fitted(NARM(**SMALL), device)
        assert counted
        torch.testing.assert_close(replayed, waited, rtol=1e-4, atol=1e-5)
