"""What a terminal shows of a run and of a grid of runs: the loss, the time left, what is missing; each once."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from reproduce.fitting.epochs import run_epoch
from reproduce.fitting.recommender import Journal
from reproduce.runs import forecast, progress
from reproduce.runs.experiment import Experiment
from reproduce.runs.forecast import Forecast
from reproduce.runs.request import Request
from reproduce.runs.runner import run
from reproduce.runs.scheduler import run_cells

LONG = "diginetica-file-order improved_gru_rec"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", made.monotonic)
    return made


def watch(clock: Clock, seconds: float, batches: int, **told: Any) -> None:
    """Watch an epoch of `batches` batches of ten examples, each of which takes `seconds`."""
    given: dict[str, Any] = {"epoch": 1, "epochs": 3, "examples": 10 * batches, "lengths": [], "loss": lambda: 5.25}
    for _ in progress.watched([[0] * 10] * batches, title=LONG, **{**given, **told}):
        clock.now += seconds


def test_what_is_left_of_a_run_is_as_by_hand() -> None:
    # A quarter of the first epoch took 10 s: 30 s for the rest of it, 40 s for each of two more.
    assert progress.run_left(0.25, 10.0, 2, []) == pytest.approx(110)
    # Epochs took 30 and 50 s: 40 s for each of two more, and 30 s for the rest of this one.
    assert progress.run_left(0.25, 10.0, 2, [30.0, 50.0]) == pytest.approx(110)
    assert progress.run_left(0.9, 99.0, 1, [30.0, 50.0]) == pytest.approx(40)  # never below 0 for this epoch


def test_the_bar_tells_loss_and_time_of_the_run_and_fits_80_columns(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    watch(clock, 60.0, 4)
    drawn = [one for one in terminal.getvalue().split("\r") if one.strip()]
    assert {len(one) for one in drawn} == {80}
    # A quarter took a minute: three for the rest of the epoch, eight for the two others.
    assert any("improved_gru_rec epoch 1/3, loss 5.2500, at most 11 min to go" in one for one in drawn)
    assert "at most 8 min to go" in drawn[-1]


def test_a_long_name_takes_no_room_from_the_loss(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "REFRESH", 0.0)
    for _ in progress.watched(
        [[0]], title="x " + "y" * 90, epoch=100, epochs=100, examples=9, lengths=[], loss=lambda: 12.3456
    ):
        clock.now += 50_000
    last = [one for one in terminal.getvalue().split("\r") if one.strip()][-1]
    assert len(last) == 80
    assert re.search(r"loss 12.3456, at most 111.1 h to go$", last)


def test_without_a_terminal_there_is_a_line_after_a_minute_and_one_every_ten(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(clock, 30.0, 100)
    lines = capsys.readouterr().err.splitlines()
    assert [re.findall(r"epoch 1/3, (\d+)%", one) for one in lines] == [["2"], ["22"], ["42"], ["62"], ["82"]]
    assert lines[0] == f"{LONG} epoch 1/3, 2%: loss 5.2500, at most 2.5 h to go"  # 150 minutes less one


def test_a_short_epoch_writes_no_line_where_there_is_no_terminal(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(clock, 1.0, 50)
    assert capsys.readouterr().err == ""


def test_the_loss_so_far_is_the_mean_of_the_batches_so_far() -> None:
    seen = []

    class Asking(Journal):
        def steps(self, batches: Iterable[Any], *, loss: Any = None, **told: Any) -> Iterator[Any]:
            for batch in batches:
                yield batch
                seen.append(loss())

    told: dict[str, Any] = {"epoch": 1, "epochs": 1, "examples": 4, "device": torch.device("cpu")}
    numbers = run_epoch("m", [[6.0], [1.0, 1.0, 4.0]], lambda batch: torch.tensor(sum(batch)), journal=Asking(), **told)
    assert seen == [6.0, 3.0]  # 6 / 1, 12 / 4
    assert numbers["loss"] == 3.0


def cell(model: str, dataset: str = "cycle", seed: int = 0) -> Experiment:
    return Experiment.of(dataset, model, {}, seed)


def test_a_run_takes_as_long_as_the_same_or_else_as_others_of_its_kind() -> None:
    known = Forecast()
    assert known.of(cell("narm")) is None
    known.note(cell("narm"), 3600.0)
    known.note(cell("pop"), 2.0)
    assert known.of(cell("narm", seed=4)) == 3600.0
    assert known.of(cell("fpmc")) == 3600.0  # trained, as NARM is
    assert known.of(cell("s_pop")) == 2.0  # counts, as POP does
    assert known.of(cell("narm", "synthetic")) is None  # nothing is known on other data


def test_a_grid_tells_what_is_left_and_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "clock", lambda seconds: f"now + {seconds:.0f} s")
    known = Forecast()
    cells = [cell("narm"), cell("narm", seed=1), cell("pop")]
    assert known.told(cells, jobs=1) == "3 left"
    known.note(cell("narm"), 3600.0)
    assert known.told(cells, jobs=1) == "3 left, more than 2.0 h (until now + 7200 s)"
    known.note(cell("pop"), 600.0)
    assert known.told(cells, jobs=1) == "3 left, about 2.2 h (until now + 7800 s)"
    assert known.told(cells, jobs=2, elapsed=1800.0) == "3 left, about 50 min (until now + 3000 s)"


def test_what_stored_runs_of_this_device_took_is_known(tmp_path: Path) -> None:
    made = run(cell("pop"), data=".", results=tmp_path, device="cpu")
    device = str(made.environment["device"])
    took = made.environment["fit_seconds"] + made.environment["score_seconds"]
    assert Forecast.from_records(tmp_path, [cell("pop", seed=1)], device).seconds == {("cycle", "pop"): took}
    assert Forecast.from_records(tmp_path, [cell("pop")], "a GPU").seconds == {}
    next(tmp_path.rglob("pop*.json")).write_text("{")
    assert Forecast.from_records(tmp_path, [cell("pop")], device).seconds == {}


def request(results: Path, **told: Any) -> Request:
    return Request(datasets=["cycle"], data=results / "none", results=results, device="cpu", **told)


@pytest.mark.parametrize("jobs", [1, 2])
def test_only_what_is_made_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int) -> None:
    run_cells(request(tmp_path, quiet=True), [cell("pop")])
    run_cells(request(tmp_path, jobs=jobs), [cell("pop"), cell("s_pop"), cell("item_knn")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 3 runs are stored, 2 are to be made"
    assert lines[1].startswith("[1/2] cycle/s_pop-seed0; 2 left")
    assert [one for one in lines if one.startswith("[2/2] cycle/item_knn-seed0; ")]
    assert not any("cycle/pop" in one for one in lines)
    run_cells(request(tmp_path), [cell("pop"), cell("s_pop")])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("jobs", [1, 2])
def test_absent_data_is_said_once_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: int
) -> None:
    cells = [cell(model, dataset) for dataset in ("yoochoose1_64", "cycle") for model in ("pop", "s_pop", "item_knn")]
    failed = run_cells(request(tmp_path, jobs=jobs), cells)
    assert set(failed) == {one.path for one in cells[:3]}
    said = capsys.readouterr().err
    assert said.count("yoochoose1_64: not found in") == 1
    assert jobs > 1 or "[1/3] cycle/pop-seed0; 3 left" in said
    assert len(list(tmp_path.rglob("*.json"))) == 3
