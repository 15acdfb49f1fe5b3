"""What runs on CUDA, run on a CPU, gives the same numbers as the CPU's own way; on CUDA the host waits for no step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from reproduce import catalog
from reproduce.evaluation.ranking import rank_all, rank_counts
from reproduce.fitting.adagrad import MomentumAdagrad
from reproduce.fitting.batches import Examples
from reproduce.fitting.dot_product import DotProduct
from reproduce.fitting.item_softmax import CHUNK, item_softmax
from reproduce.fitting.neural import Neural
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions
from reproduce.runs.environment import choose_device

CPU = torch.device("cpu")
NETWORKS = [name for name, kind in catalog.recommenders().items() if issubclass(kind, Neural)]
WAYS: list[dict[str, object]] = [{}, {"truncation": "none"}, {"truncation": "last", "longest": 3}]
CASES = [
    (name, way)
    for name in NETWORKS
    for way in WAYS
    if way.get("truncation", "last") in get_args(get_type_hints(catalog.recommender(name))["truncation"])
]  # networks with learned positions keep a bounded number of clicks


def log() -> Sessions:
    rng = np.random.default_rng(0)
    return Sessions.of([rng.integers(30, size=rng.integers(2, 13)).tolist() for _ in range(60)], 30)


def small(name: str, more: dict[str, object]) -> dict[str, object]:
    """Return the fields of a small model without dropout, since dropout's draws depend on the shapes of tensors."""
    own = {one.name for one in fields(catalog.recommender(name))}  # type: ignore[arg-type]
    chosen = {"epochs": 2, "batch": 16, "hidden": 5, "embedding": 6, "steps": 2, **more}
    chosen |= {one: 0.0 for one in own if "dropout" in one}
    return {key: value for key, value in chosen.items() if key in own}


@pytest.mark.parametrize(("name", "way"), CASES, ids=str)
def test_every_network_learns_the_same_in_both_ways(
    name: str, way: dict[str, object], as_cuda: Callable[[bool], None]
) -> None:
    found = []
    for answer in (False, True):
        as_cuda(answer)
        model = catalog.make_recommender(name, small(name, way))
        model.fit(log(), seed=0, device=CPU, journal=Journal())
        prefixes, targets = log().prefixes()
        found.append((model.score(prefixes), rank_all(model, prefixes, targets)[0]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    assert np.mean(found[0][1] == found[1][1]) > 0.98


@pytest.mark.parametrize("fields", [{"momentum": 0.5}, {"momentum": 0.5, "duplicates": "separate"}], ids=str)
def test_gru_recs_rows_that_are_named_twice_move_the_same_in_both_ways(
    fields: dict[str, object], as_cuda: Callable[[bool], None]
) -> None:
    scores = []
    for answer in (False, True):
        as_cuda(answer)
        model = catalog.make_recommender("gru4rec", small("gru4rec", {"negatives": 9, **fields}))
        model.fit(log(), seed=0, device=CPU, journal=Journal())
        scores.append(model.score(log()))
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-5)


def test_a_step_in_the_way_of_cuda_adds_equal_rows_and_moves_no_other(as_cuda: Callable[[bool], None]) -> None:
    """Row 2, with gradients 1 and 5, takes one step by 6: it adds 36 to the squares and first moves by -0.1 * 6/6.

    The second move is -0.1 * 6/sqrt(72) plus half of the first.
    """
    as_cuda(True)
    parameter = torch.nn.Parameter(torch.zeros(4, 1, dtype=torch.float64))
    optimiser = MomentumAdagrad([parameter], 0.1, 0.5)
    slope = torch.tensor([[1.0], [3.0], [5.0]], dtype=torch.float64)
    for _ in range(2):
        parameter.grad = torch.sparse_coo_tensor(torch.tensor([[2, 0, 2]]), slope, (4, 1), check_invariants=True)
        optimiser.step()
    second = -0.1 / np.sqrt(2) - 0.05
    assert parameter.detach()[:, 0].tolist() == pytest.approx([-0.1 + second, 0, -0.1 + second, 0], abs=1e-6)
    assert optimiser.state[parameter]["squares"][:, 0].tolist() == [18, 0, 72, 0]


def test_untruncated_batches_are_as_wide_as_their_longest_prefix_rounded_up(as_cuda: Callable[[bool], None]) -> None:
    sessions = Sessions.of([[0] * n for n in (3, 8, 9, 21)])
    widths = {}
    for truncation in ("none", "first"):
        for answer in (False, True):
            as_cuda(answer)
            examples = Examples.of(sessions, np.zeros(4, np.int64), truncation, 19, CPU)
            batches = examples.batches(torch.tensor([0, 1, 2, 3]), [slice(i, i + 1) for i in range(4)])
            widths[truncation, answer] = [batch.items.shape[1] for batch in batches]
    assert widths == {
        ("none", False): [3, 8, 9, 21],
        ("none", True): [8, 8, 16, 21],
        ("first", False): [3, 8, 9, 19],
        ("first", True): [19] * 4,
    }


def test_the_loss_and_the_ranks_are_the_same_in_both_ways(as_cuda: Callable[[bool], None]) -> None:
    rng = torch.Generator().manual_seed(0)
    queries, items = torch.randn(2 * CHUNK + 1, 6, generator=rng), torch.randn(40, 6, generator=rng)
    labels = torch.randint(40, (len(queries),), generator=rng)
    found = []
    for answer in (False, True):
        as_cuda(answer)
        q, rows = queries.clone().requires_grad_(), items.clone().requires_grad_()
        loss = item_softmax(q, rows, labels)
        greater, equal = rank_counts((queries @ items.T).round(), labels)
        found.append((loss.detach(), *torch.autograd.grad(loss, [q, rows]), greater, equal))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("answer", [False, True], ids=["as a CPU", "as CUDA"])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_network_reads_the_items_of_padding(name: str, answer: bool, as_cuda: Callable[[bool], None]) -> None:
    """Scores, loss and all gradients are the same whatever the padding holds, items of the session included."""
    as_cuda(answer)
    model = catalog.make_recommender(name, small(name, {}))
    assert isinstance(model, Neural)
    model.fit(log(), seed=0, device=CPU, journal=Journal())
    prefixes, targets = log().prefixes()
    batch = replace(model.as_batch(prefixes), labels=torch.as_tensor(targets))
    found = []
    for padding in (batch.items, batch.items[:, :1], torch.full_like(batch.items, 29)):
        other = replace(batch, items=torch.where(batch.mask, batch.items, padding))
        values = [model.scores(model.network_, other).detach()]
        if isinstance(model, DotProduct) and name != "sasrec":  # the others do not train on prefixes
            loss = model.loss(model.network_, other)
            values += [loss.detach(), *torch.autograd.grad(loss, list(model.network_.parameters()))]
        found.append(values)
    for values in found[1:]:
        for one, other in zip(found[0], values, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


class NoWaiting(TorchDispatchMode):
    """Refuses the operations for which the host would wait on CUDA: a value or a size that it must know."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        a_mask = func is torch.ops.aten.index.Tensor and any(i is not None and i.dtype == torch.bool for i in args[1])
        if a_mask or func.overloadpacket in WAITING:
            raise RuntimeError(f"on CUDA the host would wait for {func}")
        return func(*args, **(kwargs or {}))


WAITING = {
    getattr(torch.ops.aten, name)
    for name in ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive")
} | {torch.ops.aten._coalesce, torch.ops.aten._to_sparse}


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Raise if the host waits for the device; on a CPU, if an operation is called that would make it wait on CUDA."""
    if device.type == "cpu":
        with NoWaiting():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Watched(Journal):
    """Forbids the host to wait for the device after an epoch's first step, in which the epoch's order is sent there."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def steps(self, batches: Iterable[Any], **told: Any) -> Iterator[Any]:
        ahead = iter(batches)
        yield next(ahead)
        with no_waiting(self.device):
            yield from ahead


def on_gpu(device: str) -> Any:
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    return pytest.param(device, marks=[pytest.mark.gpu, missing])


@pytest.mark.parametrize("device", ["cpu", on_gpu("cuda")])
@pytest.mark.parametrize(("name", "way"), [case for case in CASES if case[1] in WAYS[:2]], ids=str)
def test_no_step_of_training_waits_for_the_host(
    name: str, way: dict[str, object], device: str, as_cuda: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_cuda(True)
    widest = Examples.widest

    def on_host(self: Examples, index: Tensor) -> int:  # reads lengths that lie on the host, so nothing waits
        with _disable_current_modes():
            return widest(self, index)

    monkeypatch.setattr(Examples, "widest", on_host)
    train = log() if device == "cpu" else catalog.load_split("synthetic", ".").train
    fields = small(name, way) if device == "cpu" else {"epochs": 2, **way}
    where = choose_device(device)
    model = catalog.make_recommender(name, fields)
    model.fit(train, seed=0, device=where, journal=Watched(where))
    assert torch.isfinite(model.score(train.prefixes()[0].take(slice(0, 10)))).all()


@pytest.mark.parametrize("waiting", [float, torch.nonzero, torch.unique, lambda x: x[x > 0], Tensor.to_sparse])
def test_what_waits_on_cuda_is_noticed_on_a_cpu_too(waiting: Callable[[Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match="the host would wait"), no_waiting(CPU):
        waiting(torch.ones(1))
