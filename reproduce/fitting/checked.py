"""Checks of what a model gives the training loop, since torch's own errors name neither the model nor a remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from reproduce.errors import ModelError


def check_network(name: str, network: Any) -> None:
    """Raise ModelError unless a model's `network` returned a module with weights."""
    if not isinstance(network, nn.Module):
        raise ModelError(f"{name}: network must return a torch.nn.Module, not a {type(network).__name__}")
    if next(network.parameters(), None) is None:
        raise ModelError(f"{name}: the module that network returned has no weights to learn")


def check_loss(name: str, loss: Any) -> None:
    """Raise ModelError unless a model's `loss` is a single number that depends on its weights."""
    if not isinstance(loss, Tensor):
        raise ModelError(f"{name}: loss must return a tensor of shape (), not a {type(loss).__name__}")
    if loss.shape != ():
        raise ModelError(
            f"{name}: loss must return the mean loss of the batch, a tensor of shape (), not {tuple(loss.shape)}; "
            "take its mean()"
        )
    if not loss.requires_grad:
        raise ModelError(f"{name}: loss does not depend on the network's weights, so nothing can be learned from it")


def check_labels(labels: np.ndarray, n_items: int) -> None:
    """Raise ValueError if a label is not an item of the catalogue."""
    if len(labels) and not 0 <= (low := int(labels.min())) <= (high := int(labels.max())) < n_items:
        raise ValueError(f"label {low if low < 0 else high} is outside the catalogue, items 0 to {n_items - 1}")
