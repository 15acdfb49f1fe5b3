"""DotProduct(Neural): a prefix becomes a query; an item's score is its row times the query, plus its bias."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from reproduce.fitting.batches import Batch
from reproduce.fitting.item_softmax import item_softmax
from reproduce.fitting.neural import Neural
from reproduce.reading.sessions import Sessions

Scoring: TypeAlias = tuple[Tensor, Tensor, Tensor | None]  # queries (B, Q), items' rows (m, Q), biases (m,) or None


class QueryNetwork(nn.Module):
    """The network of a DotProduct model."""

    @abstractmethod
    def forward(self, batch: Batch) -> Scoring:
        """Return queries, (B, Q), item rows, (m, Q), and biases, (m,) or None: score_i = rows_i . query + bias_i."""


@dataclass(kw_only=True)
class DotProduct(Neural):
    """A model trained with the cross-entropy of a softmax over all items; its network is a QueryNetwork."""

    @abstractmethod
    def network(self, n_items: int) -> QueryNetwork:
        """Make a fresh network; called with torch seeded by the run's seed."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        query, rows, bias = network(batch)
        return item_softmax(query, rows, batch.labels, bias)

    def scores(self, network: nn.Module, batch: Batch) -> Tensor:
        query, rows, bias = network(batch)
        return query @ rows.T if bias is None else torch.addmm(bias, query, rows.T)  # (B, m)

    def item_vectors(self) -> Tensor:
        with torch.inference_mode():
            rows: Tensor = self.network_(self.as_batch(Sessions.of([[0]])))[1]  # the same after any clicks
            return rows.detach()
