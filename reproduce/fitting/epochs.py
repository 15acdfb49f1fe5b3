"""One epoch of training, for any model: its batches pass through the journal; its mean loss and speed are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sized
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from reproduce.errors import ModelError
from reproduce.fitting.recommender import Journal

B = TypeVar("B", bound=Sized)


def run_epoch(
    name: str,
    batches: Iterable[B],
    step: Callable[[B], Tensor],
    *,
    epoch: int,
    epochs: int,
    examples: int,
    journal: Journal,
    device: torch.device,
) -> dict[str, float]:
    """Take a step for every batch and return the numbers of the epoch, as the journal keeps them.

    Args:
        name: the model's name, for the error message.
        step: moves the weights and returns the sum of the batch's losses, (), on the device.
        epoch, epochs: the number of this epoch, counted from 1, and the largest number of epochs.
        examples: the number of examples in all batches, for the progress display.

    Raises:
        ModelError: the mean loss is not a finite number.
    """
    began = time.monotonic()
    total = torch.zeros((), dtype=torch.float64, device=device)  # on the device: the host waits for it only at the end
    seen = 0

    def so_far() -> float:
        return float(total) / max(seen, 1)

    for batch in journal.steps(batches, epoch=epoch, epochs=epochs, examples=examples, loss=so_far):
        total += step(batch)
        seen += len(batch)
    mean = so_far()
    if not np.isfinite(mean):
        raise ModelError(f"{name}: the loss is not a finite number in epoch {epoch}; try a lower learning rate")
    seconds = max(time.monotonic() - began, 1e-9)
    return {"epoch": epoch, "loss": mean, "seconds": round(seconds, 3), "examples_per_second": round(seen / seconds, 1)}
