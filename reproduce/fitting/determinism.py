"""deterministic() and seed(): the same arithmetic and random numbers in every fit; Precision: the settings in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Precision:
    """The settings seen at all looks so far; before the first look, the settings that should be in force."""

    deterministic_algorithms: bool = True  # on at every look
    tf32: bool = False  # on at any look, for matrix products or in cuDNN

    def look(self) -> None:
        self.deterministic_algorithms &= torch.are_deterministic_algorithms_enabled()
        self.tf32 |= torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32


@contextmanager
def deterministic() -> Iterator[None]:
    """Use deterministic algorithms and full float32 precision in the block; restore the caller's settings after it."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark,
    )
    tf32 = _Tf32()
    _put(True, False, False)
    tf32.off()
    try:
        yield
    finally:
        _put(*before)
        tf32.restore()


def _put(algorithms: bool, fill: bool, benchmark: bool) -> None:
    torch.use_deterministic_algorithms(algorithms)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = benchmark


class _Tf32:
    """The caller's TF32 settings, kept so that they can be restored.

    torch has two settings: `allow_tf32`, and since 2.9 also `fp32_precision`. Writing the older one updates the newer
    one, but not the reverse, and after the caller has written the newer one, reading the older one can fail. So both
    are written here, the older one first.
    """

    def __init__(self) -> None:
        backends = torch.backends
        self.older: tuple[Any, ...] = (backends.cuda.matmul, backends.cudnn)
        places: list[Any] = [backends.cuda.matmul]
        places += [getattr(backends.cudnn, part, None) for part in ("conv", "rnn")]
        self.newer = [place for place in places if hasattr(place, "fp32_precision")]
        self.precisions = [place.fp32_precision for place in self.newer]
        self.allowed = [self._allowed(place) for place in self.older]

    def _allowed(self, backend: Any) -> bool:
        try:
            return bool(backend.allow_tf32)
        except RuntimeError:  # raised if the two settings differ, so this one is the opposite of the newer one
            own = self.precisions[0] if backend is self.older[0] else self.precisions[-1]
            return bool(own != "tf32")

    def off(self) -> None:
        self._put([False] * len(self.older), ["ieee"] * len(self.newer))

    def restore(self) -> None:
        self._put(self.allowed, self.precisions)

    def _put(self, allowed: list[bool], precisions: list[str]) -> None:
        for backend, value in zip(self.older, allowed, strict=True):
            backend.allow_tf32 = value
        for newer, precision in zip(self.newer, precisions, strict=True):
            newer.fp32_precision = precision


def seed(number: int, device: torch.device) -> None:
    """Seed the generators that a fit on this device draws from: the CPU's, and on CUDA that of its own GPU only.

    `torch.manual_seed` would reseed every GPU, while `fork_rng` restores only the devices it was given.
    """
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
