"""`bench`: how fast every model fits and scores on generated sessions.

Each model runs in a process of its own, so that its peak memory is its own. Torch, which all processes load, is in it.
"""

from __future__ import annotations

import dataclasses
import time
from argparse import Namespace
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple

import numpy as np
import torch
from tabulate import tabulate
from torch import nn

from reproduce import catalog, own_process
from reproduce.errors import ModelError
from reproduce.evaluation import ranking
from reproduce.fitting.batches import Batch
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.dot_product import DotProduct
from reproduce.fitting.item_softmax import item_softmax
from reproduce.fitting.neural import Neural
from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions
from reproduce.runs.environment import choose_device, peak_memory_mib

# Items of both sets, labels included; clicks and examples (prefixes) of the training set.
SIZES = {"yoochoose1_64": (17_745, 486_026, 369_859), "diginetica": (43_097, 906_140, 719_470)}
WARM_UP = 5  # training steps before the first one timed: in them libraries load kernels and allocate memory
STEPS = 40  # training steps timed in a row, at most
SCORED = 5_000  # prefixes scored, at most
ZIPF = 0.8  # ours: the exponent of Zipf's law for clicks on items


@dataclass(frozen=True)
class Speed:
    """The time and memory that one model needs at one size."""

    epoch: float  # seconds per training epoch; of the whole fit if a model has no epochs
    scored: float  # prefixes ranked against the full catalogue, per second
    peak: int  # peak memory, MiB
    examples: float | None = None  # training examples per second, for neural models
    step: StepTime | None = None  # for models with a softmax over all items


class StepTime(NamedTuple):
    """Seconds of a training step, the mean of many in a row, and of its parts, timed in further steps."""

    total: float  # with the gathering of its batch
    encoder: float  # everything but the other two, forward and backward
    softmax: float  # over all items: the loss and its gradients
    optimiser: float


def answer(options: Namespace) -> str:
    """Measure the models, all by default, at each size; return a table, and one of the parts of training steps."""
    device, threads = choose_device(options.device), torch.get_num_threads()
    chosen = [catalog.recommender(name, load=False).name for name in options.model] or list(catalog.recommenders())
    speeds, steps = [], []
    for size, name in product(SIZES, chosen):
        own = catalog.current().models.get(name)
        work = catalog.with_model, measure, name, *SIZES[size], str(device), threads
        try:
            speed = own_process.call(own.file if own else None, *work)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error
        speeds.append([name, size, f"{speed.epoch:,.2f}", f"{speed.scored:,.0f}", f"{speed.peak:,}"])
        if speed.step is not None:
            parts = [f"{seconds * 1e3:.1f}" for seconds in speed.step]
            steps.append([name, size, f"{speed.examples:,.0f}", *parts])
    tables = {
        ("model", "at the size of", "fit seconds/epoch", "prefixes scored/s", "peak MiB"): speeds,
        ("model", "at the size of", "training examples/s", "step ms", "encoder", "softmax", "optimiser"): steps,
    }
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {threads} threads"
    note = (
        f"A model without epochs: seconds of its whole fit. Neural models: from {STEPS} steps in a row, their batches "
        "gathered as in an epoch, without validation. Parts of a step: medians, in further steps with a stop after "
        "each part, forward and backward together."
    )
    shown = [
        tabulate(lines, head, disable_numparse=True, colalign=["left"] * 2 + ["right"] * (len(head) - 2))
        for head, lines in tables.items()
        if lines
    ]
    return "\n\n".join([f"{where}, torch {torch.__version__}", *shown, note])


def measure(name: str, n_items: int, clicks: int, examples: int, device: str, threads: int) -> Speed:
    """Fit a model, in part if it has epochs, then score, and return its speed and the peak memory of this process.

    Args:
        examples: training examples per epoch, from which the time of an epoch of a neural model is worked out.
    """
    torch.set_num_threads(threads)
    where, model, log = choose_device(device), catalog.make_recommender(name), generated(n_items, clicks)
    if isinstance(model, Neural):
        rate, share, step = time_training(model, log, where)
        return Speed(examples * share / rate, scoring_speed(model, log), peak_memory_mib(where), rate, step)
    if "epochs" in catalog.resolved(model):
        model = dataclasses.replace(model, epochs=1)  # type: ignore[type-var]
    began = _now(where)
    model.fit(log, seed=0, device=where, journal=Journal())
    return Speed(_now(where) - began, scoring_speed(model, log), peak_memory_mib(where))


def generated(n_items: int, clicks: int) -> Sessions:
    """Generate a log with session lengths like those of YOOCHOOSE 1/64 and item popularity by Zipf's law.

    Prefixes have 5.1 clicks on average, 4.5 after truncation. DIGINETICA's are shorter (4.1), so a model is a little
    faster on DIGINETICA than this log of its size shows.
    """
    rng = np.random.default_rng(0)
    sessions = clicks // 3
    long_ones = np.where(rng.random(sessions) < 0.03, rng.integers(0, 40, sessions), 0)
    lengths = 1 + rng.geometric(0.4, sessions) + long_ones
    lengths = lengths[np.cumsum(lengths) <= clicks]
    popularity = 1 / np.arange(1, n_items + 1) ** ZIPF
    return Sessions.packed(rng.choice(n_items, int(lengths.sum()), p=popularity / popularity.sum()), lengths, n_items)


def time_training(model: Neural, log: Sessions, device: torch.device) -> tuple[float, float, StepTime | None]:
    """Time the training of a neural model: up to STEPS steps of an epoch in a row, after WARM_UP steps.

    Returns:
        Training examples per second; the share of the prefixes that is trained on; and the parts of a step, None unless
        the model is a DotProduct.
    """
    model.device_ = device
    torch.manual_seed(0)
    model.network_ = network = model.network(log.n_items).to(device).train()
    optimiser = model.optimiser(network)
    training, _, _ = model.part(log, np.random.default_rng(0), device)

    def steps(most: int) -> tuple[int, int]:
        """Take the first steps of an epoch; return the examples seen and the steps taken."""
        sizes = []
        for batch in islice(model.batches(training), most):
            model.train_step(batch, optimiser)
            sizes.append(len(batch))
        return sum(sizes), len(sizes)

    apart = None
    with deterministic():
        steps(WARM_UP)
        began = _now(device)
        examples, count = steps(STEPS)
        seconds = _now(device) - began
        if isinstance(model, DotProduct):
            parts = [take_apart(network, optimiser, batch, device) for batch in islice(model.batches(training), STEPS)]
            apart = StepTime(seconds / count, *(float(np.median(part)) for part in np.transpose(parts)))
    network.eval()
    return examples / seconds, len(training) / int((log.lengths - 1).sum()), apart


def take_apart(
    network: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, device: torch.device
) -> tuple[float, float, float]:
    """Run one training step of a DotProduct; return the seconds of its encoder, its softmax and its optimiser."""
    optimiser.zero_grad(set_to_none=True)
    marks = [_now(device)]
    query, rows, bias = network(batch)
    marks.append(_now(device))
    loss = item_softmax(query, rows, batch.labels, bias)
    # The softmax's backward returns all its gradients at once: the backward time after this hook is the encoder's.
    query.register_hook(lambda slope: marks.append(_now(device)))
    loss.backward()  # type: ignore[no-untyped-call]
    marks.append(_now(device))
    optimiser.step()
    marks.append(_now(device))
    forward, softmax, backward, optimising = np.diff(marks).tolist()
    return forward + backward, softmax, optimising


def scoring_speed(model: Recommender, log: Sessions) -> float:
    """Measure how many prefixes per second are ranked against the full catalogue, from the second time on."""
    prefixes, targets = log.prefixes()
    few, first = slice(0, SCORED), slice(0, ranking.chunk_rows(log.n_items, getattr(model, "device_", None)))
    ranking.rank_all(model, prefixes.take(few).take(first), targets[few][first])  # loads kernels
    began = time.perf_counter()
    ranking.rank_all(model, prefixes.take(few), targets[few])
    return len(targets[few]) / (time.perf_counter() - began)


def _now(device: torch.device) -> float:
    """Read a clock, in seconds, after waiting until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
