"""A limit on time: a run stops between epochs, says what is left, and the same command goes on to the same ranks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reproduce import cli
from reproduce.__main__ import main
from reproduce.errors import UsageError
from reproduce.runs import checkpoint, deadline
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.deadline import Deadline, TimeIsUp
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load
from reproduce.runs.request import Request
from reproduce.runs.scheduler import run_cells

SMALL = {"epochs": 4, "hidden": 4, "embedding": 4}


def narm(seed: int = 0) -> Experiment:
    return Experiment.of("cycle", "narm", SMALL, seed)


class Clock:
    """A clock that the fixture `clock` moves on by a minute at the end of every training epoch."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    noted = RunJournal.epoch

    def epoch(journal: RunJournal, numbers: dict[str, float]) -> None:
        noted(journal, {**numbers, "seconds": 60.0})
        made.now += 60

    monkeypatch.setattr(RunJournal, "epoch", epoch)
    monkeypatch.setattr(deadline.time, "monotonic", made.monotonic)
    yield made


def run(folder: Path, clock: Clock, minutes: float, *cells: Experiment) -> dict[str, Exception]:
    limit = Deadline(60 * minutes, clock.now)
    request = Request(["cycle"], data=Path(), results=folder, device="cpu", quiet=True, deadline=limit)
    return run_cells(request, cells)  # type: ignore[return-value]


def test_a_run_stops_at_the_last_epoch_that_fits_and_goes_on_to_the_same_ranks(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(tmp_path / "cut", clock, 2.5, narm(), narm(1))
    assert [str(error) for error in first.values()] == [
        "the time is up after epoch 2 of 4",
        "not begun, the time is up",
    ]
    assert {type(error) for error in first.values()} == {TimeIsUp}
    assert {getattr(error, "status", 0) for error in first.values()} == {75}
    assert "2 of 2 runs out of time (repeat the command to resume)" in capsys.readouterr().err
    assert clock.now == 120
    second = run(tmp_path / "cut", clock, 2, narm(), narm(1))
    assert clock.now == 240
    assert list(second) == [narm(1).path]
    run(tmp_path / "whole", clock, 100, narm())
    cut, whole = load(narm(), tmp_path / "cut"), load(narm(), tmp_path / "whole")
    assert cut is not None and whole is not None
    np.testing.assert_array_equal(cut.greater, whole.greater)
    np.testing.assert_array_equal(cut.equal, whole.equal)


def test_what_is_stored_is_used_although_the_time_is_up(tmp_path: Path, clock: Clock) -> None:
    pop, other = Experiment.of("cycle", "pop"), Experiment.of("cycle", "s_pop")
    assert run(tmp_path, clock, 1, pop) == {}
    clock.now += 3600
    request = Request(["cycle"], data=Path(), results=tmp_path, quiet=True, deadline=Deadline(60, 0.0))
    assert {path: str(error) for path, error in run_cells(request, [pop, other]).items()} == {
        other.path: "not begun, the time is up"
    }


def test_an_epoch_longer_than_the_limit_is_told_where_it_would_never_get_further(tmp_path: Path, clock: Clock) -> None:
    run(tmp_path, clock, 0.5, narm())  # begins the first epoch, since its length is not known yet
    (error,) = run(tmp_path, clock, 0.5, narm()).values()
    assert isinstance(error, UsageError) and "an epoch takes 1.0 minutes, more than --minutes gives (0.5)" in str(error)


def test_an_earlier_sitting_on_another_device_says_nothing_of_this_ones_epochs() -> None:
    journal = RunJournal(circumstances={"device": "a GPU"}, deadline=Deadline(1.0), quiet=True)
    journal.history = [{"epoch": 1, "loss": 1.0, "seconds": 1e6}]
    journal.resumed = [{"device": "cpu (x86_64)", "epochs": 1}]
    assert list(journal.steps([1, 2], epoch=2, epochs=3, examples=2)) == [1, 2]
    journal = RunJournal(circumstances={"device": "a GPU"}, deadline=Deadline(1e5), quiet=True)
    journal.history = [{"epoch": 1, "loss": 1.0, "seconds": 1e6}]
    journal.resumed = [{"device": "a GPU", "epochs": 1}]
    with pytest.raises(UsageError, match="an epoch takes"):
        list(journal.steps([1, 2], epoch=2, epochs=3, examples=2))


def test_cells_side_by_side_share_the_limit(tmp_path: Path) -> None:
    over = Deadline(1.0, time.monotonic() - 2)
    request = Request(["cycle"], data=Path(), results=tmp_path, device="cpu", jobs=2, quiet=True, deadline=over)
    failed = run_cells(request, [narm(), narm(1)])
    assert {str(error) for error in failed.values()} == {"not begun, the time is up"}
    assert {type(error) for error in failed.values()} == {TimeIsUp}


def test_the_command_line_ends_with_75_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["table2", "--dataset", "cycle", "--model", "pop", "narm", "--quiet", "--results", str(tmp_path)]
    words += ["--set", *(f"narm.{key}={value}" for key, value in SMALL.items())]
    limits = iter([1e-9, 1e6])
    monkeypatch.setattr(cli, "positive", lambda text: next(limits))
    assert main([*words, "--minutes", "1"]) == 75
    assert "2 of 2 runs out of time" in capsys.readouterr().err
    assert main([*words, "--minutes", "1"]) == 0


def test_no_minutes_at_all_is_a_wrong_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table2", "--minutes", "0"]) == 2
    assert "'0' is not a number from 1 to" in capsys.readouterr().err


def test_the_journal_measures_an_epoch_from_one_beginning_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(checkpoint.time, "monotonic", clock.monotonic)
    journal = RunJournal(deadline=Deadline(100.0, 0.0), quiet=True)
    for epoch, taken in ((1, 30), (2, 40)):
        assert list(journal.steps(["batch"], epoch=epoch, epochs=9, examples=1)) == ["batch"]
        clock.now += taken  # with its validation
    with pytest.raises(TimeIsUp, match="after epoch 2 of 9"):  # 70 of 100 s are gone; the longest took 40
        list(journal.steps(["batch"], epoch=3, epochs=9, examples=1))


def test_an_own_model_may_note_an_epoch_without_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    journal = RunJournal()
    journal.epoch({"epoch": 1, "loss": 2.0})
    assert [epoch["loss"] for epoch in journal.history] == [2.0] and capsys.readouterr().err == ""
    list(journal.steps([[0]], epoch=2, epochs=2, examples=1))
    journal.epoch({"epoch": 2, "loss": 1.0})
    assert "epoch 2/2  loss 1.0000  at most 00:00 left" in capsys.readouterr().err
