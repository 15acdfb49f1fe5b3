"""Cross-entropy over all items and its gradients in one pass.

On a CPU the softmax over a large catalogue is four fifths of a training step. Loss and gradients need the same matrix
of probabilities, so both are computed together, for a few prefixes at a time: the memory is bounded by one matrix of
(prefixes x items). Each of its rows is one softmax, which PyTorch computes in half the time it takes for columns.
Logits are products with the item matrix, and query gradients products with its transpose, which is made once per step;
oneDNN computes them faster than torch.mm. The result equals that of matmul and cross_entropy in the same precision, up
to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from reproduce.evaluation import devices
from reproduce.fitting.checked import check_labels

CHUNK = 128  # prefixes at a time on a CPU: measured fastest at 17,376 and at 43,097 items, 50 and 100 units, one thread
_AVAILABLE = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
ONEDNN: bool = _AVAILABLE and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def item_softmax(queries: Tensor, items: Tensor, labels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the mean of -log softmax(items @ query + bias)[label], differentiable in queries, items and bias.

    Args:
        queries: (B, D).
        items: (m, D), a row per item.
        labels: (B,) int64, the right item of each query.
        bias: (m,) or None.

    Raises:
        ValueError: the shapes do not match, or a label is not a row of `items`. Labels are checked on a CPU only: on a
            GPU the host would have to wait for them at every step.
    """
    _check(queries, items, labels, bias)
    chunk = max(len(queries), 1) if devices.as_cuda(queries.device) else CHUNK
    return _ItemSoftmax.apply(queries, items, labels, bias, chunk)  # type: ignore[no-untyped-call]


def _check(queries: Tensor, items: Tensor, labels: Tensor, bias: Tensor | None) -> None:
    shapes = [tuple(tensor.shape) for tensor in (queries, items, labels)]
    B, m = len(labels), len(items)
    fit = len(shapes[0]) == len(shapes[1]) == 2 and len(shapes[2]) == 1 and shapes[0][1] == shapes[1][1]
    if not fit or len(queries) != B or (bias is not None and tuple(bias.shape) != (m,)):
        of_bias = "" if bias is None else f" and {tuple(bias.shape)}"
        raise ValueError(
            "item_softmax takes queries (B, D), items (m, D), labels (B,) and bias (m,), not "
            f"{shapes[0]}, {shapes[1]}, {shapes[2]}{of_bias}"
        )
    if labels.device.type == "cpu":
        check_labels(labels.numpy(), m)


class _ItemSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, items: Tensor, labels: Tensor, bias: Tensor | None, chunk: int) -> Tensor:
        total = queries.new_zeros(())
        grad_queries = torch.empty_like(queries)  # (B, D)
        grad_items = torch.zeros_like(items)  # (m, D)
        grad_bias = None if bias is None else torch.zeros_like(bias)  # (m,)
        columns = items.T.contiguous()  # (D, m)
        for begin in range(0, len(queries), chunk):
            q = queries[begin : begin + chunk]  # (b, D)
            y = labels[begin : begin + chunk]  # (b,)
            p = _product(q, items, bias)  # (b, m), logits until the softmax overwrites them
            target = p.gather(1, y[:, None])[:, 0]  # (b,)
            top = p.amax(1)  # (b,)
            torch.softmax(p, 1, out=p)
            # The largest probability is 1 / sum(exp(logits - top)).
            total += (top - target - p.amax(1).log()).sum()
            grad_queries[begin : begin + chunk] = _product(columns, p).T
            grad_items.addmm_(p.T, q)
            if grad_bias is not None:
                grad_bias += p.sum(0)
            del p  # before the next chunk makes its own
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
        # Fresh tensors, not scaled in place: a second backward through a retained graph must see the same values.
        return grad_queries * scale, grad_items * scale, None, grad_bias[0] * scale if grad_bias else None, None


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left @ right.T + bias, (a, c), of (a, k) and (c, k); by oneDNN for float32 on a CPU if PyTorch has it."""
    if ONEDNN and not devices.as_cuda(left.device) and left.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return linear(left, right, bias)
