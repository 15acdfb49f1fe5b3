"""GRU-Rec: a GRU over sessions side by side, trained with a ranking loss against the other sessions' next clicks.

Hidasi, Karatzoglou, Baltrunas, Tikk: Session-based Recommendations with Recurrent Neural Networks, ICLR 2016. Not Tan's
Improved GRU-Rec, which trains on prefixes one by one with cross-entropy over all items.

    r_t, z_t = sigma(E_rz[x_t] + U_rz h_{t-1} + b_rz)      h^_t = tanh(E_c[x_t] + U (r_t * h_{t-1}) + b)
    h_t = (1 - z_t) h_{t-1} + z_t h^_t                     s_i = f(w_i . h_t + b_i),  f = tanh
    TOP1 = mean_j sigma(s_j - s_i) + sigma(s_j^2)          BPR = -mean_j ln sigma(s_i - s_j)

E is the one-hot input times the input matrix. A batch is one click of each of `batch` sessions; its negatives j are the
next clicks of the other sessions. States are carried from step to step without gradient and are zero where a session
begins.
Adagrad with momentum, dropout on h_t (the dropped state is also what is carried on), uniform Glorot initialisation,
sessions in time order.

Defaults: the paper's settings for TOP1 on RSC15, except the learning rate of 0.05, which is the default of the public
code's constructor in every version of 2016. The paper's 0.01 is also that of the code's example script, and is meant
for the whole log. The NARM paper gives none. On YOOCHOOSE 1/64, with a 64th of the steps, the public code at 0.01
stays 14 points of Recall@20 below the GRU-Rec of the NARM paper; at 0.05 it matches it. (The constructor's dropout was
0.4 in April 2016 and 0.5 from September on.) The paper's settings for BPR are loss_function=bpr, dropout=0.2,
momentum=0.2.

The fields also give the 2018 form: Hidasi, Karatzoglou: Recurrent Neural Networks with Top-k Gains, CIKM 2018.
`softmax_j` is over the negatives; `negatives` more of them are drawn for the whole batch, with probabilities
proportional to clicks ** `alpha`.

    TOP1-max = sum_j softmax_j (sigma(s_j - s_i) + sigma(s_j^2))
    BPR-max  = -ln sum_j softmax_j sigma(s_i - s_j) + penalty sum_j softmax_j s_j^2
    cross-entropy = -ln softmax(s)_i over i and its negatives

With `embeddings` tied, E[x] = w_x W with one matrix W: the rows that score an item also represent a click on it. `logq`
corrects the scores for how often an item is a negative (Bengio and Senecal 2008), as the authors' code does: before the
loss, s_j is lowered by logq ln P_j if j is in the batch and by logq alpha ln P_j if it was drawn, where P_j is the
share of item j in the training clicks.

When no session is left to begin, an epoch goes on with fewer sessions. The gradient of such a short step is the sum of
the rows' gradients over `batch`, as in the authors' code since June 2018: the mean over the few rows that are left
would give a single session the weight of a whole batch, which at the high learning rates of the 2018 form ruins the
weights. In the code of 2016 an epoch ends before its first short step (`short_steps` dropped).

Three departures from the published code are defaults, and each has a field that follows the code instead:
- a negative that is the target itself is left out, as in the equations, in which j is not i; own_target=counted counts
  it, and takes the mean over the target's own column too, whose gradient is 0;
- the gradients of a row that occurs twice in a batch are added before Adagrad, which is the gradient of the loss and
  what the authors' later PyTorch version does; duplicates=separate gives each occurrence its own step
  (reproduce/fitting/adagrad.py);
- a tenth of the sessions is held out to choose the epoch; validation=none trains on all sessions and keeps the last
  epoch.
Scores are w_i . h + b_i without f; leaving f out changes their order only where f is flat.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.fitting.adagrad import Duplicates, MomentumAdagrad
from reproduce.fitting.batches import Batch
from reproduce.fitting.neural import Neural
from reproduce.fitting.recommender import setting
from reproduce.reading.sessions import Sessions


@dataclass(frozen=True)
class Step:
    """One step: a click of each active session, and the click after it."""

    items: Tensor  # (B,)
    targets: Tensor  # (B,)
    begins: Tensor  # (B,) whether it is the session's first click
    lanes: Tensor  # (B,) the row in which the session's state is carried
    negatives: Tensor  # (N,) drawn for this step
    log_q: Tensor  # (B + N,) ln P of the targets, alpha ln P of the negatives

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Lanes:
    """The steps of an epoch: all their clicks in order, those of step t at bounds[t]:bounds[t + 1]."""

    items: Tensor  # (n,)
    targets: Tensor  # (n,)
    begins: Tensor  # (n,)
    lanes: Tensor  # (n,)
    bounds: list[int]  # (steps + 1,)
    chances: Tensor  # (m,) cumulative probabilities with which items are drawn as negatives, rising to 1
    log_shares: Tensor  # (m,) ln P, the share of each item in the clicks; 0 for an item without clicks
    alpha: float

    def __len__(self) -> int:
        return len(self.items)

    def steps(self, negatives: int, at_least: int = 1) -> Iterator[Step]:
        """Yield the steps up to the first one with fewer than `at_least` sessions, with `negatives` drawn for each."""
        last = len(self.chances) - 1
        for begin, end in pairwise(self.bounds):
            if end - begin < at_least:
                return
            drawn = torch.rand(negatives, device=self.chances.device, dtype=self.chances.dtype)
            more = torch.searchsorted(self.chances, drawn, right=True).clamp(max=last)
            at = slice(begin, end)
            targets = self.targets[at]
            log_q = torch.cat([self.log_shares[targets], self.alpha * self.log_shares[more]])
            yield Step(self.items[at], targets, self.begins[at], self.lanes[at], more, log_q)


@dataclass(kw_only=True)
class GRU4Rec(Neural):
    """GRU4Rec in its ICLR 2016 form; its fields also give the 2018 form.

    Args:
        hidden: the units of the GRU.
        loss_function: one of the losses above.
        activation: the function f; elu has alpha 0.5 and is meant for bpr-max.
        dropout: the share of h_t that is set to 0 in training.
        momentum: the share of the last step that is added to the next one.
        negatives: further negatives drawn for each batch.
        alpha: items are drawn as further negatives in proportion to their clicks to this power.
        penalty: the weight of the squared scores in bpr-max.
        embeddings: whether clicks have a matrix of their own or share that of the scores.
        logq: the strength of the correction for how often an item is a negative; 0 is none.
        short_steps: what becomes of the steps at the end of an epoch that have fewer sessions than `batch`: their
            gradients are divided by `batch`, or the epoch ends before the first of them.
        own_target: whether a negative that is the target itself is left out or counted.
        duplicates: whether the gradients of a row that occurs twice in a batch are added before Adagrad or take
            separate steps.
    """

    name: ClassVar[str] = "gru4rec"
    label: ClassVar[str] = "GRU-Rec"
    family: ClassVar[str] = "sampled"  # with any of its losses: mini-batches of sessions side by side

    hidden: int = setting(100, low=1, high=4096)
    loss_function: Literal["top1", "bpr", "top1-max", "bpr-max", "cross-entropy"] = setting("top1")
    activation: Literal["tanh", "linear", "elu"] = setting("tanh")
    dropout: float = setting(0.5, low=0.0, high=0.99, search=(0.0, 0.6))
    momentum: float = setting(0.0, low=0.0, high=0.99, search=(0.0, 0.5))
    negatives: int = setting(0, low=0, high=65_536, note="2018: 2048")
    alpha: float = setting(0.75, low=0.0, high=1.0, note="2018: 0.75 in the paper, 0 in the code's example")
    penalty: float = setting(1.0, low=0.0, high=1000.0)
    embeddings: Literal["separate", "tied"] = setting("separate", before="separate", note="2018: tied on some logs")
    logq: float = setting(0.0, low=0.0, high=10.0, before=0.0, note="the authors' code has it since 2018")
    short_steps: Literal["divided", "dropped"] = setting("divided", note="the code of 2016 drops them")
    own_target: Literal["left-out", "counted"] = setting(
        "left-out", before="left-out", note="the published code counts it"
    )
    duplicates: Duplicates = setting("added", before="added", note="the published code's are separate")
    learning_rate: float = setting(
        0.05, low=1e-6, high=1.0, search=(0.01, 0.3), note="the published constructor's; its example script has 0.01"
    )
    batch: int = setting(50, low=1, high=8192, search=[32, 50, 100, 200])
    epochs: int = setting(10, low=1, high=10_000, note="the published code's")
    validation: Literal["sessions", "none"] = setting("sessions", note="ours: the published code has none")
    truncation: Literal["first", "last", "none"] = setting("none")

    def part(self, train: Sessions, rng: np.random.Generator, device: torch.device) -> tuple[Lanes, Sessions, Any]:
        held_out = self.drawn(len(train), rng)
        kept = train.take(np.flatnonzero(~held_out))
        return (side_by_side(kept, self.batch, self.alpha, device), *train.take(np.flatnonzero(held_out)).prefixes())

    def batches(self, training: Lanes) -> Iterator[Step]:
        network = self.network_
        assert isinstance(network, Network)
        network.carried = torch.zeros(self.batch, self.hidden, device=training.items.device)
        yield from training.steps(self.negatives, self.batch if self.short_steps == "dropped" else 1)

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return MomentumAdagrad(network.parameters(), self.learning_rate, self.momentum, self.duplicates)

    def network(self, n_items: int) -> Network:
        return Network(self, n_items)

    def loss(self, network: nn.Module, batch: Step) -> Tensor:
        assert isinstance(network, Network)
        columns = torch.cat([batch.targets, batch.negatives])  # (B + N,)
        scores = ACTIVATIONS[self.activation](network.rate(network.go_on(batch), columns))  # (B, B + N)
        if self.logq:
            scores = scores - self.logq * batch.log_q
        wrong = columns != batch.targets[:, None]  # (B, B + N)
        if self.own_target == "counted":
            wrong = torch.ones_like(wrong).fill_diagonal_(False)
        rows = LOSSES[self.loss_function](scores.diagonal()[:, None], scores, wrong, self.penalty)  # (B,)
        if self.own_target == "counted" and self.loss_function in ("top1", "bpr"):
            rows = rows * (1 - 1 / len(columns))  # the mean includes the target's own column
        rows = rows * wrong.any(1)  # a row without a negative has nothing to learn from
        share = rows.sum() / self.batch
        return share + (rows.mean() - share).detach()  # the value is the mean's, the gradient the share's

    def scores(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, Network)
        return network.rate_all(network(batch))  # (B, m)

    def item_vectors(self) -> Tensor:
        assert isinstance(self.network_, Network)
        return self.network_.w.detach()


class Network(nn.Module):
    """The network that computes the equations above.

    `carried`, (batch, H), holds the states of the active sessions during an epoch; it is not learned.
    """

    carried: Tensor

    def __init__(self, model: GRU4Rec, n_items: int) -> None:
        super().__init__()
        H = model.hidden
        tied = model.embeddings == "tied"
        self.E = None if tied else nn.Parameter(torch.empty(n_items, 3 * H))  # candidate, r, z
        self.W = nn.Parameter(torch.empty(H, 3 * H)) if tied else None  # candidate, r, z
        self.b = nn.Parameter(torch.zeros(3 * H))
        self.U = nn.Parameter(torch.empty(H, H))
        self.U_rz = nn.Parameter(torch.empty(H, 2 * H))
        self.w = nn.Parameter(torch.empty(n_items, H))
        self.b_out = nn.Parameter(torch.zeros(n_items, 1))
        self.dropout = nn.Dropout(model.dropout)
        of_clicks = self.E if self.W is None else self.W
        assert of_clicks is not None
        for block in (*of_clicks.chunk(3, 1), self.U, *self.U_rz.chunk(2, 1), self.w):
            nn.init.xavier_uniform_(block)

    def step(self, items: Tensor, h: Tensor) -> Tensor:
        """Return h_t, (B, H), after clicks on `items`, (B,), from the states h, (B, H)."""
        H = h.shape[1]
        if self.E is not None:
            into = F.embedding(items, self.E, sparse=True) + self.b  # (B, 3H)
        else:
            assert self.W is not None
            into = torch.addmm(self.b, F.embedding(items, self.w, sparse=True), self.W)  # (B, 3H)
        r, z = torch.sigmoid(torch.addmm(into[:, H:], h, self.U_rz)).chunk(2, 1)  # (B, H), (B, H)
        candidate = torch.tanh(torch.addmm(into[:, :H], r * h, self.U))  # (B, H)
        return torch.lerp(h, candidate, z)

    def go_on(self, step: Step) -> Tensor:
        """Return the states after a step, (B, H), and carry them to the next one."""
        before = self.carried[step.lanes].masked_fill(step.begins[:, None], 0.0)
        h: Tensor = self.dropout(self.step(step.items, before))
        self.carried[step.lanes] = h.detach()
        return h

    def rate(self, h: Tensor, columns: Tensor) -> Tensor:
        """Return w_i . h + b_i, (B, N), of the items in `columns`, (N,), for every state, (B, H)."""
        bias = F.embedding(columns, self.b_out, sparse=True)[:, 0]
        return torch.addmm(bias, h, F.embedding(columns, self.w, sparse=True).T)

    def rate_all(self, h: Tensor) -> Tensor:
        return torch.addmm(self.b_out[:, 0], h, self.w.T)

    def forward(self, batch: Batch) -> Tensor:
        """Return the state after each whole prefix, (B, H), starting from zero."""
        h = torch.zeros(len(batch), self.w.shape[1], dtype=self.w.dtype, device=self.w.device)
        for t in range(batch.items.shape[1]):
            h = torch.where((t < batch.lengths)[:, None], self.step(batch.items[:, t], h), h)
        return h


def side_by_side(sessions: Sessions, batch: int, alpha: float, device: torch.device) -> Lanes:
    """Place the sessions in lanes, in their order; each takes the lane that is free first, or the lowest of several.

    A session of n clicks makes n - 1 steps; one of a single click makes none.
    """
    sessions = sessions.take(np.flatnonzero(sessions.lengths > 1))
    free = [(0, lane) for lane in range(batch)]  # (first free step, lane); already a heap
    place = np.empty((len(sessions), 2), dtype=np.int64)  # first step, lane
    for i, clicks in enumerate(sessions.lengths.tolist()):
        step, lane = free[0]
        place[i] = step, lane
        heapq.heapreplace(free, (step + clicks - 1, lane))
    prefixes, targets = sessions.prefixes()
    owner, first = sessions.prefix_owner(), prefixes.lengths == 1
    steps = place[owner, 0] + prefixes.lengths - 1  # (n,)
    order = np.lexsort((place[owner, 1], steps))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(steps))]).tolist()
    items, _ = sessions.clicks()
    clicks = np.bincount(items, minlength=sessions.n_items)
    chances = np.cumsum(np.where(clicks > 0, clicks.astype(np.float64) ** alpha, 0.0))
    log_shares = np.log(np.maximum(clicks, 1) / max(clicks.sum(), 1)) * (clicks > 0)
    tensor = partial(torch.as_tensor, device=device)
    return Lanes(
        tensor(prefixes.last[order]),
        tensor(targets[order]),
        tensor(first[order]),
        tensor(place[owner, 1][order]),
        bounds,
        tensor(chances / max(chances[-1], 1e-30)),
        tensor(log_shares.astype(np.float32)),
        alpha,
    )


# Each loss takes the target's score (B, 1), the scores of the batch's columns (B, N) and which of them are negatives
# (B, N), and returns (B,).


def top1(right: Tensor, scores: Tensor, wrong: Tensor, penalty: float) -> Tensor:
    return mean((torch.sigmoid(scores - right) + torch.sigmoid(scores**2)), wrong)


def bpr(right: Tensor, scores: Tensor, wrong: Tensor, penalty: float) -> Tensor:
    return -mean(F.logsigmoid(right - scores), wrong)


def top1_max(right: Tensor, scores: Tensor, wrong: Tensor, penalty: float) -> Tensor:
    return (shares(scores, wrong) * (torch.sigmoid(scores - right) + torch.sigmoid(scores**2))).sum(1)


def bpr_max(right: Tensor, scores: Tensor, wrong: Tensor, penalty: float) -> Tensor:
    share = shares(scores, wrong)
    return penalty * (share * scores**2).sum(1) - torch.log((share * torch.sigmoid(right - scores)).sum(1) + 1e-24)


def cross_entropy(right: Tensor, scores: Tensor, wrong: Tensor, penalty: float) -> Tensor:
    against = scores.masked_fill(~wrong, -torch.inf)
    return torch.logsumexp(torch.cat([right, against], 1), 1) - right[:, 0]


def mean(values: Tensor, among: Tensor) -> Tensor:
    """Return the mean of each row's values where `among` is true; 0 if it is true nowhere."""
    return (values * among).sum(1) / among.sum(1).clamp(min=1)


def shares(scores: Tensor, wrong: Tensor) -> Tensor:
    """Return the softmax over each row's negatives; 0 elsewhere."""
    return torch.softmax(scores.masked_fill(~wrong, -1e30), 1) * wrong


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "top1": top1,
    "bpr": bpr,
    "top1-max": top1_max,
    "bpr-max": bpr_max,
    "cross-entropy": cross_entropy,
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "linear": lambda scores: scores,
    "elu": lambda scores: F.elu(scores, alpha=0.5),
}
