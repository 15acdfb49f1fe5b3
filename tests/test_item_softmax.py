"""The fused softmax over items: the plain loss and its gradients, in fewer passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from reproduce.fitting.item_softmax import CHUNK, _ItemSoftmax, item_softmax


def inputs(B: int, m: int, D: int, bias: bool, dtype: torch.dtype = torch.float64) -> list[torch.Tensor | None]:
    g = torch.Generator().manual_seed(B * m + D)
    q, e = (torch.randn(n, D, generator=g, dtype=dtype).requires_grad_() for n in (B, m))
    b = torch.randn(m, generator=g, dtype=dtype).requires_grad_() if bias else None
    return [q, e, torch.randint(m, (B,), generator=g), b]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_gradients_pass_gradcheck_in_float64(bias: bool, chunk: int) -> None:
    q, e, y, b = inputs(5, 7, 3, bias)
    arguments = (q, e, b) if bias else (q, e)

    def loss(*given: torch.Tensor) -> torch.Tensor:
        return _ItemSoftmax.apply(given[0], given[1], y, given[2] if bias else None, chunk)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(loss, arguments)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("B", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_loss_and_gradients_equal_the_plain_ones(B: int, bias: bool) -> None:
    mine = inputs(B, 50, 8, bias)
    plain = inputs(B, 50, 8, bias)
    loss = item_softmax(mine[0], mine[1], mine[2], mine[3])  # type: ignore[arg-type]
    logits = plain[0] @ plain[1].T + (plain[3] if bias else 0)  # type: ignore[union-attr, operator]
    expected = cross_entropy(logits, plain[2])  # type: ignore[arg-type]
    (3 * loss).backward()  # type: ignore[no-untyped-call]
    (3 * expected).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected)
    for one, other in zip(mine, plain, strict=True):
        if one is not None and one.requires_grad:
            torch.testing.assert_close(one.grad, other.grad)  # type: ignore[union-attr]


def test_large_scores_do_not_overflow() -> None:
    q, e, y, _ = inputs(4, 6, 3, False, torch.float32)
    loss = item_softmax(q * 1e4, e, y)  # type: ignore[operator, arg-type]
    torch.testing.assert_close(loss, cross_entropy(q * 1e4 @ e.T, y))  # type: ignore[operator, union-attr, arg-type]
    assert torch.isfinite(loss)
