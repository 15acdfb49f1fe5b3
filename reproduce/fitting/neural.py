"""Neural(Recommender): the training loop of all neural models.

A model defines a network, a loss and scores. It may replace the division of the training set into training and
validation, the batches, the optimiser and the schedule.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from reproduce.evaluation.metrics import RECALL
from reproduce.evaluation.ranking import check_shape, rank, rank_all
from reproduce.fitting.batches import Batch, Examples
from reproduce.fitting.checked import check_loss, check_network
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.determinism import seed as seed_generators
from reproduce.fitting.epochs import run_epoch
from reproduce.fitting.recommender import Journal, Recommender, setting
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class Neural(Recommender):
    """A recommender trained by gradient descent on prefixes of sessions.

    The epoch with the best validation Recall@20 is kept; of tied epochs the last one, as in the authors' code.

    Args:
        learning_rate: the optimiser's step size.
        batch: the largest number of examples in a training step.
        epochs: the largest number of passes over the training examples.
        patience: fitting stops after this many epochs without a new best, counted from the 5th epoch on.
        validation: what is held out of the training set: prefixes, whole sessions, or nothing; with nothing held out
            the last epoch is kept.
        validation_share: the share of the prefixes or sessions that is held out.
        truncation: what is kept of a prefix of more than `longest` clicks: its first clicks, its last, or all.
        longest: the number of clicks that truncation keeps.
    """

    family: ClassVar[str] = "softmax"

    learning_rate: float = setting(0.001, low=1e-6, high=1.0, search=(1e-4, 1e-2))
    batch: int = setting(512, low=1, high=100_000)
    epochs: int = setting(30, low=1, high=100_000)
    patience: int = setting(
        3,
        low=1,
        high=100_000,
        note="ours: the authors stop only after 30 epochs; epochs without a new best, counted from the 5th on",
    )
    validation: Literal["prefixes", "sessions", "none"] = setting("prefixes")
    validation_share: float = setting(0.1, low=0.001, high=0.9)
    truncation: Literal["first", "last", "none"] = setting("first")
    longest: int = setting(19, low=1, high=10_000)

    # What a model defines.

    @abstractmethod
    def network(self, n_items: int) -> nn.Module:
        """Make a fresh network; called with torch seeded by the run's seed."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        """Return the mean loss of a batch, ()."""

    @abstractmethod
    def scores(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return scores, (B, n_items), higher is better; the network is in evaluation mode."""

    # What a model may replace.

    def part(self, train: Sessions, rng: np.random.Generator, device: torch.device) -> tuple[Any, Sessions, np.ndarray]:
        """Return training examples, in the form that `batches` takes, and validation prefixes with their labels."""
        prefixes, labels = train.prefixes()
        if self.validation == "prefixes":
            held_out = self.drawn(len(prefixes), rng)
        else:
            held_out = self.drawn(len(train), rng)[train.prefix_owner()]
        kept = np.flatnonzero(~held_out)
        training = Examples.of(prefixes.take(kept), labels[kept], self.truncation, self.longest, device)
        held = np.flatnonzero(held_out)
        return training, prefixes.take(held), labels[held]

    def batches(self, training: Any) -> Iterator[Any]:
        """Yield the mini-batches of an epoch; called with torch seeded by the run's seed and the epoch."""
        order = torch.randperm(len(training))  # drawn on the CPU: the same on every device
        yield from training.batches(
            order, (slice(begin, begin + self.batch) for begin in range(0, len(order), self.batch))
        )

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), lr=self.learning_rate, fused=True)

    def schedule(self, optimiser: torch.optim.Optimizer, epoch: int) -> None:
        """Change the learning rate before an epoch, counted from 1; it must depend on the epoch only."""

    # The loop.

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        self.device_ = device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), deterministic():
            training, held_out, held_out_labels = self.part(train, np.random.default_rng(seed), device)
            seed_generators(seed, device)
            network = self.network(train.n_items)
            check_network(self.name, network)
            self.network_ = network.to(device)
            self.network_.eval()
            few = train.take(slice(0, 2))  # wrong shapes would fail only in the loss, with torch's message
            check_shape(self, self.score(few), few)
            optimiser = self.optimiser(self.network_)
            best: dict[str, Any] = {"epoch": 0, "recall": -1.0, "weights": {}}
            epoch = 0
            state = journal.restore()
            if state is not None:
                epoch, best = self._go_on(state, optimiser, journal)

            while epoch < self.epochs and epoch - max(best["epoch"], 5) < self.patience:
                epoch += 1
                numbers = self._epoch(training, optimiser, seed, epoch, journal)
                recall = self._validate(held_out, held_out_labels)
                if recall >= best["recall"] or not best["weights"]:
                    weights = {name: value.detach().clone() for name, value in self.network_.state_dict().items()}
                    best = {"epoch": epoch, "recall": recall, "weights": weights}
                journal.epoch({**numbers, "validation_recall": recall} if len(held_out) else numbers)
                journal.save(
                    {
                        "epoch": epoch,
                        "best": best,
                        "network": self.network_.state_dict(),
                        "optimiser": optimiser.state_dict(),
                    }
                )
            if best["weights"]:
                self.network_.load_state_dict(best["weights"])
            self.network_.eval()

    def score(self, prefixes: Sessions) -> Tensor:
        if not len(prefixes):
            return torch.zeros(0, prefixes.n_items, device=self.device_)
        with torch.inference_mode(), deterministic():
            return self.scores(self.network_, self.as_batch(prefixes))

    def as_batch(self, prefixes: Sessions) -> Batch:
        """Return the prefixes as one batch, in their order."""
        items, _ = prefixes.clicks()
        packed = Sessions.packed(items, prefixes.lengths, prefixes.n_items)  # copies only these clicks to the device
        examples = Examples.of(packed, np.empty(0, np.int64), self.truncation, self.longest, self.device_)
        (whole,) = examples.batches(torch.arange(len(examples)), [slice(None)])
        return whole

    def train_step(self, batch: Any, optimiser: torch.optim.Optimizer) -> Tensor:
        """Move the weights by one step; return the mean loss of the batch before it, ()."""
        optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.network_, batch)
        check_loss(self.name, loss)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    def _epoch(
        self, training: Any, optimiser: torch.optim.Optimizer, seed: int, epoch: int, journal: Journal
    ) -> dict[str, float]:
        """Make one pass over the training examples; its order and dropout depend on (seed, epoch) only."""
        seed_generators(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1), self.device_)
        self.network_.train()
        self.schedule(optimiser, epoch)

        return run_epoch(
            self.name,
            self.batches(training),
            lambda batch: self.train_step(batch, optimiser) * len(batch),
            epoch=epoch,
            epochs=self.epochs,
            examples=len(training),
            journal=journal,
            device=self.device_,
        )

    def _go_on(
        self, state: dict[str, Any], optimiser: torch.optim.Optimizer, journal: Journal
    ) -> tuple[int, dict[str, Any]]:
        """Restore what an interrupted fit saved; return the last epoch that it finished and its best epoch."""
        try:
            self.network_.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            return state["epoch"], state["best"]
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise journal.misfit(self.name, str(error).partition("\n")[0]) from error

    def _validate(self, prefixes: Sessions, labels: np.ndarray) -> float:
        self.network_.eval()
        return RECALL.of_ranks(rank(*rank_all(self, prefixes, labels))) if len(prefixes) else 0.0

    def drawn(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw which of n prefixes or sessions are held out for validation, (n,) bool; a single one never is."""
        held_out = np.zeros(n, dtype=bool)
        share = self.validation_share if n > 1 and self.validation != "none" else 0.0
        held_out[rng.permutation(n)[: round(share * n)]] = True
        return held_out
