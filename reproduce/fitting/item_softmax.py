"""Cross-entropy over all items and its gradients in one pass.

For a softmax over a large catalogue, loss and gradients need the same matrix of probabilities. Computing both together
for a few prefixes at a time, as (items x prefixes) in one reused buffer, keeps that buffer in the cache and bounds the
memory. The arithmetic is that of matmul and cross_entropy, to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 128  # prefixes at a time on a CPU: measured fastest at 17,376 and at 43,097 items on 2 cores


def item_softmax(queries: Tensor, items: Tensor, labels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mean of -log softmax(items @ query + bias)[label], differentiable in queries, items and bias.

    Args:
        queries: (B, D).
        items: (m, D), a row per item.
        labels: (B,) int64, the right item of each query.
        bias: (m,) or None.
    """
    chunk = CHUNK if queries.device.type == "cpu" else max(len(queries), 1)
    return _ItemSoftmax.apply(queries, items, labels, bias, chunk)  # type: ignore[no-untyped-call]


class _ItemSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, items: Tensor, labels: Tensor, bias: Tensor | None, chunk: int) -> Tensor:
        total = queries.new_zeros(())
        grad_queries = torch.empty_like(queries)  # (B, D)
        grad_items = torch.zeros_like(items)  # (m, D)
        grad_bias = None if bias is None else torch.zeros_like(bias)  # (m,)
        buffer = queries.new_empty(len(items) * min(chunk, len(queries)))
        for begin in range(0, len(queries), chunk):
            q = queries[begin : begin + chunk]  # (b, D)
            y = labels[begin : begin + chunk]  # (b,)
            p = buffer[: len(items) * len(q)].view(len(items), len(q))  # (m, b)
            torch.mm(items, q.T, out=p)
            if bias is not None:
                p += bias[:, None]
            target = p.gather(0, y[None, :])[0]  # (b,)
            top = p.amax(0)  # (b,)
            p.sub_(top).exp_()
            mass = p.sum(0)  # (b,)
            total += (top + mass.log() - target).sum()
            # p / mass are the probabilities; dividing the (b, D) factors instead of the (m, b) matrix saves a pass.
            grad_queries[begin : begin + chunk] = (p.T @ items) / mass[:, None]
            grad_items.addmm_(p, q / mass[:, None])
            if grad_bias is not None:
                grad_bias.addmv_(p, 1 / mass)
        grad_queries -= items[labels]
        grad_items.index_add_(0, labels, queries, alpha=-1)
        if grad_bias is not None:
            grad_bias.index_add_(0, labels, torch.ones_like(labels, dtype=grad_bias.dtype), alpha=-1)
        ctx.save_for_backward(grad_queries, grad_items, *(() if grad_bias is None else (grad_bias,)))
        ctx.n = max(len(queries), 1)
        return total / ctx.n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0] / ctx.n
        grad_queries, grad_items, *grad_bias = ctx.saved_tensors
        # Fresh tensors, not scaled in place: a second backward through a retained graph must see the same.
        return grad_queries * scale, grad_items * scale, None, grad_bias[0] * scale if grad_bias else None, None
