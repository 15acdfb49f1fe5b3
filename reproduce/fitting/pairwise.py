"""Pairwise(Recommender): SGD on mini-batches of triples, which rank a clicked item above one that was not clicked.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR, UAI 2009: maximise ln sigma(score_i - score_j) - reg/2 |theta|^2.

Departs from Rendle: a batch of triples is drawn and differentiated at once and its steps are added, where the paper
takes one triple after another. The two are the same where no two triples of a batch share a row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reproduce.fitting.determinism import deterministic
from reproduce.fitting.epochs import run_epoch
from reproduce.fitting.recommender import Journal, Recommender, setting
from reproduce.reading.sessions import Sessions

Tables = dict[str, Tensor]
AHEAD = 64  # batches whose clicks are copied to the device together


@dataclass(frozen=True)
class Triples:
    """Sessions, right items and negatives, and the clicks before each right item if the model uses them."""

    session: Tensor  # (B,)
    right: Tensor  # (B,)
    wrong: Tensor  # (B,)
    before: Tensor  # (clicks,) of all triples, one after the other
    owner: Tensor  # (clicks,) which triple each belongs to

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True)
class Positives:
    """The data that triples are drawn from.

    `taken` holds the negatives that are ruled out for a right item, as keys taken_by * n_items + item.
    """

    session: np.ndarray  # (n,)
    right: np.ndarray  # (n,)
    before: Sessions  # (n,) the clicks before the right item; empty if the model does not use them
    taken: np.ndarray  # (keys,) sorted, unique
    taken_by: np.ndarray  # (n,) the first part of each right item's keys in `taken`
    pool: np.ndarray  # item numbers that negatives are drawn from at random; for every right item some are not taken
    n_items: int
    each: int = 1  # negatives drawn for each right item


@dataclass(kw_only=True)
class Pairwise(Recommender):
    """A recommender whose factor tables are learned from triples.

    Args:
        factors: the columns of each table.
        epochs: passes over the right items.
        learning_rate: the size of a step.
        regularisation: a step subtracts learning_rate * regularisation times each factor that it changes.
        batch: triples drawn and differentiated at once.
    """

    family: ClassVar[str] = "sampled"

    factors: int = setting(100, low=1, high=4096, search=[50, 100, 200])
    epochs: int = setting(10, low=1, high=10_000, search=[5, 10, 20, 40])
    learning_rate: float = setting(0.01, low=1e-6, high=10.0, search=(0.003, 0.3))
    regularisation: float = setting(0.0, low=0.0, high=1.0, search=(0.0, 0.05))
    batch: int = setting(256, low=1, high=65_536, note="ours, for speed")

    # What a model defines.

    @abstractmethod
    def positives(self, train: Sessions) -> Positives:
        """Return the data that triples are drawn from."""

    @abstractmethod
    def tables(self, sessions: int, n_items: int, draw: torch.Generator) -> Tables:
        """Draw the initial factors, with a row per session or item."""

    @abstractmethod
    def steps(self, tables: Tables, triples: Triples) -> list[tuple[str, Tensor, Tensor]]:
        """Return table names, rows (k,) and gradients (k, factors) of the objective, the sum of ln sigma(margin)."""

    @abstractmethod
    def margin(self, tables: Tables, triples: Triples) -> Tensor:
        """Return score_right - score_wrong, (B,)."""

    # The loop.

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        self.device_ = device
        with deterministic():
            positives = self.positives(train)
            draw = torch.Generator().manual_seed(seed)
            tables = self.tables(len(train), train.n_items, draw)
            state = journal.restore()
            epoch = 0
            if state is not None:
                if set(state.get("tables", ())) != set(tables):
                    raise journal.misfit(self.name, "other tables")
                epoch, tables = state["epoch"], state["tables"]
            tables = {name: table.to(device) for name, table in tables.items()}
            while epoch < self.epochs:
                epoch += 1
                self._epoch(tables, positives, np.random.default_rng([seed, epoch]), epoch, journal)
                journal.save({"epoch": epoch, "tables": tables})
        self.keep(tables)

    @abstractmethod
    def keep(self, tables: Tables) -> None:
        """Set the learned state that scoring needs."""

    def _epoch(
        self, tables: Tables, positives: Positives, rng: np.random.Generator, epoch: int, journal: Journal
    ) -> None:
        def step(triples: Triples) -> Tensor:
            loss = -torch.nn.functional.logsigmoid(self.margin(tables, triples)).sum()
            climb(tables, self.steps(tables, triples), self.learning_rate, self.regularisation)
            return loss

        numbers = run_epoch(
            self.name,
            draw_triples(positives, self.batch, rng, self.device_),
            step,
            epoch=epoch,
            epochs=self.epochs,
            examples=positives.each * len(positives.right),
            journal=journal,
            device=self.device_,
        )
        journal.epoch(numbers)


def climb(tables: Tables, steps: list[tuple[str, Tensor, Tensor]], rate: float, regularisation: float) -> None:
    """Add rate (gradient - regularisation theta) to theta for every occurrence of a row, all from the old theta."""
    moves = [(name, rows, rate * (slope - regularisation * tables[name][rows])) for name, rows, slope in steps]
    for name, rows, move in moves:
        tables[name].index_add_(0, rows, move)


def draw_triples(positives: Positives, batch: int, rng: np.random.Generator, device: torch.device) -> Iterator[Triples]:
    """Yield the positives in random order, each with its negatives; drawn on the CPU, so the same on every device."""
    order = np.repeat(rng.permutation(len(positives.right)), positives.each)
    wrong = wrong_items(positives, order, rng)
    columns = [positives.session[order], positives.right[order], wrong]
    session, right, drawn = (torch.as_tensor(column, device=device) for column in columns)
    for begin in range(0, len(order), AHEAD * batch):
        some = order[begin : begin + AHEAD * batch]
        clicks, owners = positives.before.take(some).clicks()
        ends = np.searchsorted(owners, np.arange(0, len(some) + batch, batch)).tolist()  # bounds of each batch's clicks
        before, owner = (torch.as_tensor(array, device=device) for array in (clicks, owners))
        for place, at in enumerate(range(0, len(some), batch)):
            part = slice(begin + at, min(begin + at + batch, len(order)))
            own = slice(ends[place], ends[place + 1])
            yield Triples(session[part], right[part], drawn[part], before[own], owner[own] - at)


def wrong_items(positives: Positives, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a negative from the pool for each entry of `order`, (len(order),); one that is excluded is drawn again."""
    by = positives.taken_by[order]
    wrong = rng.choice(positives.pool, len(order))
    again = np.arange(len(order))
    while len(again := again[is_in(positives.taken, by[again] * positives.n_items + wrong[again])]):
        wrong[again] = rng.choice(positives.pool, len(again))
    return wrong


def is_in(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return which of `wanted` are among the sorted `keys`, bool in the shape of `wanted`."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: np.ndarray = keys[place] == wanted
    return found


def sizes(owner: Tensor, n: int) -> Tensor:
    """Return the number of rows of each of n owners, (n,)."""
    return torch.zeros(n, device=owner.device).index_add_(0, owner, torch.ones(len(owner), device=owner.device))


def mean_by(rows: Tensor, owner: Tensor, n: int) -> Tensor:
    """Return the mean of the rows of each of n owners, (n, d), from rows, (clicks, d), and their owners, (clicks,)."""
    total = torch.zeros(n, rows.shape[1], dtype=rows.dtype, device=rows.device).index_add_(0, owner, rows)
    return total / sizes(owner, n)[:, None]
