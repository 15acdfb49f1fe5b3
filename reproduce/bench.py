"""`bench`: how fast a model trains and scores, and where a training step's time goes. On generated prefixes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from reproduce import catalog, ranking
from reproduce.experiment import choose_device, peak_memory_mib
from reproduce.item_softmax import item_softmax
from reproduce.neural import Neural, deterministic
from reproduce.sessions import Sessions

# The paper's catalogues as a split counts them: items of train and test, labels included.
CATALOGUES = {"yoochoose1_64": 17_745, "diginetica": 43_097}
STEPS = 40


def command(commands: Any) -> None:
    """Add it to the sub-commands of a parser."""
    parser = commands.add_parser("bench", help="training and scoring speed at the paper's catalogue sizes")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.set_defaults(answer=lambda options: report(choose_device(options.device)))


def report(device: torch.device) -> str:
    """A line per catalogue size: NARM's training and scoring speed."""
    lines = []
    for name, n_items in CATALOGUES.items():
        log = generated(n_items)
        model = catalog.make_recommender("narm")
        assert isinstance(model, Neural)
        step = time_step(model, log, device)
        scored = scoring_speed(model, log)
        lines.append(
            [
                f"narm, {n_items:,} items ({name})",
                f"{model.batch / step.total:,.0f}",
                f"{step.total * 1e3:.1f}",
                f"{step.encoder * 1e3:.1f}",
                f"{step.softmax * 1e3:.1f}",
                f"{step.optimiser * 1e3:.1f}",
                f"{scored:,.0f}",
                f"{peak_memory_mib(device):,}",
            ]
        )
    head = ["", "training examples/s", "step ms", "encoder", "softmax", "optimiser", "prefixes scored/s", "peak MiB"]
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return f"{where}, torch {torch.__version__}\n\n" + tabulate(
        lines, head, disable_numparse=True, colalign=["left"] + ["right"] * 7
    )


@dataclass(frozen=True)
class StepTime:
    """Seconds of a training step and of its parts; the encoder is what the other two leave."""

    total: float
    softmax: float
    optimiser: float

    @property
    def encoder(self) -> float:
        return self.total - self.softmax - self.optimiser


def generated(n_items: int, sessions: int = 12_000) -> Sessions:
    """A log with lengths like the real ones: a mean prefix of about five clicks, a long tail."""
    rng = np.random.default_rng(0)
    lengths = (
        2 + rng.geometric(0.28, sessions) + np.where(rng.random(sessions) < 0.05, rng.integers(0, 40, sessions), 0)
    )
    return Sessions.packed(rng.integers(0, n_items, int(lengths.sum())), lengths, n_items)


def time_step(model: Neural, log: Sessions, device: torch.device) -> StepTime:
    """Median seconds of a step; then of the softmax over items and of the optimiser alone, at the same sizes."""
    model.device_ = device
    torch.manual_seed(0)
    model.network_ = network = model.network(log.n_items).to(device).train()
    optimiser = model.optimiser(network)
    training, _, _ = model.part(log, np.random.default_rng(0), device)
    batches = [batch for _, batch in zip(range(STEPS), model.batches(training), strict=False)]

    def step(batch: Any) -> None:
        optimiser.zero_grad(set_to_none=True)
        model.loss(network, batch).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    with deterministic():
        total = _median([_timed(lambda b=batch: step(b), device) for batch in batches])
        optimising = _median([_timed(lambda: optimiser.step(), device) for _ in batches])
        softmax = _median([_timed(lambda b=batch: _softmax(model, network, b), device) for batch in batches])
    network.eval()
    return StepTime(total, softmax, optimising)


def scoring_speed(model: Neural, log: Sessions) -> float:
    """Prefixes ranked against the full catalogue, a second."""
    prefixes, targets = log.prefixes()
    few = slice(0, 5_000)
    began = time.perf_counter()
    ranking.rank_all(model, prefixes.take(few), targets[few])
    return len(prefixes.take(few)) / (time.perf_counter() - began)


def _softmax(model: Neural, network: Any, batch: Any) -> None:
    query, rows, bias = network.decode(torch.zeros(len(batch), network.B.in_features, device=batch.items.device))
    loss: Tensor = item_softmax(query.detach().requires_grad_(), rows.detach().requires_grad_(), batch.labels, bias)
    loss.backward()  # type: ignore[no-untyped-call]


def _timed(work: Any, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _median(seconds: list[float]) -> float:
    return float(np.median(seconds))
