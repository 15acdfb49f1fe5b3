"""Padding: where it is computed, and how a GRU skips it.

On a CPU a batch is as wide as its longest prefix and only real clicks are computed, since three quarters of a batch are
padding. On CUDA shapes stay fixed, so padding is computed too; it comes after a row's clicks, so nothing reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reproduce.evaluation import devices


def gru_states(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """Return h_1 .. h_t of every row, (B, T, H), from its inputs, (B, T, D), and its number of clicks, (B,)."""
    if devices.as_cuda(x.device):
        return gru(x)[0]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]


def at_last_click(h: Tensor, lengths: Tensor) -> Tensor:
    """Return the entry of h, (B, T, ...), at the last click of each row: (B, ...)."""
    return h[torch.arange(len(h), device=h.device), lengths - 1]
