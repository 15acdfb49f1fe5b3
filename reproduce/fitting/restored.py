"""Checks of a checkpoint against a fresh fit: the names, shapes and types of all tensors.

Optimisers do not check their state: a fused Adam reads as many numbers of exp_avg as its parameter has, even past the
end of exp_avg.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def check_tensors(found: Any, fresh: Mapping[str, Tensor], what: str) -> None:
    """Raise ValueError unless `found` holds finite tensors with the names, shapes and types of `fresh`."""
    if not isinstance(found, Mapping) or set(found) != set(fresh):
        raise ValueError(f"{what}: other names")
    for name, own in fresh.items():
        one = found[name]
        if not isinstance(one, Tensor) or one.layout != torch.strided or one.device.type == "meta" or one.is_quantized:
            raise ValueError(f"{what}: {name} is no plain tensor")
        if one.shape != own.shape or one.dtype != own.dtype or not one.is_contiguous():
            raise ValueError(f"{what}: {name} is of another shape or type")
        if own.is_floating_point() and not bool(torch.isfinite(one).all()):
            raise ValueError(f"{what}: {name} is not finite")


def check_best(found: Any, fresh: Mapping[str, Tensor], finished: int) -> None:
    """Raise ValueError unless `found` can be the best of the finished epochs: its weights, number and recall."""
    kinds = {"weights": dict, "epoch": int, "recall": float}
    if type(found) is not dict or set(found) != set(kinds) or any(type(found[key]) is not kinds[key] for key in kinds):
        raise ValueError("best epoch: of another kind")
    if found["weights"] or found["epoch"]:
        check_tensors(found["weights"], fresh, "best epoch")
    if not (1 <= found["epoch"] <= finished and 0.0 <= found["recall"] <= 100.0):
        raise ValueError("epochs that cannot be")


def check_optimiser(found: Any, network: nn.Module, make: Any) -> None:
    """Raise ValueError unless `found` can be a state, after some steps, of the optimiser from `make(network)`.

    The expected form of the state comes from a copy of the network that takes a step with zero gradients.
    """
    twin = copy.deepcopy(network)
    optimiser = make(twin)
    for parameter in twin.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    fresh = optimiser.state_dict()
    if not isinstance(found, Mapping) or set(found) != set(fresh) or not isinstance(found["state"], Mapping):
        raise ValueError("optimiser: other names")
    _check_groups(found["param_groups"], fresh["param_groups"])
    for key, state in found["state"].items():  # a parameter without a gradient has no state
        own = fresh["state"].get(key) if type(key) is int else None
        if own is None or not isinstance(state, Mapping) or set(state) != set(own):
            raise ValueError("optimiser: a state of other names")
        tensors = {name: value for name, value in own.items() if isinstance(value, Tensor)}
        check_tensors({name: state[name] for name in tensors}, tensors, f"optimiser, parameter {key}")
        if any(type(state[name]) is not type(own[name]) for name in own):
            raise ValueError("optimiser: a state of another type")


def _check_groups(found: Any, fresh: list[dict[str, Any]]) -> None:
    """Raise ValueError unless options and parameters are the same; a schedule may have changed the learning rate."""
    if not isinstance(found, list) or len(found) != len(fresh):
        raise ValueError("optimiser: other groups of parameters")
    for one, own in zip(found, fresh, strict=True):
        if not isinstance(one, Mapping) or set(one) != set(own):
            raise ValueError("optimiser: other options")
        for name, value in own.items():
            same = type(one[name]) is float and 0 <= one[name] < 1e9 if name == "lr" else _equal(one[name], value)
            if not same:
                raise ValueError(f"optimiser: another {name}")


def _equal(found: Any, own: Any) -> bool:
    plain = type(own) in (bool, int, float, str, type(None), list, tuple)
    return type(found) is type(own) and (not plain or bool(found == own))
