"""NARM: a GRU whose states are read twice, once as the whole session and once by attention.

Li, Ren, Chen, Ren, Lian, Ma: Neural Attentive Session-based Recommendation, CIKM 2017, arXiv 1711.04725, section 3.

    z_t = sigma(W_z x_t + U_z h_{t-1})        r_t = sigma(W_r x_t + U_r h_{t-1})
    h^_t = tanh(W x_t + U (r_t * h_{t-1}))    h_t = (1 - z_t) h_{t-1} + z_t h^_t
    c_global = h_t                            alpha_tj = v^T sigma(A_1 h_t + A_2 h_j),  c_local = sum_j alpha_tj h_j
    c_t = [c_global ; c_local]                score_i = emb_i^T B c_t, softmax over items, cross-entropy

Taken from the authors' code, because it matters: a softmax over alpha's valid positions, the first 19 clicks of a
longer prefix, their initialisation, dropout on the GRU's input and on c_t only, validation on a tenth of the prefixes.

Departs from the paper: `cell` torch applies the reset gate after the matrix product and has a second bias vector, which
is what the fast kernels compute; dropout is inverted (scaled in training, not in test); early stopping (`patience`).

The authors' code also differs in ways that no field restores. Embeddings and softmax cover the 37,483 items of the full
log and a row for padding, so that their embeddings start with sd 0.0073, ours over the 17,745 items of 1/64 with sd
0.0106. Dropout is not scaled in training, so that at the start our logits are twice theirs and our GRU's inputs 1.33
times theirs. The loss adds 1e-8 inside the logarithm. Validation resolves ties in favour of the target.

Their sigmoids are hard, as with `cell` authors and `attention_sigmoid` hard. In the linear range of a hard sigmoid
A_1 h_t adds the same to every click and cancels in the softmax: such an attention ignores the query until units
saturate. `extras` says how many do; `attention_query` none removes the query altogether.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from reproduce.evaluation import devices
from reproduce.fitting import padding
from reproduce.fitting.batches import Batch
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions

SATURATED = 2.5  # a hard sigmoid, clip(0.2 x + 0.5, 0, 1), is constant from |x| = 2.5 on


@dataclass(kw_only=True)
class NARM(DotProduct):
    """NARM and, by its fields, the models it is compared with in the paper's Tables 2 and 4.

    Args:
        embedding: the size of an item's embedding, D.
        hidden: the units of the GRU and of the attention, H.
        encoder: what c_t consists of: [c_global ; c_local], c_global or c_local.
        decoder: score_i = emb_i^T B c_t, or row i of a separate matrix times c_t, plus a bias.
        attention: a softmax over the clicks, or alpha as the paper prints it.
        attention_query: whether the attention depends on h_t, or only on the click that it weights (A_1 = 0).
        attention_sigmoid: the sigma in alpha: smooth, or clip(0.2 x + 0.5, 0, 1).
        cell: the GRU used: torch's, the paper's, or the paper's with hard sigmoids in its gates.
        init: the initial weights: the authors' rule or torch's.
        embedding_dropout: the share of the GRU's inputs that is set to 0 in training.
        session_dropout: the share of c_t that is set to 0 in training.
    """

    name: ClassVar[str] = "narm"
    label: ClassVar[str] = "NARM"

    embedding: int = setting(50, low=1, high=10_000, search=[50, 100])
    hidden: int = setting(100, low=1, high=10_000, search=[50, 100, 200])
    encoder: Literal["hybrid", "global", "local"] = setting("hybrid")
    decoder: Literal["bilinear", "fully-connected"] = setting("bilinear")
    attention: Literal["softmax", "raw"] = setting("softmax", note="authors' code; the paper's eq. 7 is raw")
    attention_query: Literal["h_t", "none"] = setting("h_t", before="h_t")
    attention_sigmoid: Literal["smooth", "hard"] = setting("smooth", note="the paper; the authors' code is hard")
    cell: Literal["torch", "paper", "authors"] = setting("torch", note="ours, for speed: see this file's head")
    init: Literal["authors", "torch"] = setting("authors")
    embedding_dropout: float = setting(0.25, low=0.0, high=0.99, search=(0.0, 0.5))
    session_dropout: float = setting(0.5, low=0.0, high=0.99, search=(0.0, 0.7))

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)

    def extras(self, prefixes: Sessions) -> dict[str, Any]:
        """Return two numbers for every click of every prefix after truncation, 0 beyond its end, (n, T) float32 each.

        attention: the click's weight; all 0 without a local encoder.
        saturated: the share of the attention's units with |A_1 h_t + A_2 h_j| >= 2.5, where a hard sigmoid is constant
        and a smooth one within 0.08 of 0 or 1. Only with a local encoder.
        """
        assert isinstance(self.network_, Network)
        with torch.inference_mode(), deterministic():
            read = self.network_.read(self.as_batch(prefixes))
            return {name: value.cpu().numpy() for name, value in read.items()}


class Network(QueryNetwork):
    """The network that computes the equations above, with the paper's letters."""

    def __init__(self, narm: NARM, n_items: int) -> None:
        super().__init__()
        D, H = narm.embedding, narm.hidden
        C = 2 * H if narm.encoder == "hybrid" else H
        self.encoder, self.weights = narm.encoder, narm.attention
        self.sigma = hard_sigmoid if narm.attention_sigmoid == "hard" else torch.sigmoid
        self.emb = nn.Embedding(n_items, D)
        self.input_dropout = nn.Dropout(narm.embedding_dropout)
        self.gru = TorchCell(D, H) if narm.cell == "torch" else ResetFirstCell(D, H, hard=narm.cell == "authors")
        if narm.encoder != "global":
            self.A1 = nn.Linear(H, H, bias=False) if narm.attention_query == "h_t" else None
            self.A2 = nn.Linear(H, H, bias=False)
            self.v = nn.Linear(H, 1, bias=False)
        self.session_dropout = nn.Dropout(narm.session_dropout)
        self.B = nn.Linear(C, D, bias=False) if narm.decoder == "bilinear" else None
        self.out = nn.Linear(C, n_items) if narm.decoder == "fully-connected" else None
        if narm.init == "authors":
            self.initialise()

    def initialise(self) -> None:
        """Apply the authors' rule: N(0, 2 / fan), fan being the first axis of a matrix in their layout; biases 0."""
        normal(self.emb.weight, fan=self.emb.num_embeddings)
        self.gru.initialise()
        if self.encoder != "global":
            if self.A1 is not None:
                normal(self.A1.weight, fan=self.A1.out_features)
            normal(self.A2.weight, fan=self.A2.out_features)
            normal(self.v.weight, fan=1)  # they keep v as one row
        if self.B is not None:
            normal(self.B.weight, fan=self.B.out_features)
        if self.out is not None:
            normal(self.out.weight, fan=self.out.in_features)
            nn.init.zeros_(self.out.bias)

    def forward(self, batch: Batch) -> Scoring:
        h_t, h = self.states(batch)  # (B, H), (B, T, H)
        if self.encoder == "global":
            return self.decode(self.session_dropout(h_t))
        alpha = self.attention(h_t, h, batch.mask)  # (B, T)
        c_local = (alpha[:, None, :] @ h)[:, 0]  # (B, H)
        c = c_local if self.encoder == "local" else torch.cat([h_t, c_local], 1)  # (B, C)
        return self.decode(self.session_dropout(c))

    def read(self, batch: Batch) -> dict[str, Tensor]:
        """Return what `NARM.extras` reports, for a batch."""
        if self.encoder == "global":
            return {"attention": torch.zeros_like(batch.items, dtype=self.emb.weight.dtype)}  # (B, T)
        h_t, h = self.states(batch)
        saturated = (self.seen(h_t, h).abs() >= SATURATED).to(h.dtype).mean(2)  # (B, T)
        return {"attention": self.attention(h_t, h, batch.mask), "saturated": saturated * batch.mask}

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return h_t, (B, H), and all h_j, (B, T, H)."""
        h = self.gru(self.input_dropout(self.emb(batch.items)), batch.lengths)
        return padding.at_last_click(h, batch.lengths), h

    def attention(self, h_t: Tensor, h: Tensor, mask: Tensor) -> Tensor:
        """Return alpha_tj, (B, T): positive, summing to 1 over the clicks; with `raw` the paper's eq. 7 as printed."""
        q = self.ask_all(h_t, h) if devices.as_cuda(h.device) else self.ask_clicks(h_t, h, mask)  # (B, T)
        if self.weights == "raw":
            return q.masked_fill(~mask, 0.0)
        return torch.softmax(q.masked_fill(~mask, -math.inf), 1)

    def ask_all(self, h_t: Tensor, h: Tensor) -> Tensor:
        """Return q(h_t, h_j), (B, T), padding included, so that shapes stay fixed."""
        return self.v(self.sigma(self.seen(h_t, h)))[..., 0]

    def ask_clicks(self, h_t: Tensor, h: Tensor, mask: Tensor) -> Tensor:
        """Return q(h_t, h_j), (B, T), for real clicks only; 0 in the padding, which is three quarters of a batch."""
        clicks = mask.flatten().nonzero()[:, 0]  # (clicks,)
        seen = self.A2(h.flatten(0, 1).index_select(0, clicks))  # (clicks, H)
        if self.A1 is not None:
            seen = self.A1(h_t).index_select(0, clicks // mask.shape[1]) + seen
        q = h.new_zeros(mask.numel()).index_copy(0, clicks, self.v(self.sigma(seen))[:, 0])
        return q.view(mask.shape)

    def seen(self, h_t: Tensor, h: Tensor) -> Tensor:
        """Return A_1 h_t + A_2 h_j, (B, T, H), padding included."""
        return self.A2(h) if self.A1 is None else self.A1(h_t)[:, None] + self.A2(h)

    def decode(self, c: Tensor) -> Scoring:
        """Return queries, item rows and biases for c_t, (B, C)."""
        if self.out is not None:
            return c, self.out.weight, self.out.bias
        assert self.B is not None
        return self.B(c), self.emb.weight, None


class TorchCell(nn.Module):
    """torch's GRU: the reset gate after the matrix product, two bias vectors."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__()
        self.gru = nn.GRU(D, H, batch_first=True)

    def initialise(self) -> None:
        inputs, recurrent, *biases = self.gru.parameters()
        normal(inputs, fan=self.gru.input_size)
        for gate in recurrent.chunk(3):
            nn.init.orthogonal_(gate)
        for bias in biases:
            nn.init.zeros_(bias)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # (B, T, D), (B,) -> (B, T, H)
        return padding.gru_states(self.gru, x, lengths)


class ResetFirstCell(nn.Module):
    """The paper's GRU: the reset gate before the matrix product, one bias vector.

    With `hard` its gates are hard sigmoids, as in the authors' code.
    """

    def __init__(self, D: int, H: int, *, hard: bool) -> None:
        super().__init__()
        self.W = nn.Linear(D, 3 * H)  # z, r, candidate
        self.U_zr = nn.Linear(H, 2 * H, bias=False)
        self.U = nn.Linear(H, H, bias=False)
        self.sigma = hard_sigmoid if hard else torch.sigmoid

    def initialise(self) -> None:
        normal(self.W.weight, fan=self.W.in_features)
        nn.init.zeros_(self.W.bias)
        for gate in (*self.U_zr.weight.chunk(2), self.U.weight):
            nn.init.orthogonal_(gate)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # (B, T, D), (B,) -> (B, T, H)
        # Padding comes after a row's clicks, so what is computed there reaches no state that is read.
        inputs = self.W(x)  # (B, T, 3H)
        h = x.new_zeros(len(x), self.U.in_features)  # (B, H)
        states = []
        for step in range(x.shape[1]):
            in_zr, in_c = inputs[:, step].split([2 * h.shape[1], h.shape[1]], 1)
            z, r = self.sigma(in_zr + self.U_zr(h)).chunk(2, 1)  # (B, H), (B, H)
            candidate = torch.tanh(in_c + self.U(r * h))  # (B, H)
            h = (1 - z) * h + z * candidate
            states.append(h)
        return torch.stack(states, 1)


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return clip(0.2 x + 0.5, 0, 1), as in the authors' code."""
    return torch.clamp(0.2 * x + 0.5, 0, 1)


def normal(weight: Tensor, *, fan: int) -> None:
    nn.init.normal_(weight, std=math.sqrt(2 / fan))
