"""Adagrad with momentum: two steps by hand, rows against a dense gradient, and rows that a batch names twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reproduce.fitting.adagrad import MomentumAdagrad


def test_two_steps_of_adagrad_with_momentum_by_hand() -> None:
    """The gradients are 3 and 4, the sums of squares 9 and 25, the moves -0.1 and 0.5 * -0.1 - 0.1 * 4 / 5."""
    parameter = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimiser = MomentumAdagrad([parameter], 0.1, 0.5)
    for slope, expected in ((3.0, 1 - 0.1), (4.0, 1 - 0.1 - 0.05 - 0.08)):
        parameter.grad = torch.tensor([slope], dtype=torch.float64)
        optimiser.step()
        assert float(parameter.detach()) == pytest.approx(expected, abs=1e-7)


def test_a_sparse_gradient_adds_equal_rows_and_moves_no_other_row() -> None:
    sparse, dense = (torch.nn.Parameter(torch.ones(4, 2)) for _ in range(2))
    rows, slopes = torch.tensor([[2, 0, 2]]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    optimisers = [MomentumAdagrad([one], 0.1, 0.5) for one in (sparse, dense)]
    for _ in range(2):
        sparse.grad = torch.sparse_coo_tensor(rows, slopes, (4, 2), check_invariants=True)
        dense.grad = torch.tensor([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [0.0, 0.0]])
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(sparse, dense)
    momentum = optimisers[0].state[sparse]["velocity"].clone()
    sparse.grad = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, 2), (4, 2), check_invariants=True)
    before = sparse.detach().clone()
    optimisers[0].step()
    assert torch.equal(sparse.detach()[[0, 2, 3]], before[[0, 2, 3]]) and (sparse.detach()[1] < before[1]).all()
    assert torch.equal(optimisers[0].state[sparse]["velocity"][[0, 2, 3]], momentum[[0, 2, 3]])


def sparse(rows: list[int], slopes: list[float]) -> torch.Tensor:
    values = torch.tensor(slopes, dtype=torch.float64)[:, None]
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, (3, 1), check_invariants=True)


def test_each_occurrence_of_a_row_takes_a_step_of_its_own_from_the_old_row() -> None:
    """Row 2 occurs twice, with gradients 3 and 4, from G = 0: the steps are 0.1 * 3/3 and 0.1 * 4/4, then G = 25.

    A gradient of 12 then moves it by 0.1 * 12/13. With momentum 0.5 its velocity is the last of the two steps, -0.1.
    Row 0 does not occur and stays.
    """
    for momentum in (0.0, 0.5):
        parameter = torch.nn.Parameter(torch.zeros(3, 1, dtype=torch.float64))
        optimiser = MomentumAdagrad([parameter], 0.1, momentum, "separate")
        found = []
        for slope in (sparse([2, 1, 2], [3.0, 1.0, 4.0]), sparse([2], [12.0])):
            parameter.grad = slope
            optimiser.step()
            found.append(parameter.detach()[:, 0].tolist())
        after = -0.2 - 0.1 * 12 / 13 - momentum * 0.1
        assert found == [pytest.approx([0, -0.1, -0.2], abs=1e-6), pytest.approx([0, -0.1, after], abs=1e-6)]
        assert optimiser.state[parameter]["squares"][:, 0].tolist() == [0, 1, 169]


def test_rows_named_once_move_alike_in_both_ways() -> None:
    draw = np.random.default_rng(0)
    one, other = (torch.nn.Parameter(torch.ones(3, 1, dtype=torch.float64)) for _ in range(2))
    optimisers = [MomentumAdagrad([one], 0.1, 0.3), MomentumAdagrad([other], 0.1, 0.3, "separate")]
    for _ in range(20):
        rows = draw.permutation(3)[:2].tolist()
        slope = sparse(rows, draw.normal(size=2).tolist())
        for parameter, optimiser in zip((one, other), optimisers, strict=True):
            parameter.grad = slope.clone()
            optimiser.step()
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_a_dense_gradient_moves_alike_in_both_ways() -> None:
    one, other = (torch.nn.Parameter(torch.ones(3, 1)) for _ in range(2))
    for parameter, duplicates in ((one, "added"), (other, "separate")):
        optimiser = MomentumAdagrad([parameter], 0.1, 0.3, duplicates)  # type: ignore[arg-type]
        for _ in range(3):
            parameter.grad = torch.tensor([[1.0], [0.0], [-2.0]])
            optimiser.step()
    assert torch.equal(one, other)
