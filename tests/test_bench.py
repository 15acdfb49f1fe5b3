"""The bench measures every kind of model, each in a process of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reproduce.__main__ import main
from reproduce.commands import bench


@pytest.mark.parametrize("name", ["item_knn", "stamp", "narm"])
def test_a_model_is_measured(name: str) -> None:
    speed = bench.measure(name, 50, 300, 200, "cpu", torch.get_num_threads())
    assert speed.epoch > 0 and speed.scored > 0 and speed.peak > 0
    assert (speed.step is not None) == (name == "narm")
    if speed.step is not None:
        assert speed.step.total > 0 and speed.step.softmax > 0 and speed.step.optimiser > 0


def test_an_epochs_time_is_that_of_the_papers_number_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "time_steps", lambda model, log, device: (100.0, 0.9, None))
    monkeypatch.setattr(bench, "scoring_speed", lambda model, log: 1.0)
    assert bench.measure("narm", 50, 300, 2_000, "cpu", torch.get_num_threads()).epoch == 18.0


def test_the_generated_log_has_the_clicks_asked_for() -> None:
    log = bench.generated(100, 5_000)
    assert 4_900 < log.lengths.sum() <= 5_000
    assert log.lengths.min() >= 2 and log.items.max() < 100


def test_the_command_shows_a_line_for_each_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SIZES", {"tiny": (40, 300, 200)})
    assert main(["bench", "--model", "pop", "--device", "cpu"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("pop"))
    name, size, seconds, scored, peak = line.split()
    assert (name, size) == ("pop", "tiny")
    assert float(seconds) >= 0 and float(scored.replace(",", "")) > 0 and int(peak.replace(",", "")) > 10


def test_generated_prefixes_are_as_long_as_those_of_yoochoose() -> None:
    lengths = bench.generated(1_000, 100_000).prefixes()[0].lengths
    assert 4.8 < lengths.mean() < 5.4  # 5.11 on the real log
    assert 4.3 < np.minimum(lengths, 19).mean() < 4.8  # 4.50
