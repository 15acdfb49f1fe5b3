"""The training loop: what it holds out, which epoch it keeps, when it stops, what an epoch depends on."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reproduce import catalog
from reproduce.errors import ModelError
from reproduce.fitting.batches import Batch, Examples
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.neural import Neural
from reproduce.fitting.recommender import Journal, setting
from reproduce.reading.sessions import Sessions

CPU = torch.device("cpu")
LOG = Sessions.of([[i % 7, (i + 1) % 7, (3 * i) % 7] for i in range(40)], n_items=7)


@dataclass(kw_only=True)
class Popularity(Neural):
    """The smallest network there is: one number per item, whatever the session."""

    name: ClassVar[str] = "popularity"
    label: ClassVar[str] = "popularity"
    noise: float = setting(0.5)

    def network(self, n_items: int) -> nn.Module:
        module = nn.Module()
        module.bias = nn.Parameter(torch.randn(n_items))
        return module

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        noise = self.noise * torch.randn(())  # stands for dropout: drawn anew in every step
        return nn.functional.cross_entropy((network.bias + noise).expand(len(batch), -1), batch.labels)  # type: ignore[operator, no-any-return]

    def scores(self, network: nn.Module, batch: Batch) -> Tensor:
        return network.bias.expand(len(batch), -1)  # type: ignore[operator, no-any-return]


class Scripted(Popularity):
    """A network whose validation Recall@20 follows a script."""

    script: ClassVar[list[float]] = []

    def _validate(self, prefixes: Sessions, labels: np.ndarray) -> float:
        self.turn_ = getattr(self, "turn_", -1) + 1
        return self.script[self.turn_]


def fit(model: Neural, journal: Journal | None = None) -> tuple[Neural, Journal]:
    journal = journal or Journal()
    model.fit(LOG, seed=3, device=CPU, journal=journal)
    return model, journal


def test_a_tenth_of_the_prefixes_is_held_out_and_not_trained_on() -> None:
    model = Popularity()
    training, held_out, labels = model.part(LOG, np.random.default_rng(0), CPU)
    assert (len(training), len(held_out), len(labels)) == (72, 8, 8)
    whole, _ = LOG.prefixes()
    kept = set(zip(training.starts.tolist(), training.lengths.tolist(), strict=True))
    held = set(zip(held_out.starts.tolist(), held_out.lengths.tolist(), strict=True))
    assert kept | held == set(zip(whole.starts.tolist(), whole.lengths.tolist(), strict=True))
    assert not kept & held


def test_holding_out_sessions_holds_out_all_prefixes_of_a_session() -> None:
    training, held_out, _ = Popularity(validation="sessions").part(LOG, np.random.default_rng(0), CPU)
    assert (len(training), len(held_out)) == (72, 8)
    assert not set(training.starts.tolist()) & set(held_out.starts.tolist())


@pytest.mark.parametrize(
    ("script", "kept", "stops_after"),
    [
        ([50, 40, 40, 40, 40, 40, 40, 40, 99, 99], 1, 8),  # patience 3, counted from the 5th epoch on
        ([10, 20, 30, 40, 50, 60, 50, 60, 50, 50, 50, 99], 8, 11),  # a later tie wins, and patience counts from it
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 12, 12),
    ],
)
def test_the_best_epoch_is_kept_and_patience_ends_the_fit(script: list[float], kept: int, stops_after: int) -> None:
    Scripted.script = script
    model = Scripted(epochs=12)
    weights: list[Tensor] = []

    class Watching(Journal):
        def epoch(self, numbers: Any) -> None:
            super().epoch(numbers)
            weights.append(model.network_.bias.detach().clone())  # type: ignore[operator, union-attr]

    _, journal = fit(model, Watching())
    assert len(journal.history) == stops_after
    torch.testing.assert_close(model.network_.bias.detach(), weights[kept - 1], rtol=0, atol=0)  # type: ignore[operator, union-attr]


def test_an_epoch_depends_on_the_seed_and_its_number_and_on_nothing_before_it() -> None:
    states: list[dict[str, Any]] = []

    class Keeping(Journal):
        def save(self, state: dict[str, Any]) -> None:
            states.append(deepcopy(state))  # as a file would: the tensors in memory go on changing

    class GoingOn(Journal):
        def restore(self) -> dict[str, Any] | None:
            return states[1]

    whole, _ = fit(Popularity(epochs=4), Keeping())
    torch.manual_seed(99)
    rest, journal = fit(Popularity(epochs=4), GoingOn())
    assert [one["epoch"] for one in journal.history] == [3, 4]
    torch.testing.assert_close(rest.network_.bias, whole.network_.bias, rtol=0, atol=0)  # type: ignore[operator, union-attr]


def test_a_loss_that_is_not_a_number_is_an_error_that_names_the_epoch() -> None:
    with pytest.raises(ModelError, match="popularity: the loss is not a finite number in epoch 1"):
        fit(Popularity(noise=float("inf")))


@pytest.mark.parametrize(
    ("truncation", "clicks"), [("first", [1, 2, 3]), ("last", [3, 4, 5]), ("none", [1, 2, 3, 4, 5])]
)
def test_truncation_keeps_the_first_or_last_clicks_or_all(truncation: str, clicks: list[int]) -> None:
    sessions = Sessions.of([[1, 2, 3, 4, 5], [6]], n_items=7)
    batch = Examples.of(sessions, np.array([0, 0]), truncation, 3, CPU).batch(torch.tensor([0, 1]))
    assert batch.items[0].tolist() == clicks
    assert batch.items[1][0] == 6
    assert batch.mask.sum(1).tolist() == [len(clicks), 1]


def test_padding_takes_the_items_in_turn() -> None:
    examples = Examples.of(Sessions.of([[2], [2, 2, 2, 2]], n_items=3), np.array([0, 0]), "first", 19, CPU)
    batch = examples.batch(torch.tensor([0, 0, 1]))
    assert batch.items[~batch.mask].tolist() == [1, 2, 0, 2, 0, 1]


def test_a_batch_on_a_cpu_is_as_wide_as_its_longest_prefix() -> None:
    examples = Examples.of(Sessions.of([[1], [1, 2], [1, 2, 3]]), np.array([0, 0, 0]), "first", 19, CPU)
    assert examples.batch(torch.tensor([0, 1])).items.shape == (2, 2)


def test_every_example_is_seen_once_in_an_epoch_and_in_another_order_in_the_next() -> None:
    model = Popularity(batch=16)
    examples = Examples.of(*LOG.prefixes(), "first", 19, CPU)

    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        batches: Iterator[Batch] = model.batches(examples)
        return [label for batch in batches for label in batch.labels.tolist()]

    assert sorted(order(1)) == sorted(LOG.prefixes()[1].tolist())
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_determinism_is_set_inside_and_restored_outside() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_narm_does_not_change_with_the_fields_of_the_loop_left_alone() -> None:
    assert catalog.changed(catalog.make_recommender("narm", {"batch": 512, "epochs": "30"})) == {}
