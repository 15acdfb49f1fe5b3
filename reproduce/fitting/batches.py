"""Batch, Examples: prefixes side by side, and the examples of a log from which batches are gathered.

Clicks, starts and lengths live on the device once; a mini-batch is a gather by index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reproduce.evaluation import devices
from reproduce.fitting.checked import check_labels
from reproduce.reading.sessions import Sessions

ROUND = 8  # clicks: the widths of batches that are not truncated are multiples of it on CUDA


@dataclass(frozen=True)
class Batch:
    """Some prefixes side by side: row i's clicks first, then padding (item 0, masked)."""

    items: Tensor  # (B, T) int64
    lengths: Tensor  # (B,) int64
    labels: Tensor  # (B,) int64, empty where only scores are asked for

    def __len__(self) -> int:
        return len(self.items)

    @property
    def mask(self) -> Tensor:
        """True where there is a click, (B, T)."""
        return torch.arange(self.items.shape[1], device=self.items.device) < self.lengths[:, None]


@dataclass(frozen=True)
class Examples:
    """Prefixes and next clicks on a device, from which batches are gathered.

    On a CPU a batch is as wide as its longest prefix. On CUDA all are `width` wide, so that shapes never change, but
    where prefixes are not truncated: then a batch is as wide as its longest prefix, rounded up to few shapes.
    """

    items: Tensor  # (clicks,)
    starts: Tensor  # (n,)
    lengths: Tensor  # (n,)
    labels: Tensor  # (n,) or (0,)
    width: int
    truncated: bool
    on_host: Tensor  # (n,) the lengths, for the host to know a batch's width without waiting for the device

    @classmethod
    def of(
        cls, prefixes: Sessions, labels: np.ndarray, truncation: str, longest: int, device: torch.device
    ) -> Examples:
        """Prefixes longer than `longest` keep their first or last clicks, or all with truncation "none".

        Raises ValueError where a label is outside the catalogue.
        """
        check_labels(labels, prefixes.n_items)
        if truncation == "none":
            longest = int(prefixes.lengths.max(initial=1))
        lengths = np.minimum(prefixes.lengths, longest)
        starts = prefixes.stops - lengths if truncation == "last" else prefixes.starts
        on_device = partial(torch.as_tensor, device=device)
        return cls(
            items=on_device(prefixes.items),
            starts=on_device(starts),
            lengths=on_device(lengths),
            labels=on_device(labels),
            width=longest,
            truncated=truncation != "none",
            on_host=torch.as_tensor(lengths),
        )

    def __len__(self) -> int:
        return len(self.starts)

    def batches(self, order: Tensor, parts: Iterable[slice]) -> Iterator[Batch]:
        """Parts of an order of the examples, (n,) places on the host, which travel to the device at once."""
        places = order.to(self.starts.device)
        for part in parts:
            yield self.batch(places[part], self.widest(order[part]))

    def widest(self, index: Tensor) -> int:
        """The clicks that a batch of the examples at these places on the host is wide."""
        on_cuda = devices.as_cuda(self.starts.device)
        if not len(index) or (on_cuda and self.truncated):
            return self.width
        longest = int(self.on_host[index].max())
        return min(-(-longest // ROUND) * ROUND, self.width) if on_cuda else longest

    def batch(self, index: Tensor, width: int | None = None) -> Batch:
        """The examples at these places, (B,), on the device; so wide, or as `widest` says."""
        lengths = self.lengths[index]  # (B,)
        width = self.widest(index.cpu()) if width is None else width
        steps = torch.arange(width, device=lengths.device)  # (T,)
        places = self.starts[index][:, None] + steps  # (B, T)
        mask = steps < lengths[:, None]  # (B, T)
        items = self.items[places.clamp(max=len(self.items) - 1)] * mask  # (B, T)
        return Batch(items, lengths, self.labels[index] if len(self.labels) else self.labels)
