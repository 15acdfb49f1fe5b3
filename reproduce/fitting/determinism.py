"""deterministic(): the same arithmetic whenever a model is fitted or scored; Precision: whether it was in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Precision:
    """What was in force at every look so far; what one hopes for before the first."""

    deterministic_algorithms: bool = True  # at all of them
    tf32: bool = False  # at any of them, for matrix products or in cuDNN

    def look(self) -> None:
        self.deterministic_algorithms &= torch.are_deterministic_algorithms_enabled()
        self.tf32 |= torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic algorithms and full float32 precision inside, whatever was set before outside."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )

    def put(algorithms: bool, fill: bool, benchmark: bool, cudnn_tf32: bool, matmul_tf32: bool) -> None:
        torch.use_deterministic_algorithms(algorithms)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cudnn.allow_tf32 = cudnn_tf32
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32

    put(True, False, False, False, False)
    try:
        yield
    finally:
        put(*before)
