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

Scoring: TypeAlias = tuple[Tensor, Tensor, Tensor | None]  # queries (B, Q), items' rows (m, Q), biases (m,) or None


class QueryNetwork(nn.Module):
    """A network of a DotProduct."""

    @abstractmethod
    def forward(self, batch: Batch) -> Scoring:
        """score_i = rows_i . query + bias_i: the queries, (B, Q), all rows, (m, Q), and biases, (m,) or None."""


@dataclass(kw_only=True)
class DotProduct(Neural):
    """Trained by the cross-entropy of a softmax over all items. A model gives its network, a QueryNetwork."""

    @abstractmethod
    def network(self, n_items: int) -> QueryNetwork:
        """A fresh network; called under the run's seed."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        query, rows, bias = network(batch)
        return item_softmax(query, rows, batch.labels, bias)

    def scores(self, network: nn.Module, batch: Batch) -> Tensor:
        query, rows, bias = network(batch)
        return query @ rows.T if bias is None else torch.addmm(bias, query, rows.T)  # (B, m)
