"""Batch and Examples: prefixes side by side in a tensor, and the examples that batches are gathered from.

Clicks, starts and lengths are copied to the device once; a mini-batch is gathered from them by index.
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

ROUND = 8  # clicks: on CUDA the width of a batch of untruncated prefixes is rounded up to a multiple of this


@dataclass(frozen=True)
class Batch:
    """Prefixes side by side: each row has its clicks first, then padding: any items, to be masked.

    Padding takes the items in turn and not one of them, because a GPU sums the gradients of an item's occurrences one
    after the other, even where they are all 0.
    """

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

    On a CPU a batch is as wide as its longest prefix. On CUDA every batch is `width` wide, so that shapes never change.
    If prefixes are not truncated, a batch on CUDA is as wide as its longest prefix, rounded up so that there are few
    different shapes.
    """

    items: Tensor  # (clicks,)
    n_items: int
    starts: Tensor  # (n,)
    lengths: Tensor  # (n,)
    labels: Tensor  # (n,) or (0,)
    width: int  # the most clicks that a prefix can keep
    truncated: bool
    on_host: Tensor  # (n,) the lengths, so that the host knows a batch's width without waiting for the device

    @classmethod
    def of(
        cls, prefixes: Sessions, labels: np.ndarray, truncation: str, longest: int, device: torch.device
    ) -> Examples:
        """Copy prefixes and their labels to a device and truncate prefixes longer than `longest`.

        Args:
            truncation: what is kept of a longer prefix: its "first" clicks, its "last", or all ("none").

        Raises:
            ValueError: a label is outside the catalogue.
        """
        check_labels(labels, prefixes.n_items)
        if truncation == "none":
            longest = int(prefixes.lengths.max(initial=1))
        lengths = np.minimum(prefixes.lengths, longest)
        starts = prefixes.stops - lengths if truncation == "last" else prefixes.starts
        on_device = partial(torch.as_tensor, device=device)
        return cls(
            items=on_device(prefixes.items),
            n_items=prefixes.n_items,
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
        """Yield a batch for each part of `order`, (n,) indices of examples on the host, copied to the device once."""
        places = order.to(self.starts.device)
        for part in parts:
            yield self.batch(places[part], self.widest(order[part]))

    def widest(self, index: Tensor) -> int:
        """Return the width, in clicks, of a batch of the examples at these indices, which are on the host."""
        on_cuda = devices.as_cuda(self.starts.device)
        if not len(index) or (on_cuda and self.truncated):
            return self.width
        longest = int(self.on_host[index].max())
        return min(-(-longest // ROUND) * ROUND, self.width) if on_cuda else longest

    def batch(self, index: Tensor, width: int | None = None) -> Batch:
        """Return the examples at these indices, (B,) on the device, as a batch; `widest` gives the default width."""
        lengths = self.lengths[index]  # (B,)
        width = self.widest(index.cpu()) if width is None else width
        steps = torch.arange(width, device=lengths.device)  # (T,)
        places = self.starts[index][:, None] + steps  # (B, T)
        mask = steps < lengths[:, None]  # (B, T)
        padding = torch.arange(mask.numel(), device=mask.device).view_as(mask) % self.n_items  # (B, T)
        items = torch.where(mask, self.items[places.clamp(max=len(self.items) - 1)], padding)  # (B, T)
        return Batch(items, lengths, self.labels[index] if len(self.labels) else self.labels)
