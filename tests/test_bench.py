"""The bench measures every kind of model, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reproduce import bench, catalog
from reproduce.__main__ import main
from reproduce.fitting.item_softmax import item_softmax
from reproduce.fitting.neural import Neural


class Clock:
    """A clock on which time passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def slow(self, work: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def slower(*args: Any, **options: Any) -> Any:
            self.now += seconds
            return work(*args, **options)

        return slower


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(bench, "time", made)
    return made


LOG = bench.generated(50, 300)
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["item_knn", "pop", "s_pop"])
def test_a_model_that_counts_is_timed_over_its_whole_fit_and_over_the_prefixes_it_scores(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = catalog.recommender(name)
    monkeypatch.setattr(kind, "fit", clock.slow(kind.fit, 3.0))
    monkeypatch.setattr(bench, "SCORED", 100)
    takes = iter([40.0, 0.5])  # the first time a GPU's kernels are loaded, which is not timed
    original = kind.score  # of a chunk, which holds more than 100 prefixes here
    monkeypatch.setattr(kind, "score", lambda self, prefixes: clock.slow(original, next(takes))(self, prefixes))
    speed = bench.measure(name, 50, 300, 200, "cpu", torch.get_num_threads())
    assert (speed.epoch, speed.scored, speed.step) == (3.0, 200.0, None)


@pytest.mark.parametrize("name", ["gru4rec", "stamp", "narm"])
def test_a_neural_models_speed_is_that_of_steps_in_a_row_with_their_batches_gathered(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model = catalog.make_recommender(name, {"batch": 10})
    assert isinstance(model, Neural)
    monkeypatch.setattr(bench, "STEPS", 8)
    waits = iter([70.0] * bench.WARM_UP + [2.0, 1.0] * 4)
    sizes = []
    train_step, batches = type(model).train_step, type(model).batches
    monkeypatch.setattr(type(model), "train_step", lambda *args: clock.slow(train_step, next(waits))(*args))

    def gathered(*args: Any) -> Any:
        for batch in batches(*args):
            clock.now += 0.5
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(type(model), "batches", gathered)
    rate, share, step = bench.time_training(model, LOG, CPU)
    timed = sizes[bench.WARM_UP : bench.WARM_UP + 8]
    assert rate == sum(timed) / (8 * (1.5 + 0.5))
    assert share == pytest.approx(0.9, abs=0.1)
    assert (step is not None) == (name != "gru4rec")
    assert step is None or step.total == 1.5 + 0.5


def test_a_step_is_taken_apart_into_what_each_part_takes_forward_and_backward(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = catalog.make_recommender("narm", {"batch": 10, "hidden": 4, "embedding": 4})
    assert isinstance(model, Neural)

    def softmax(*args: Any) -> torch.Tensor:
        clock.now += 10.0
        loss = item_softmax(*args)
        loss.register_hook(lambda slope: setattr(clock, "now", clock.now + 5.0))  # before the softmax's own backward
        return loss

    network = model.network(50)
    monkeypatch.setattr(network, "forward", clock.slow(network.forward, 3.0))
    first = next(network.gru.parameters())
    first.register_post_accumulate_grad_hook(lambda weight: setattr(clock, "now", clock.now + 1.0))  # in its backward
    monkeypatch.setattr(bench, "item_softmax", softmax)
    optimiser = model.optimiser(network)
    monkeypatch.setattr(optimiser, "step", clock.slow(optimiser.step, 2.0))
    model.device_ = CPU
    training, _, _ = model.part(LOG, np.random.default_rng(0), CPU)
    before = network.emb.weight.detach().clone()
    assert bench.take_apart(network, optimiser, next(model.batches(training)), CPU) == (4.0, 15.0, 2.0)
    assert not torch.equal(network.emb.weight, before)  # the step is a real one


def test_an_epochs_time_is_that_of_the_papers_number_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "time_training", lambda model, log, device: (100.0, 0.9, None))
    monkeypatch.setattr(bench, "scoring_speed", lambda model, log: 1.0)
    assert bench.measure("narm", 50, 300, 2_000, "cpu", torch.get_num_threads()).epoch == 18.0


def test_the_generated_log_has_the_clicks_asked_for() -> None:
    log = bench.generated(100, 5_000)
    assert 4_900 < log.lengths.sum() <= 5_000
    assert log.lengths.min() >= 2 and log.items.max() < 100


def test_the_command_shows_a_line_for_each_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SIZES", {"tiny": (40, 300, 200)})
    assert main(["bench", "--model", "pop", "s_pop", "--device", "cpu"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "pop" in line]
    assert [line[:2] for line in lines] == [["pop", "tiny"], ["s_pop", "tiny"]]
    for _, _, seconds, scored, peak in lines:
        float(seconds), int(scored.replace(",", ""))
        assert int(peak.replace(",", "")) > 10  # MiB: Python alone takes more
