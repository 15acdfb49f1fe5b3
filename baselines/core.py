"""CORE: the session is a weighted mean of its items' embeddings, in the space in which items are compared.

Hou, Hu, Zhang, Zhao: CORE: Simple and Effective Session-based Recommendation within Consistent Representation Space,
SIGIR 2022.

    x_i = dropout(E[s_i])
    alpha = softmax over the clicks of w . F_i + b,  F = transformer(LN(x + P)), each click seeing those before it
            or alpha = 1 / t                                                                   `weights` average
    h = sum_i alpha_i x_i        score_j = cos(h, dropout(E[j])) / 0.07, softmax over items, cross-entropy

    a block of the transformer:  x = LN(x + dropout(MHA(x)))    x = LN(x + dropout(W_2 GELU(W_1 x)))

The settings are those of the authors' code: 100 dimensions, two blocks of two heads with an inner width of 256, a
dropout of 0.2 on embeddings and of 0.5 inside the transformer, batches of 2,048, sessions of the last 50 clicks, E
uniform in +-1 / sqrt(D) and the transformer N(0, 0.02) at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.errors import UsageError
from reproduce.fitting.batches import Batch
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.recommender import setting


@dataclass(kw_only=True)
class CORE(DotProduct):
    """CORE with a transformer's weights (CORE-trm) or equal ones (CORE-ave).

    Args:
        embedding: the size of an item's embedding, D.
        weights: where the weights of the clicks come from.
        layers, heads, inner: of the transformer: blocks, heads of the attention, and the width of W_1.
        embedding_dropout: the share of the clicks' and of the candidates' embeddings that is set to 0 in training.
        dropout: the share that is set to 0 inside the transformer.
        temperature: what the cosines are divided by.
    """

    name: ClassVar[str] = "core"
    label: ClassVar[str] = "CORE"
    learns_order: ClassVar[bool] = False  # after one click nothing is nearer to h than that click itself

    batch: int = setting(2048, low=1, high=100_000, search=[512, 2048])
    truncation: Literal["first", "last"] = setting("last")
    longest: int = setting(50, low=1, high=10_000)
    embedding: int = setting(100, low=2, high=10_000, search=[50, 100, 200])
    weights: Literal["transformer", "average"] = setting("transformer")
    layers: int = setting(2, low=1, high=32)
    heads: int = setting(2, low=1, high=64, note="divides embedding")
    inner: int = setting(256, low=1, high=16_384)
    embedding_dropout: float = setting(0.2, low=0.0, high=0.99, search=(0.0, 0.5))
    dropout: float = setting(0.5, low=0.0, high=0.99, search=(0.0, 0.7))
    temperature: float = setting(0.07, low=0.001, high=100.0, search=[0.01, 0.05, 0.07, 0.1, 1.0])

    def network(self, n_items: int) -> Network:
        if self.embedding % self.heads:
            raise UsageError(f"core.heads={self.heads}: must divide core.embedding, which is {self.embedding}")
        return Network(self, n_items)


class Network(QueryNetwork):
    """The network that computes the equations above."""

    def __init__(self, core: CORE, n_items: int) -> None:
        super().__init__()
        D = core.embedding
        self.temperature = core.temperature
        self.emb = nn.Embedding(n_items, D)
        self.embedding_dropout = nn.Dropout(core.embedding_dropout)
        self.weights = Weights(core) if core.weights == "transformer" else None
        nn.init.uniform_(self.emb.weight, -1 / math.sqrt(D), 1 / math.sqrt(D))

    def forward(self, batch: Batch) -> Scoring:
        x = self.embedding_dropout(self.emb(batch.items))  # (B, T, D)
        alpha = batch.mask.to(x.dtype) / batch.lengths[:, None]  # (B, T)
        if self.weights is not None:
            alpha = torch.softmax(self.weights(x).masked_fill(~batch.mask, -math.inf), 1)
        h = F.normalize((alpha[..., None] * x).sum(1), dim=1)  # (B, D)
        rows = F.normalize(self.embedding_dropout(self.emb.weight), dim=1)  # (m, D)
        return h / self.temperature, rows, None


class Weights(nn.Module):
    """The logits of alpha."""

    def __init__(self, core: CORE) -> None:
        super().__init__()
        D = core.embedding
        self.place = nn.Embedding(core.longest, D)
        self.norm = nn.LayerNorm(D)
        self.dropout = nn.Dropout(core.dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(D, core.heads, core.inner, core.dropout, "gelu", batch_first=True)
            for _ in range(core.layers)
        )
        self.w = nn.Linear(D, 1)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T)
        T = x.shape[1]
        hidden = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)  # a click sees itself and those before it
        y = self.dropout(self.norm(x + self.place.weight[:T]))
        for block in self.blocks:
            y = block(y, src_mask=hidden)
        logits: Tensor = self.w(y)[..., 0]
        return logits
