"""STAMP: attention over the clicks' embeddings, asked by the last click and the mean of all, without recurrence.

Liu, Zeng, Mokhosi, Zhang: STAMP: Short-Term Attention/Memory Priority Model for Session-based Recommendation, KDD 2018.

    m_s = mean of x_1..x_t     m_t = x_t
    alpha_j = w_0 . sigma(W_1 x_j + W_2 m_t + W_3 m_s + b_a)     m_a = sum_j alpha_j x_j
    h_s = tanh(A m_a + a)      h_t = tanh(B m_t + b)
    score_i = h_s . (h_t * x_i), softmax over items, cross-entropy

alpha is not normalised: the paper has no softmax there. One embedding serves clicks and candidates.

Departs from the paper: a sigmoid on score_i before the softmax is left out; it keeps the order of the items and would
hold every probability below e / m. The paper says mini-batch gradient descent; Adam here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from reproduce.fitting import padding
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.neural import Batch
from reproduce.fitting.recommender import setting


@dataclass(kw_only=True)
class STAMP(DotProduct):
    """The paper's settings: 100 dimensions, learning rate 0.005, batches of 512, 30 epochs, no truncation."""

    name: ClassVar[str] = "stamp"
    label: ClassVar[str] = "STAMP"

    learning_rate: float = setting(0.005, low=1e-6, high=1.0, search=(1e-4, 1e-2))
    truncation: Literal["first", "last", "none"] = setting("none")
    embedding: int = setting(100, low=1, search=[50, 100, 200])
    embedding_init: float = setting(0.002, low=0.0)  # standard deviation
    init: float = setting(0.05, low=0.0)  # standard deviation of the other matrices

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)


class Network(QueryNetwork):
    """The equations above."""

    def __init__(self, stamp: STAMP, n_items: int) -> None:
        super().__init__()
        D = stamp.embedding
        self.emb = nn.Embedding(n_items, D)
        self.W1 = nn.Linear(D, D)  # its bias is b_a
        self.W2 = nn.Linear(D, D, bias=False)
        self.W3 = nn.Linear(D, D, bias=False)
        self.w0 = nn.Linear(D, 1, bias=False)
        self.A = nn.Linear(D, D)
        self.B = nn.Linear(D, D)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=stamp.embedding_init if name == "emb.weight" else stamp.init)

    def forward(self, batch: Batch) -> Scoring:
        mask = batch.mask[..., None]  # (B, T, 1)
        x = self.emb(batch.items) * mask  # (B, T, D)
        m_s = x.sum(1) / batch.lengths[:, None]  # (B, D)
        m_t = padding.at_last_click(x, batch.lengths)  # (B, D)
        alpha = self.w0(torch.sigmoid(self.W1(x) + (self.W2(m_t) + self.W3(m_s))[:, None]))  # (B, T, 1)
        m_a = (alpha * x).sum(1)  # (B, D), padding is 0 in x
        return torch.tanh(self.A(m_a)) * torch.tanh(self.B(m_t)), self.emb.weight, None
