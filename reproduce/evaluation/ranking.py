"""Rank counts from scores, and ranks from counts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from reproduce.errors import ModelError
from reproduce.evaluation import devices
from reproduce.reading.sessions import Sessions


class Scorer(Protocol):
    """Anything that scores all items for each of some prefixes; see fitting.recommender.Recommender."""

    def score(self, prefixes: Sessions) -> Tensor: ...


CHUNK_SCORES = 1 << 22  # scores held at a time: 16 MiB of float32
CHUNK_SCORES_CUDA = 1 << 26  # on CUDA small chunks would spend their time on launches


def rank_counts(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Count the items that score strictly above the target, and the other items that tie with it: (n,) and (n,) int64.

    Args:
        scores: (n, m), finite.
        targets: (n,) int64.
    """
    own = scores.gather(1, targets[:, None])  # (n, 1)
    if not devices.as_cuda(scores.device) and scores.dtype in (torch.float32, torch.float64):
        greater, at_least = _counted_by_row(scores.detach().numpy(), own.detach().numpy())
    else:
        greater, at_least = (scores > own).sum(1), (scores >= own).sum(1)
    return greater, at_least - greater - 1


def _counted_by_row(scores: np.ndarray, own: np.ndarray) -> tuple[Tensor, Tensor]:
    """Count the scores above, and at or above, each row's own; a row fits the cache, so this is ten times faster."""
    greater, at_least = np.empty((2, len(scores)), np.int64)
    for i, row in enumerate(scores):
        greater[i] = np.count_nonzero(row > own[i])
        at_least[i] = np.count_nonzero(row >= own[i])
    return torch.from_numpy(greater), torch.from_numpy(at_least)


def rank(greater: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """Return the ranks, 1 is best; an item tied with the target counts as ahead of it."""
    return greater + equal + 1


def chunk_rows(n_items: int, device: torch.device | None = None) -> int:
    """Return how many prefixes to score at a time, from the catalogue's size and the kind of device, not its memory."""
    scores = CHUNK_SCORES_CUDA if device is not None and devices.as_cuda(device) else CHUNK_SCORES
    return max(1, scores // max(n_items, 1))


def rank_all(
    model: Scorer, prefixes: Sessions, targets: np.ndarray, chunk: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return `rank_counts` of every prefix against the full catalogue, counted in chunks on the model's device.

    The counts, and whether all scores are finite, stay on that device until the end. On CUDA the host waits only for
    the copy of a chunk's clicks.

    Args:
        chunk: prefixes at a time; by default `chunk_rows` for the model's `device_`.

    Returns:
        greater, equal: (n,) and (n,) int64.

    Raises:
        ModelError: the model's scores have the wrong shape or are not finite, or a target is not an item.
    """
    if len(targets) and not 0 <= targets.min() <= targets.max() < prefixes.n_items:
        raise ModelError(f"{_name(model)}: a target is outside the catalogue, items 0 to {prefixes.n_items - 1}")
    chunk = chunk or chunk_rows(prefixes.n_items, getattr(model, "device_", None))
    # Allocated once: small results kept between the large scores of each chunk would fragment the heap.
    counts, finite, own = torch.empty(2, len(prefixes), dtype=torch.int64), torch.ones(()), torch.as_tensor(targets)
    for begin in range(0, len(prefixes), chunk):
        part = prefixes.take(slice(begin, begin + chunk))
        scores = model.score(part)
        check_shape(model, scores, part)
        if scores.device != counts.device:  # once, at the first chunk
            counts, finite, own = counts.to(scores.device), finite.to(scores.device), own.to(scores.device)
        if scores.numel():  # two numbers are enough: if any score is NaN, both are
            finite *= torch.isfinite(torch.stack(torch.aminmax(scores))).all()
        counts[0, begin : begin + chunk], counts[1, begin : begin + chunk] = rank_counts(
            scores, own[begin : begin + chunk]
        )
    if not bool(finite):
        # Without this check a model whose scores are all NaN would rank every target first.
        raise ModelError(f"{_name(model)}: score returned a number that is not finite")
    return counts[0].cpu().numpy(), counts[1].cpu().numpy()


def check_shape(model: Scorer, scores: Tensor, prefixes: Sessions) -> None:
    """Raise ModelError unless a model's scores of the prefixes are plain real numbers, (prefixes, n_items)."""
    wanted = (len(prefixes), prefixes.n_items)
    if isinstance(scores, Tensor):
        odd = scores.layout != torch.strided or scores.is_nested or scores.is_quantized or scores.is_complex()
        if odd or scores.device.type == "meta":
            raise ModelError(f"{_name(model)}: score must return plain real numbers, in a dense tensor")
    if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ModelError(f"{_name(model)}: score must return a tensor of shape {wanted}, not {shape}")


def _name(model: Scorer) -> str:
    return getattr(model, "name", type(model).__name__)
