"""STAMP: attention over the clicks' embeddings, queried by the last click and the mean of all; no recurrence.

Liu, Zeng, Mokhosi, Zhang: STAMP: Short-Term Attention/Memory Priority Model for Session-based Recommendation, KDD 2018.

    m_s = mean of x_1..x_t     m_t = x_t
    alpha_j = w_0 . sigma(W_1 x_j + W_2 m_t + W_3 m_s + b_a)     m_a = sum_j alpha_j x_j
    h_s = tanh(A m_a + a)      h_t = tanh(B m_t + b)
    score_i = h_s . (h_t * x_i), softmax over items, cross-entropy

alpha is not normalised: the paper has no softmax there. One embedding serves clicks and candidates.

Departs from the paper: the sigmoid on score_i before the softmax is left out, as in the authors' code; it would not
change the order of the items, but it would keep every probability below e / m. The paper says mini-batch gradient
descent; the optimiser here is Adam, as in the authors' code.

The authors' code is a different model, trained in a different way, and the published numbers are presumably from it.
Both are here; the default is the paper's, since a reader can check it against its source. In the code

    h_s = tanh(A (m_a + m_s)), and there is no b_a, a or b                                   `form` code
    clicks' embeddings longer than 1 (YOOCHOOSE) or 1.5 (DIGINETICA) are scaled to that      `embedding_norm`
    the loss is a batch's sum, each tensor's gradient is cut to a length of 150 or 110       `gradient_norm`
    a batch has sessions of one length, and prefixes of one length from these                `batching` one-length

for 10 epochs, not 30. Learning rates, clipping and norms are per data set: paper/later_baselines.py has them, as the
row "STAMP (authors' code)" of `table2 --beyond`.

The authors' code still differs: it trains on all prefixes and reports the best epoch on test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from reproduce.fitting import padding
from reproduce.fitting.batches import Batch, Examples
from reproduce.fitting.dot_product import DotProduct, QueryNetwork, Scoring
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(kw_only=True)
class STAMP(DotProduct):
    """STAMP with the paper's settings: 100 dimensions, learning rate 0.005, batches of 512, 30 epochs, no truncation.

    Args:
        embedding: the size of an item's embedding and of every vector, D.
        embedding_init: the standard deviation of the embeddings at the start.
        init: the standard deviation of the other matrices at the start.
        form: the paper's equations or those of the authors' code.
        embedding_norm: the length to which longer embeddings of clicks are scaled; 0 leaves them as they are.
        gradient_norm: the length to which each tensor's gradient of the batch's summed loss is cut; 0 takes the
            gradient of the mean loss as it is.
        batching: whether a batch mixes prefixes of all lengths, or has prefixes of one length from sessions of one
            length. In that case all sessions of one length come before those of another, `batch` sessions at a time
            and their shortest prefixes first.
    """

    name: ClassVar[str] = "stamp"
    label: ClassVar[str] = "STAMP"

    learning_rate: float = setting(0.005, low=1e-6, high=1.0, search=(1e-4, 1e-2))
    truncation: Literal["first", "last", "none"] = setting("none")
    embedding: int = setting(100, low=1, high=10_000, search=[50, 100, 200])
    embedding_init: float = setting(0.002, low=0.0, high=10.0)
    init: float = setting(0.05, low=0.0, high=10.0)
    form: Literal["paper", "code"] = setting("paper", note="see this file's head")
    embedding_norm: float = setting(0.0, low=0.0, high=1e6, note="the paper; the authors' code 1 or 1.5")
    gradient_norm: float = setting(0.0, low=0.0, high=1e6, note="the paper; the authors' code 150 or 110")
    batching: Literal["mixed", "one-length"] = setting("mixed", note="the paper; the authors' code is one-length")

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)

    def part(self, train: Sessions, rng: np.random.Generator, device: torch.device) -> tuple[Any, Sessions, np.ndarray]:
        training, held_out, labels = super().part(train, rng, device)
        if self.batching == "one-length":
            training = OneLength.of(training, train)
        return training, held_out, labels

    def batches(self, training: Any) -> Iterator[Any]:
        return training.batches(self.batch) if self.batching == "one-length" else super().batches(training)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        mean = super().loss(network, batch)
        if not self.gradient_norm:
            return mean
        total = mean * len(batch)
        return total + (mean - total).detach()  # the value is the mean's, the gradient the sum's

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        optimiser = super().optimiser(network)
        if self.gradient_norm:
            cut = partial(cut_gradients, list(network.parameters()), self.gradient_norm)
            optimiser.register_step_pre_hook(lambda *_: cut())
        return optimiser


class Network(QueryNetwork):
    """The network that computes the equations above."""

    def __init__(self, stamp: STAMP, n_items: int) -> None:
        super().__init__()
        D = stamp.embedding
        bias = stamp.form == "paper"
        self.code, self.norm = stamp.form == "code", stamp.embedding_norm
        self.emb = nn.Embedding(n_items, D)
        self.W1 = nn.Linear(D, D, bias=bias)  # its bias is b_a
        self.W2 = nn.Linear(D, D, bias=False)
        self.W3 = nn.Linear(D, D, bias=False)
        self.w0 = nn.Linear(D, 1, bias=False)
        self.A = nn.Linear(D, D, bias=bias)
        self.B = nn.Linear(D, D, bias=bias)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=stamp.embedding_init if name == "emb.weight" else stamp.init)

    def forward(self, batch: Batch) -> Scoring:
        x = self.emb(batch.items) * batch.mask[..., None]  # (B, T, D)
        if self.norm:
            x = shortened(x, self.norm)
        m_s = x.sum(1) / batch.lengths[:, None]  # (B, D)
        m_t = padding.at_last_click(x, batch.lengths)  # (B, D)
        alpha = self.w0(torch.sigmoid(self.W1(x) + (self.W2(m_t) + self.W3(m_s))[:, None]))  # (B, T, 1)
        m_a = (alpha * x).sum(1)  # (B, D), padding is 0 in x
        read = m_a + m_s if self.code else m_a  # (B, D)
        return torch.tanh(self.A(read)) * torch.tanh(self.B(m_t)), self.emb.weight, None


def shortened(x: Tensor, norm: float) -> Tensor:
    """Scale the vectors of the last axis that are longer than `norm` to that length."""
    return x * (norm / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp(min=norm))


def cut_gradients(parameters: list[nn.Parameter], norm: float) -> None:
    """Scale the gradient of each parameter separately to at most the length `norm`."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.copy_(shortened(parameter.grad.flatten(), norm).view_as(parameter.grad))


@dataclass(frozen=True)
class OneLength:
    """Training examples with their sessions, for batches of one length."""

    examples: Examples
    session: np.ndarray  # (n,) the session that each example belongs to
    lengths: np.ndarray  # (sessions,) clicks of each session

    @classmethod
    def of(cls, examples: Examples, train: Sessions) -> OneLength:
        """Find the session of each example; examples are spans of the training sessions, which do not overlap."""
        order = np.argsort(train.starts, kind="stable")
        starts = examples.starts.cpu().numpy()  # (n,)
        session = order[np.searchsorted(train.starts[order], starts, side="right") - 1]
        return cls(examples, session, train.lengths)

    def __len__(self) -> int:
        return len(self.examples)

    def batches(self, most: int) -> Iterator[Batch]:
        """Yield batches of one session length and one prefix length.

        Session lengths come in random order; the sessions of a length are shuffled and taken `most` at a time; their
        prefixes follow one length after the other, the shortest first.
        """
        place = torch.randperm(len(self.lengths)).numpy()  # drawn on the CPU: the same on every device
        order = np.lexsort([place, self.lengths])  # (sessions,) by length
        within = np.empty(len(order), dtype=np.int64)  # (sessions,) place among those of its length
        within[order] = np.arange(len(order)) - np.searchsorted(self.lengths[order], self.lengths[order])
        turn = torch.randperm(int(self.lengths.max(initial=0)) + 1).numpy()[self.lengths]  # (sessions,)
        prefix = self.examples.on_host.numpy()  # (n,)
        keys = np.stack([turn[self.session], within[self.session] // most, prefix])  # (3, n)
        index = np.lexsort(keys[::-1])
        ends = np.flatnonzero((np.diff(keys[:, index], axis=1) != 0).any(0)) + 1
        groups = pairwise([0, *ends.tolist(), len(index)])
        # At most `most` examples: several truncated prefixes of a session can have the same length.
        parts = (slice(at, min(at + most, end)) for begin, end in groups for at in range(begin, end, most))
        yield from self.examples.batches(torch.as_tensor(index), parts)
