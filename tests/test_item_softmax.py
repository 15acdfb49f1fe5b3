"""The fused softmax over items: the plain loss and its gradients, in fewer passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from reproduce.fitting import item_softmax as item_softmax_module
from reproduce.fitting.item_softmax import CHUNK, _ItemSoftmax, item_softmax


@pytest.fixture(params=[True, False], ids=["oneDNN", "no oneDNN"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the products go through oneDNN; if not, as on a machine whose PyTorch has none."""
    if request.param and not item_softmax_module.ONEDNN:
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(item_softmax_module, "ONEDNN", request.param)
    return bool(request.param)


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
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("B", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_loss_and_gradients_equal_the_plain_ones(B: int, dtype: torch.dtype, bias: bool, kernel: bool) -> None:
    mine = inputs(B, 50, 8, bias, dtype)
    plain = inputs(B, 50, 8, bias, dtype)
    loss = item_softmax(mine[0], mine[1], mine[2], mine[3])  # type: ignore[arg-type]
    logits = plain[0] @ plain[1].T + (plain[3] if bias else 0)  # type: ignore[union-attr, operator]
    expected = cross_entropy(logits, plain[2])  # type: ignore[arg-type]
    (3 * loss).backward()  # type: ignore[no-untyped-call]
    (3 * expected).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected)
    for one, other in zip(mine, plain, strict=True):
        if one is not None and one.requires_grad:
            torch.testing.assert_close(one.grad, other.grad)  # type: ignore[union-attr]


def test_float32_is_exact_to_its_rounding_over_many_items(kernel: bool) -> None:
    q, e, y, b = inputs(CHUNK + 3, 3000, 100, True, torch.float32)
    exact = [x.detach().double().requires_grad_() for x in (q, e, b)]  # type: ignore[union-attr]
    item_softmax(q, e, y, b).backward()  # type: ignore[arg-type, no-untyped-call]
    cross_entropy(exact[0] @ exact[1].T + exact[2], y).backward()  # type: ignore[arg-type, no-untyped-call]
    for one, other in zip((q, e, b), exact, strict=True):
        error = (one.grad - other.grad).abs().max() / other.grad.abs().max()  # type: ignore[union-attr, operator]
        assert error < 1e-5  # a product rounded to bfloat16 is wrong by 1e-3


def test_matrices_that_are_views_give_the_same_as_their_copies(kernel: bool) -> None:
    q, e, y, _ = inputs(CHUNK + 3, 50, 8, False, torch.float32)
    views = [x.detach().T.contiguous().T.requires_grad_() for x in (q, e)]  # type: ignore[union-attr]
    item_softmax(q, e, y).backward()  # type: ignore[arg-type, no-untyped-call]
    item_softmax(views[0], views[1], y).backward()  # type: ignore[arg-type, no-untyped-call]
    torch.testing.assert_close([x.grad for x in views], [q.grad, e.grad])  # type: ignore[union-attr]


@pytest.mark.parametrize("bias", [False, True])
def test_an_empty_batch_has_no_loss_and_no_gradient(bias: bool, kernel: bool) -> None:
    q, e, y, b = inputs(0, 6, 3, bias, torch.float32)
    loss = item_softmax(q, e, y, b)  # type: ignore[arg-type]
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert q.grad.shape == (0, 3)  # type: ignore[union-attr]
    assert not e.grad.any()  # type: ignore[union-attr]
    assert b is None or not b.grad.any()  # type: ignore[union-attr]


def test_a_second_backward_through_a_retained_graph_sees_the_same_gradients(kernel: bool) -> None:
    q, e, y, b = inputs(CHUNK + 3, 50, 8, True, torch.float32)
    loss = item_softmax(q, e, y, b)  # type: ignore[arg-type]
    first = torch.autograd.grad(loss, (q, e, b), retain_graph=True)  # type: ignore[arg-type]
    kept = [x.clone() for x in first]
    for x in first:
        x.zero_()
    second = torch.autograd.grad(loss, (q, e, b))  # type: ignore[arg-type]
    assert all(torch.equal(one, other) for one, other in zip(kept, second, strict=True))


@pytest.mark.parametrize("deterministic", [False, True])
def test_repeated_calls_agree_to_the_last_bit(deterministic: bool, kernel: bool) -> None:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    try:
        runs = []
        for _ in range(3):
            q, e, y, b = inputs(CHUNK + 3, 3000, 50, True, torch.float32)
            loss = item_softmax(q, e, y, b)  # type: ignore[arg-type]
            runs.append((loss, *torch.autograd.grad(loss, (q, e, b))))  # type: ignore[arg-type]
    finally:
        torch.use_deterministic_algorithms(before)
    assert all(torch.equal(one, other) for run in runs[1:] for one, other in zip(runs[0], run, strict=True))


def test_only_float32_on_a_cpu_goes_through_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    if not item_softmax_module.ONEDNN:
        pytest.skip("this PyTorch has no oneDNN")
    plain = []
    monkeypatch.setattr(item_softmax_module, "linear", lambda *given: plain.append(given) or linear(*given))
    q, e, y, b = inputs(4, 6, 3, True, torch.float32)
    item_softmax(q, e, y, b)  # type: ignore[arg-type]
    assert not plain
    item_softmax(q.double(), e.double(), y, b.double())  # type: ignore[union-attr, arg-type]
    assert len(plain) == 2  # logits and query gradients


def test_large_scores_do_not_overflow(kernel: bool) -> None:
    q, e, y, _ = inputs(4, 6, 3, False, torch.float32)
    loss = item_softmax(q * 1e4, e, y)  # type: ignore[operator, arg-type]
    torch.testing.assert_close(loss, cross_entropy(q * 1e4 @ e.T, y))  # type: ignore[operator, union-attr, arg-type]
    assert torch.isfinite(loss)
