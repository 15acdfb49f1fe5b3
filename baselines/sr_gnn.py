"""SR-GNN: the session as a graph of its items, read by a gated graph network, then by attention.

Wu, Tang, Zhu, Wang, Xie, Tan: Session-based Recommendation with Graph Neural Networks, AAAI 2019.

    A_out[i, j] = (times j was clicked right after i) / (times anything was)     A_in likewise, of the edges reversed
    a = [A_out V H_out ; A_in V H_in] + b
    z = sigma(W_z a + U_z v)     r = sigma(W_r a + U_r v)     v^ = tanh(W_o a + U_o (r * v))     v' = (1 - z) v + z v^
    alpha_i = q . sigma(W_1 v_n + W_2 v_i + c),  i over the clicks, v_n the last     s_g = sum_i alpha_i v_i
    s_h = W_3 [v_n ; s_g]        score_i = s_h . emb_i, softmax over items, cross-entropy

alpha is not normalised: the paper has no softmax there. W_z, W_r and W_o have a bias, which the paper leaves out.

The authors' code is a different model, and the published numbers are presumably from it. Both are here; the default is
the paper's, since a reader can check it against its source. The model of the code has `form` code and `edges` binary
(`table2 --beyond --model sr_gnn --set sr_gnn.form=code sr_gnn.edges=binary`):

    a = [A_out (V H_out + b_out) ; A_in (V H_in + b_in)] + b
    z, r as above, with a bias in U_z and U_r too     v^ = tanh(W_o a + r * (U_o v + b_o))     W_2 and W_3 have a bias
    A_out[i, j] = (whether j was ever clicked right after i) / (number of items that were)     A_in likewise

The authors' code still differs: it trains on all prefixes, reports the best epoch on test and stops ten epochs after
it. Its z is 1 - z here, which is the same model with some weights negated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from reproduce.fitting import padding
from reproduce.fitting.batches import Batch
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.recommender import setting


@dataclass(kw_only=True)
class SRGNN(DotProduct):
    """SR-GNN with the paper's settings: 100 dimensions, batches of 100, Adam at 0.001, L2 1e-5.

    The learning rate is multiplied by 0.1 every 3 epochs.

    Args:
        embedding: the size of an item's embedding and of every state, D.
        form: the paper's equations or those of the authors' code.
        edges: whether a transition that a session repeats counts each time or once; the authors' code counts it once.
        steps: how often messages pass along the edges.
        l2: the strength of the L2 penalty, given to Adam as its weight decay.
        rate_decay: the factor on the learning rate after every `rate_decay_every` epochs.
        rate_decay_every: the number of epochs with the same learning rate.
    """

    name: ClassVar[str] = "sr_gnn"
    label: ClassVar[str] = "SR-GNN"

    batch: int = setting(100, low=1, high=100_000)
    truncation: Literal["first", "last", "none"] = setting("none")
    embedding: int = setting(100, low=1, high=10_000, search=[50, 100, 200])
    form: Literal["paper", "code"] = setting("paper", note="see this file's head")
    edges: Literal["counted", "binary"] = setting("counted", note="the paper's; the authors' code is binary")
    steps: int = setting(1, low=1, high=100, search=[1, 2, 3], note="of message passing")
    l2: float = setting(1e-5, low=0.0, high=1.0)
    rate_decay: float = setting(0.1, low=0.0, high=1.0, note="factor on the learning rate")
    rate_decay_every: int = setting(3, low=1, high=10_000, note="epochs")

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), lr=self.learning_rate, weight_decay=self.l2, fused=True)

    def schedule(self, optimiser: torch.optim.Optimizer, epoch: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = self.learning_rate * self.rate_decay ** ((epoch - 1) // self.rate_decay_every)


class Network(QueryNetwork):
    """The network that computes the equations above."""

    def __init__(self, sr_gnn: SRGNN, n_items: int) -> None:
        super().__init__()
        D = sr_gnn.embedding
        code = sr_gnn.form == "code"
        self.steps, self.binary, self.reset_after = sr_gnn.steps, sr_gnn.edges == "binary", code
        self.emb = nn.Embedding(n_items, D)
        self.H = nn.Linear(D, 2 * D, bias=code)  # H_out, H_in
        self.b = nn.Parameter(torch.empty(2 * D))
        self.W_zro = nn.Linear(2 * D, 3 * D)  # with the biases of W_z, W_r and W_o
        self.U_zr = nn.Linear(D, 2 * D, bias=code)
        self.U_o = nn.Linear(D, D, bias=code)
        self.W1 = nn.Linear(D, D)  # its bias is c
        self.W2 = nn.Linear(D, D, bias=code)
        self.q = nn.Linear(D, 1, bias=False)
        self.W3 = nn.Linear(2 * D, D, bias=code)
        for weight in self.parameters():  # the authors' rule; the paper says N(0, 0.1)
            nn.init.uniform_(weight, -1 / math.sqrt(D), 1 / math.sqrt(D))

    def forward(self, batch: Batch) -> Scoring:
        node, clicks, out, into = graph(batch, binary=self.binary, dtype=self.emb.weight.dtype)
        v = self.emb(batch.items)  # (B, T, D)
        for _ in range(self.steps):
            v = self.propagate(v, out, into)
        last = padding.at_last_click(node, batch.lengths)  # (B,)
        v_n = v[torch.arange(len(v), device=v.device), last]  # (B, D)
        alpha = self.q(torch.sigmoid(self.W1(v_n)[:, None] + self.W2(v)))  # (B, T, 1)
        s_g = (clicks[..., None] * alpha * v).sum(1)  # (B, D): a node counts as often as it was clicked
        return self.W3(torch.cat([v_n, s_g], 1)), self.emb.weight, None

    def propagate(self, v: Tensor, out: Tensor, into: Tensor) -> Tensor:
        """Return the states v, (B, T, D), after one step of the gated graph network; A_out and A_in are (B, T, T)."""
        h_out, h_in = self.H(v).chunk(2, 2)  # (B, T, D) each
        a = torch.cat([out @ h_out, into @ h_in], 2) + self.b  # (B, T, 2D)
        a_zr, a_o = self.W_zro(a).split([2 * v.shape[2], v.shape[2]], 2)
        z, r = torch.sigmoid(a_zr + self.U_zr(v)).chunk(2, 2)
        candidate = torch.tanh(a_o + (r * self.U_o(v) if self.reset_after else self.U_o(r * v)))
        return (1 - z) * v + z * candidate


def graph(batch: Batch, *, binary: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return each click's node, (B, T) int64, the clicks on each node, (B, T), and A_out and A_in, (B, T, T) each.

    An item's node is the position of its first click in the session; the positions of its later clicks have no clicks
    and no edges. With `binary` a repeated transition counts once.
    """
    mask = batch.mask  # (B, T)
    same = (batch.items[:, :, None] == batch.items[:, None, :]) & mask[:, None, :]  # (B, T, T)
    node = same.to(torch.uint8).argmax(2)  # (B, T), the first position with the same item
    places = torch.arange(batch.items.shape[1], device=node.device)  # (T,)
    one_hot = ((node[..., None] == places) & mask[..., None]).to(dtype)  # (B, T, T), the rows of padding are zero
    times = one_hot[:, :-1].transpose(1, 2) @ one_hot[:, 1:]  # (B, T, T): clicks on j right after i
    if binary:
        times = times.clamp(max=1)
    out = times / times.sum(2, keepdim=True).clamp(min=1)
    into = times.transpose(1, 2) / times.sum(1)[..., None].clamp(min=1)
    return node, one_hot.sum(1), out, into
