"""SR-GNN: the session as a graph of its items, read by a gated graph network, then by attention.

Wu, Tang, Zhu, Wang, Xie, Tan: Session-based Recommendation with Graph Neural Networks, AAAI 2019.

    A_out[i, j] = (times j was clicked right after i) / (times anything was)     A_in likewise, of the edges reversed
    a = [A_out V H_out ; A_in V H_in] + b
    z = sigma(W_z a + U_z v)     r = sigma(W_r a + U_r v)     v^ = tanh(W_o a + U_o (r * v))     v' = (1 - z) v + z v^
    alpha_i = q . sigma(W_1 v_n + W_2 v_i + c),  i over the clicks, v_n the last     s_g = sum_i alpha_i v_i
    s_h = W_3 [v_n ; s_g]        score_i = s_h . emb_i, softmax over items, cross-entropy

alpha is not normalised: the paper has no softmax there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from reproduce.fitting import padding
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.neural import Batch
from reproduce.fitting.recommender import setting


@dataclass(kw_only=True)
class SRGNN(DotProduct):
    """The paper's settings: 100 dimensions, batches of 100, Adam at 0.001 times 0.1 every 3 epochs, L2 1e-5."""

    name: ClassVar[str] = "sr_gnn"
    label: ClassVar[str] = "SR-GNN"

    batch: int = setting(100, low=1)
    truncation: Literal["first", "last", "none"] = setting("none")
    embedding: int = setting(100, low=1, search=[50, 100, 200])
    steps: int = setting(1, low=1, search=[1, 2, 3])  # of message passing
    l2: float = setting(1e-5, low=0.0)
    rate_decay: float = setting(0.1, low=0.0, high=1.0, note="factor on the learning rate")
    rate_decay_every: int = setting(3, low=1, note="epochs")

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), lr=self.learning_rate, weight_decay=self.l2, fused=True)

    def schedule(self, optimiser: torch.optim.Optimizer, epoch: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = self.learning_rate * self.rate_decay ** ((epoch - 1) // self.rate_decay_every)


class Network(QueryNetwork):
    """The equations above."""

    def __init__(self, sr_gnn: SRGNN, n_items: int) -> None:
        super().__init__()
        D = sr_gnn.embedding
        self.steps = sr_gnn.steps
        self.emb = nn.Embedding(n_items, D)
        self.H = nn.Linear(D, 2 * D, bias=False)  # H_out, H_in
        self.b = nn.Parameter(torch.empty(2 * D))
        self.W_zro = nn.Linear(2 * D, 3 * D)  # their biases too
        self.U_zr = nn.Linear(D, 2 * D, bias=False)
        self.U_o = nn.Linear(D, D, bias=False)
        self.W1 = nn.Linear(D, D)  # its bias is c
        self.W2 = nn.Linear(D, D, bias=False)
        self.q = nn.Linear(D, 1, bias=False)
        self.W3 = nn.Linear(2 * D, D, bias=False)
        for weight in self.parameters():  # the authors' rule; the paper says N(0, 0.1)
            nn.init.uniform_(weight, -1 / math.sqrt(D), 1 / math.sqrt(D))

    def forward(self, batch: Batch) -> Scoring:
        node, out, into = graph(batch)
        v = self.emb(batch.items)  # (B, T, D)
        for _ in range(self.steps):
            v = self.propagate(v, out, into)
        v = v.gather(1, node[..., None].expand_as(v))  # (B, T, D): every click sees its item's node
        v_n = padding.at_last_click(v, batch.lengths)  # (B, D)
        alpha = self.q(torch.sigmoid(self.W1(v_n)[:, None] + self.W2(v)))  # (B, T, 1)
        s_g = (alpha * v * batch.mask[..., None]).sum(1)  # (B, D)
        return self.W3(torch.cat([v_n, s_g], 1)), self.emb.weight, None

    def propagate(self, v: Tensor, out: Tensor, into: Tensor) -> Tensor:
        """One step of the gated graph network: (B, T, D) and two (B, T, T) to (B, T, D)."""
        h_out, h_in = self.H(v).chunk(2, 2)  # (B, T, D) each
        a = torch.cat([out @ h_out, into @ h_in], 2) + self.b  # (B, T, 2D)
        a_zr, a_o = self.W_zro(a).split([2 * v.shape[2], v.shape[2]], 2)
        z, r = torch.sigmoid(a_zr + self.U_zr(v)).chunk(2, 2)
        candidate = torch.tanh(a_o + self.U_o(r * v))
        return (1 - z) * v + z * candidate


def graph(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Each click's node, (B, T), and A_out and A_in between nodes, (B, T, T).

    An item's node is the place of its first click in the session; the places of later ones have no edges.
    """
    mask = batch.mask  # (B, T)
    same = (batch.items[:, :, None] == batch.items[:, None, :]) & mask[:, None, :]  # (B, T, T)
    node = same.to(torch.uint8).argmax(2)  # (B, T), the first of equals
    one_hot = nn.functional.one_hot(node, batch.items.shape[1]).to(torch.float32) * mask[..., None]  # (B, T, T)
    times = one_hot[:, :-1].transpose(1, 2) @ one_hot[:, 1:]  # (B, T, T): clicks on j right after i
    # Padding's rows of one_hot are zero, so that there is no edge from the last click into it.
    out = times / times.sum(2, keepdim=True).clamp(min=1)
    into = times.transpose(1, 2) / times.sum(1)[..., None].clamp(min=1)
    return node, out, into
