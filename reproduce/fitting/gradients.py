"""Gradients: the loss of a batch and its gradients, computed or, on a GPU, replayed from a CUDA graph.

A training step launches hundreds of kernels, and with a small catalogue a GPU spends half of the step waiting for the
next one. A CUDA graph launches all of them at once. Loss and backward pass are captured when a batch shape is first
seen and replayed from then on; the optimiser's step stays outside. Random numbers are the same as without a graph: its
kernels take seed and offset from torch's generator at every replay, so an epoch depends on its seed alone, resumed or
not.

No graph is used unchecked: its first replay must give the loss and the gradients that the same batch and the same
random numbers give without it. If it does not, or if the step cannot be captured, a warning says so and training goes
on without graphs. With REPRODUCE_CUDA_GRAPHS=0 in the environment nothing is captured.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from reproduce.evaluation import devices
from reproduce.fitting.batches import Batch
from reproduce.fitting.checked import check_loss

MOST = 16  # graphs per fit, as each keeps its own gradients; batches of further shapes are computed without a graph
WARM_UP = 3  # rounds before capture, in which libraries choose their kernels and allocate their memory
CLOSE = 1e-4  # tolerance of the first replay, relative to a tensor's largest number: sums are taken in another order
NOISE = 1e-7  # the same, relative to the largest number of all tensors: gradients that cancel leave only rounding

Values = list[Tensor | None]  # the loss, then the gradient of every parameter, None where it has none


def allowed() -> bool:
    """Return whether the environment allows CUDA graphs."""
    return os.environ.get("REPRODUCE_CUDA_GRAPHS", "1") != "0"


class Gradients:
    """A callable that returns the loss of a batch and leaves its gradients in the parameters.

    Args:
        name: the model's name, for messages.
        network: the module that is trained.
        loss: gives the mean loss of a batch, ().
        optimiser: its parameters get the gradients.
        device: the device of the network and the batches.
        capturable: whether the model allows its step to be captured; used only on a device that is treated as CUDA.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        loss: Callable[[nn.Module, Any], Tensor],
        optimiser: torch.optim.Optimizer,
        device: torch.device,
        *,
        capturable: bool,
    ) -> None:
        self.name, self.network, self.loss, self.optimiser, self.device = name, network, loss, optimiser, device
        self.parameters = [one for group in optimiser.param_groups for one in group["params"]]
        self.capture = capturable and devices.as_cuda(device) and allowed()
        self.graphs: dict[torch.Size, Graph] = {}
        self.recorder: Recorder | None = None

    def __call__(self, batch: Any) -> Tensor:
        """Return the mean loss, (), valid until the next call."""
        if not self.capture:
            return self.computed(batch)
        shape = batch.items.shape
        if shape not in self.graphs:
            if len(self.graphs) == MOST:
                return self.computed(batch)
            try:
                self.graphs[shape] = self.captured(batch)
            except (RuntimeError, Differs) as error:
                self.capture = False
                self.graphs.clear()
                warnings.warn(
                    f"{self.name}: trained without CUDA graphs, which is slower ({str(error).partition(chr(10))[0]})",
                    stacklevel=2,
                )
                return self.computed(batch)
        loss, *gradients = self.graphs[shape].replayed(batch)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        assert loss is not None
        return loss

    def computed(self, batch: Any) -> Tensor:
        """Compute loss and gradients without a graph."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.network, batch)
        check_loss(self.name, loss)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def captured(self, batch: Batch) -> Graph:
        """Capture the step as a graph for batches of this shape; weights and random state are left unchanged.

        Raises:
            RuntimeError: from torch, if something in the step cannot be captured.
            Differs: a replay gives a different result from the step.
        """
        own = Batch(batch.items.clone(), batch.lengths.clone(), batch.labels.clone())
        generator = draws(self.device)
        before = generator.get_state()

        def step() -> Values:
            loss = self.computed(own)
            return [loss, *(parameter.grad for parameter in self.parameters)]

        def step_from_here() -> Values:
            generator.set_state(before)
            return step()

        try:
            self.recorder = self.recorder or Recorder(self.device)
            expected = self.recorder.warmed_up(step_from_here)
            generator.set_state(before)
            graph = Graph(own, *self.recorder.recorded(step))
            generator.set_state(before)
            check_close(graph.replayed(batch), expected)
        finally:
            generator.set_state(before)
        return graph


@dataclass(frozen=True)
class Graph:
    """A captured step."""

    batch: Batch  # what it reads
    values: Values  # what it writes
    launch: Callable[[], None]

    def replayed(self, batch: Batch) -> Values:
        """Replay the step for this batch and return its values, which the next replay overwrites."""
        for own, new in zip(vars(self.batch).values(), vars(batch).values(), strict=True):
            own.copy_(new)
        self.launch()
        return self.values


class Differs(Exception):
    """A replay gave a different result from the step that was captured."""


def check_close(found: Values, expected: Values) -> None:
    """Raise Differs if a tensor is further from the expected one than rounding explains."""
    sizes = [0.0 if one is None or not one.numel() else float(one.abs().max()) for one in expected]
    for one, other, size in zip(found, expected, sizes, strict=True):
        if (one is None) != (other is None):
            raise Differs("a replay gave other gradients than the step")
        if one is not None and other is not None and one.numel():
            off = float((one - other).abs().max())
            if not off <= max(CLOSE * size, NOISE * max(sizes)):
                raise Differs(f"a replay was off by {off:.1e} where the largest number is {size:.1e}")


def draws(device: torch.device) -> torch.Generator:
    """Return the generator that a step on this device draws from."""
    if device.type == "cpu":
        return torch.default_generator
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


class Recorder:
    """Captures work on a GPU as graphs, which share their memory because no two run at once.

    A test on a CPU replaces `gradients.Recorder` by an imitation.
    """

    failed: ClassVar[list[torch.cuda.CUDAGraph]] = []  # kept alive: torch's allocator still calls them

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()

    def warmed_up(self, work: Callable[[], Values]) -> Values:
        """Run the work WARM_UP times on the capture stream and return copies of the last values."""
        here = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                given = work()
            copies = [None if one is None else one.clone() for one in given]
        here.wait_stream(self.stream)
        return copies

    def recorded(self, work: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        """Capture the work; return the tensors that will hold its values and the function that computes them.

        A failed capture would leave torch's generator and its current stream in the capturing state. Both are restored,
        so that training can go on without a graph.
        """
        graph, generator = torch.cuda.CUDAGraph(), draws(self.device)
        untouched = generator.clone_state()
        try:
            with (
                torch.cuda.device(self.device),
                torch.cuda.stream(self.stream),
                torch.cuda.graph(graph, pool=self.pool, stream=self.stream),
            ):
                values = work()
        except RuntimeError:
            self.failed.append(graph)
            generator.graphsafe_set_state(untouched)
            raise
        return values, graph.replay
