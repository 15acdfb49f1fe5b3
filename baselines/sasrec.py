"""SASRec: a causal transformer over the session, trained at all its positions at once with a softmax over all items.

Kang, McAuley: Self-Attentive Sequential Recommendation, ICDM 2018; Klenitskiy, Vasilev: Turning Dross Into Gold Loss:
is BERT4Rec really better than SASRec?, RecSys 2023, for the loss over all items instead of one drawn negative.

    x_i = dropout(E[s_i] + P[i])
    a block:  q = LN(x)    h = q + MHA(q, x, x; causal)    z = LN(h)    x = z + FFN(z)
              FFN(z) = W_2 ReLU(W_1 z + b_1) + b_2
    score = E LN(x_t), softmax over items, cross-entropy at every position

Positions count from the first click that is kept. In training a session is read once, and each of its clicks is
predicted from those before it, which is why validation holds out whole sessions.

Departs from the paper: the loss above; the embeddings are not multiplied by sqrt(D). The width of 64, two blocks,
dropout of 0.2 and learning rate of 0.001 are the best in RecBole's benchmark of session-based models on DIGINETICA.
Ours: 50 clicks at most, which is the paper's for short sequences; 128 sessions a batch; N(0, 0.02) at the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.errors import UsageError
from reproduce.fitting import padding
from reproduce.fitting.batches import Batch, Examples
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.item_softmax import item_softmax
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(frozen=True)
class Passes:
    """Sessions side by side, each without its last click, and the next click at every position."""

    batch: Batch
    positions: Tensor  # (n,) where the clicks are in the flattened (B, T)
    targets: Tensor  # (n,) the click that follows each

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(kw_only=True)
class SASRec(DotProduct):
    """SASRec with the softmax over all items.

    Args:
        width: the size of an item's embedding and of every state, D.
        layers: the number of blocks.
        heads: the number of heads of the attention; it divides `width`.
        dropout: the share set to 0 in training: of x, of the attention's weights and of what a block adds.
        init: the standard deviation of embeddings and matrices at the start.
        batch: the number of sessions in a training step.
    """

    name: ClassVar[str] = "sasrec"
    label: ClassVar[str] = "SASRec (softmax)"

    batch: int = setting(128, low=1, high=100_000, note="ours: sessions")
    validation: Literal["sessions", "none"] = setting("sessions")
    truncation: Literal["first", "last"] = setting("last")
    longest: int = setting(50, low=1, high=10_000)
    width: int = setting(64, low=2, high=4096, search=[50, 64, 100, 128])
    layers: int = setting(2, low=1, high=32, search=[1, 2, 3])
    heads: int = setting(1, low=1, high=64, note="the paper's")
    dropout: float = setting(0.2, low=0.0, high=0.99, search=(0.0, 0.6))
    init: float = setting(0.02, low=0.0, high=10.0, note="ours")

    def part(self, train: Sessions, rng: np.random.Generator, device: torch.device) -> tuple[Any, Sessions, np.ndarray]:
        """Return the training sessions without their last clicks as examples, and the held-out prefixes."""
        held_out = self.drawn(len(train), rng)
        kept = train.take(np.flatnonzero(~held_out & (train.lengths > 1)))
        if self.truncation == "last":  # of a longer session the last `longest` clicks with a next one
            starts = np.maximum(kept.starts, kept.stops - self.longest - 1)
        else:
            starts = kept.starts
        inputs = Sessions(kept.items, starts, kept.stops - 1, kept.n_items)
        labels = kept.items[np.minimum(inputs.starts + self.longest, inputs.stops)]
        training = Examples.of(inputs, labels, self.truncation, self.longest, device)
        return training, *train.take(np.flatnonzero(held_out)).prefixes()

    def batches(self, training: Examples) -> Iterator[Passes]:
        order = torch.randperm(len(training))  # drawn on the CPU: the same on every device
        bounds = [*range(0, len(order), self.batch), len(order)]
        parts = [slice(begin, end) for begin, end in pairwise(bounds)]
        lengths = training.on_host[order]
        widths = [training.widest(order[part]) for part in parts]
        # All positions of the epoch are computed on the host and copied once.
        owner = torch.repeat_interleave(torch.arange(len(order)), lengths)
        step = torch.arange(len(owner)) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        width = torch.as_tensor(widths)[owner // self.batch]
        positions = ((owner % self.batch) * width + step).to(training.items.device)
        following = (training.starts[order.to(training.starts.device)][owner.to(training.starts.device)]) + 1
        targets = training.items[following + step.to(training.starts.device)]
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])[bounds].tolist()
        for k, batch in enumerate(training.batches(order, parts)):
            at = slice(ends[k], ends[k + 1])
            yield Passes(batch, positions[at], targets[at])

    def network(self, n_items: int) -> Network:
        if self.width % self.heads:
            raise UsageError(f"sasrec.heads={self.heads}: must divide sasrec.width, which is {self.width}")
        return Network(self, n_items)

    def loss(self, network: nn.Module, batch: Passes) -> Tensor:  # type: ignore[override]
        assert isinstance(network, Network)
        states = network.states(batch.batch.items).flatten(0, 1)  # (B T, D)
        return item_softmax(states.index_select(0, batch.positions), network.emb.weight, batch.targets)


class Network(QueryNetwork):
    """The network that computes the equations above."""

    def __init__(self, model: SASRec, n_items: int) -> None:
        super().__init__()
        D = model.width
        self.emb = nn.Embedding(n_items, D)
        self.place = nn.Embedding(model.longest, D)
        self.dropout = nn.Dropout(model.dropout)
        self.blocks = nn.ModuleList(Block(D, model.heads, model.dropout) for _ in range(model.layers))
        self.last_norm = nn.LayerNorm(D)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=model.init)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def states(self, items: Tensor) -> Tensor:
        """Return LN(x_i) at every position, (B, T, D); padding comes after a row's clicks, so no click sees it."""
        x = self.dropout(self.emb(items) + self.place.weight[: items.shape[1]])  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x)

    def forward(self, batch: Batch) -> Scoring:
        return padding.at_last_click(self.states(batch.items), batch.lengths), self.emb.weight, None


class Block(nn.Module):
    """One block: causal attention, then two layers at each position."""

    def __init__(self, D: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.share = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.query, self.key, self.value, self.out = (nn.Linear(D, D) for _ in range(4))
        self.W1, self.W2 = nn.Linear(D, D), nn.Linear(D, D)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, D)
        q = self.attention_norm(x)
        h = q + self.out(self.attend(self.query(q), self.key(x), self.value(x)))
        z = self.feed_norm(h)
        return z + self.dropout(self.W2(self.dropout(torch.relu(self.W1(z)))))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return softmax(q k / sqrt(D / heads)) v for every head, each position seeing itself and those before it."""
        q, k, v = (x.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))  # (B, heads, T, D / heads)
        share = self.share if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, dropout_p=share, is_causal=True).transpose(1, 2).flatten(2)
