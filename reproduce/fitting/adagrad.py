"""MomentumAdagrad: Adagrad with momentum, and two treatments of a row that occurs more than once in a batch.

    G += g^2,  v = momentum v - rate g / sqrt(G + 1e-6),  theta += v

A sparse gradient moves only the rows that it names. With "added" the gradients of a row are summed first, and the row
takes one step. With "separate" each occurrence k of a row takes its own step from the row's value before the batch, as
in the public GRU4Rec code on Theano:

    v_k = momentum v - rate g_k / sqrt(G + g_k^2 + 1e-6),  G += sum_k g_k^2,  theta += sum_k v_k,  v = the last v_k
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from reproduce.evaluation import devices

Duplicates = Literal["added", "separate"]
EPSILON = 1e-6


class MomentumAdagrad(torch.optim.Optimizer):
    """Adagrad with momentum, as in the equations above; `state_dict` holds its whole state, G and v."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, momentum: float, duplicates: Duplicates = "added"
    ) -> None:
        super().__init__(parameters, {"learning_rate": learning_rate, "momentum": momentum})
        self.duplicates = duplicates

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["squares"] = torch.zeros_like(parameter)
                    if group["momentum"]:
                        state["velocity"] = torch.zeros_like(parameter)
                move = _move_each if self.duplicates == "separate" and parameter.grad.is_sparse else _move
                move(parameter, parameter.grad, state, group["learning_rate"], group["momentum"])


def _move(parameter: Tensor, slope: Tensor, state: dict[str, Tensor], rate: float, momentum: float) -> None:
    """Take one step for every row that the gradient names; a dense gradient names all rows."""
    rows: Any = slice(None)
    if slope.is_sparse:
        rows, slope = _added(slope)
    squares = state["squares"][rows] + slope**2
    state["squares"][rows] = squares
    move = slope * torch.rsqrt(squares + EPSILON) * -rate
    if momentum:
        move += momentum * state["velocity"][rows]
        state["velocity"][rows] = move
    parameter[rows] += move


def _move_each(parameter: Tensor, slope: Tensor, state: dict[str, Tensor], rate: float, momentum: float) -> None:
    """Take a step for every occurrence of a row in a sparse gradient, all from the old row, squares and velocity."""
    rows, slope = slope._indices()[0], slope._values()  # one entry per occurrence, in the batch's order
    move = slope * torch.rsqrt(state["squares"][rows] + slope**2 + EPSILON) * -rate
    state["squares"].index_add_(0, rows, slope**2)
    if momentum:
        move += momentum * state["velocity"][rows]
        state["velocity"][rows] = move[_last_of_each(rows)]  # a row that occurs twice gets the same value twice
    parameter.index_add_(0, rows, move)


def _added(slope: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that a sparse gradient names, (n,), and the sum of each row's gradients, (n, ...).

    On a CPU each row is returned once. On CUDA the host would have to wait for the number of distinct rows, so there a
    row is returned as often as it occurs, each time with the whole sum. All writes to the same row are then equal.
    """
    if not devices.as_cuda(slope.device):
        slope = slope.coalesce()
        return slope.indices()[0], slope.values()
    rows, each = slope._indices()[0], slope._values()
    first = torch.searchsorted(rows.sort().values, rows)  # (n,) the same index for all occurrences of a row
    return rows, torch.zeros_like(each).index_add_(0, first, each)[first]


def _last_of_each(rows: Tensor) -> Tensor:
    """Return for each occurrence of a row the index of its last occurrence: [5, 2, 5] gives [2, 1, 2]."""
    ordered, order = rows.sort(stable=True)
    return order[torch.searchsorted(ordered, rows, right=True) - 1]
