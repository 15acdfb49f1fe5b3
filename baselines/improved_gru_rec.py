"""Improved GRU-Rec: a GRU over each prefix, cross-entropy over all items, whole clicks dropped in training.

Tan, Xu, Liu: Improved Recurrent Neural Networks for Session-based Recommendations, DLRS 2016, arXiv 1606.08117. This is
not Hidasi's GRU4Rec, which trains on session-parallel mini-batches with a ranking loss, although some libraries call it
GRU4Rec.

    x = a prefix, less the clicks dropped from it        h_t = GRU(emb(x))_t
    score_i = w_i . h_t + b_i, softmax over items, cross-entropy

From Tan's paper: every prefix is an example, dropout removes whole clicks from it, and there is a softmax layer over
all items. Ours, because neither Tan's paper nor NARM's specifies it for this row: sizes, dropout before the softmax
layer and initialisation are those that NARM is trained with, so that the two rows differ only in the model; the last
click of a prefix is never dropped, so that no prefix is left empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reproduce.fitting import padding
from reproduce.fitting.batches import Batch
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.recommender import setting


@dataclass(kw_only=True)
class ImprovedGRURec(DotProduct):
    """One GRU layer and a fully connected softmax layer.

    Args:
        embedding: the size of an item's embedding, D.
        hidden: the units of the GRU, H.
        click_dropout: the share of a prefix's clicks that is removed from it in training.
        session_dropout: the share of h_t that is set to 0 in training.
    """

    name: ClassVar[str] = "improved_gru_rec"
    label: ClassVar[str] = "Improved GRU-Rec"

    embedding: int = setting(50, low=1, high=10_000, search=[50, 100], note="ours: NARM's")
    hidden: int = setting(100, low=1, high=10_000, search=[50, 100, 200], note="ours: NARM's")
    click_dropout: float = setting(0.25, low=0.0, high=0.99, search=(0.0, 0.5), note="share of clicks left out")
    session_dropout: float = setting(0.5, low=0.0, high=0.99, search=(0.0, 0.7), note="ours: NARM's")

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)


class Network(QueryNetwork):
    """The network that computes the equations above."""

    def __init__(self, model: ImprovedGRURec, n_items: int) -> None:
        super().__init__()
        self.click_dropout = model.click_dropout
        self.emb = nn.Embedding(n_items, model.embedding)
        self.gru = nn.GRU(model.embedding, model.hidden, batch_first=True)
        self.session_dropout = nn.Dropout(model.session_dropout)
        self.out = nn.Linear(model.hidden, n_items)
        inputs, recurrent, *biases = self.gru.parameters()
        nn.init.normal_(self.emb.weight, std=math.sqrt(2 / n_items))
        nn.init.normal_(inputs, std=math.sqrt(2 / model.embedding))
        nn.init.normal_(self.out.weight, std=math.sqrt(2 / model.hidden))
        for gate in recurrent.chunk(3):
            nn.init.orthogonal_(gate)
        for bias in (*biases, self.out.bias):
            nn.init.zeros_(bias)

    def forward(self, batch: Batch) -> Scoring:
        if self.training:
            batch = drop_clicks(batch, torch.rand(batch.items.shape, device=batch.items.device) < self.click_dropout)
        h = padding.gru_states(self.gru, self.emb(batch.items), batch.lengths)  # (B, T, H)
        h_t = self.session_dropout(padding.at_last_click(h, batch.lengths))  # (B, H)
        return h_t, self.out.weight, self.out.bias


def drop_clicks(batch: Batch, dropped: Tensor) -> Batch:
    """Remove the clicks marked in `dropped`, (B, T) bool, and close the gaps; the last click of a row always stays."""
    steps = torch.arange(batch.items.shape[1], device=batch.items.device)  # (T,)
    kept = batch.mask & (~dropped | (steps == batch.lengths[:, None] - 1))  # (B, T)
    order = torch.sort((~kept).to(torch.int8), dim=1, stable=True).indices  # kept clicks first, in their order
    return Batch(batch.items.gather(1, order), kept.sum(1), batch.labels)  # what was dropped is padding now
