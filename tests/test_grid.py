"""Many cells, several runners, and what goes wrong with them: every cell runs once, none is lost, the others go on."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from reproduce import catalog, own_process
from reproduce.__main__ import main
from reproduce.errors import InputError, ModelError, SuiteError
from reproduce.evaluation import ranking
from reproduce.files import Busy, only_one
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions
from reproduce.runs import scheduler
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result
from reproduce.runs.request import Request
from reproduce.runs.runner import RunOptions, run_with
from reproduce.runs.scheduler import cheap_first, run_cells

HERE = Path(__file__).resolve().parent.parent
SMALL = ["--set", "narm.epochs=3", "narm.hidden=8", "narm.embedding=8", "--seed", "0", "1", "--quiet"]
GRID = ["table2", "--dataset", "cycle", "--model", "pop", "s_pop", "item_knn", "narm", *SMALL]


def request(folder: Path, **options: object) -> Request:
    return Request(datasets=["cycle"], data=Path(), results=folder, quiet=True, **options)  # type: ignore[arg-type]


def few(*models: str, seed: int = 0) -> list[Experiment]:
    fields = {"narm": {"epochs": 1, "hidden": 4, "embedding": 4}}
    return [Experiment.of("cycle", model, fields.get(model), seed) for model in models]


def start(folder: Path, *words: str, args: Sequence[str] = GRID) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, HERE / "tests" / "with_cycle.py", *args, "--results", str(folder), *words],
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_only_counts_comes_before_what_is_trained() -> None:
    ordered = cheap_first(few("narm", "bpr_mf", "pop", "item_knn"))
    assert [one.model for one in ordered] == ["pop", "item_knn", "bpr_mf", "narm"]


def test_a_failed_cell_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(options: RunOptions, one: Experiment, *more: Any, **others: Any) -> Result:
        if one.model == "s_pop":
            raise ZeroDivisionError("by zero")
        return run_with(options, one, *more, **others)

    monkeypatch.setattr(scheduler, "run_with", failing)
    failed = run_cells(request(tmp_path), few("pop", "s_pop", "item_knn"))
    assert list(failed) == ["runs/cycle/s_pop-seed0"]
    assert str(failed["runs/cycle/s_pop-seed0"]) == "ZeroDivisionError: by zero"
    assert sorted(file.name for file in tmp_path.rglob("*.json")) == ["item_knn-seed0.json", "pop-seed0.json"]


def test_a_corrupt_record_is_its_cells_failure_and_bad_input(tmp_path: Path) -> None:
    run_cells(request(tmp_path), few("pop"))
    next(tmp_path.rglob("pop-seed0.json")).write_text("{")
    failed = run_cells(request(tmp_path), few("pop", "s_pop"))
    (error,) = failed.values()
    assert isinstance(error, InputError) and "pop-seed0.json" in str(error) and "--force" in str(error)
    assert list(tmp_path.rglob("s_pop-seed0.json"))


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA"),
    MemoryError(),
    RuntimeError("can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    torch.AcceleratorError("CUDA error: out of memory", 2),
]


@pytest.mark.parametrize("error", NO_MEMORY)
def test_out_of_memory_in_scoring_is_tried_once_more_with_half_the_chunk_and_nothing_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ranking, "CHUNK_SCORES", 12 * 64)  # chunks of 64 prefixes, at 12 items
    kind = catalog.recommender("item_knn")
    score, fit = kind.score, kind.fit
    fits, sizes = [], []

    def counted(self: Recommender, *args: object, **options: object) -> None:
        fits.append(self)
        fit(self, *args, **options)  # type: ignore[arg-type]

    def hungry(self: Recommender, prefixes: Sessions) -> torch.Tensor:
        sizes.append(len(prefixes))
        if len(prefixes) > 32:
            raise error
        return score(self, prefixes)

    monkeypatch.setattr(kind, "fit", counted)
    monkeypatch.setattr(kind, "score", hungry)
    assert run_cells(request(tmp_path), few("item_knn")) == {}
    content = json.loads(next(tmp_path.rglob("*.json")).read_text())
    assert content["environment"]["scoring_chunk"] == 32
    assert sizes[:2] == [64, 32] and max(sizes[1:]) == 32
    assert len(fits) == 1


def test_out_of_memory_twice_in_scoring_is_a_failed_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*args: object) -> object:
        raise MemoryError

    monkeypatch.setattr(catalog.recommender("item_knn"), "score", hungry)
    (error,) = run_cells(request(tmp_path), few("item_knn")).values()
    assert isinstance(error, ModelError) and "out of memory in scoring; make room" in str(error)


@pytest.mark.parametrize("error", NO_MEMORY)
@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("narm", "out of memory in training; try a smaller batch, --set narm.batch=256"),
        ("pop", "out of memory in training; it has no batch"),
    ],
)
def test_out_of_memory_in_training_names_the_remedy_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, model: str, told: str
) -> None:
    fits = []

    def hungry(self: Recommender, *args: object, **options: object) -> None:
        fits.append(self)
        raise error

    monkeypatch.setattr(catalog.recommender(model), "fit", hungry)
    (why,) = run_cells(request(tmp_path), few(model)).values()
    assert isinstance(why, ModelError) and str(why) == told
    assert len(fits) == 1
    assert why.__cause__ is None and why.__context__ is None  # either would hold the memory


def test_a_cell_that_another_process_runs_is_left_to_it(tmp_path: Path) -> None:
    how = RunOptions(data=Path(), results=tmp_path)
    with only_one(tmp_path / "runs/cycle/pop-seed0.lock"), pytest.raises(Busy):
        run_with(how, few("pop")[0], wait=False)


def test_the_lock_of_a_vanished_process_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "runs/cycle/pop-seed0.lock"
    lock.parent.mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    lock.write_text(f"{child.pid}\n{socket.gethostname()}\n")
    run_with(RunOptions(data=Path(), results=tmp_path), few("pop")[0])
    assert not lock.exists()


@pytest.mark.parametrize(("gpus", "method"), [(0, "forkserver"), (2, "spawn")])
def test_processes_are_spawned_where_there_is_a_gpu(gpus: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forked after the GPU was merely looked for cannot use it."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert own_process.context().get_start_method() == method


def test_two_grids_on_one_folder_one_of_them_killed_run_every_cell_once(tmp_path: Path) -> None:
    first = start(tmp_path, "--jobs", "2")
    second = start(tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    second.kill()
    second.wait()  # at once: a killed process that nobody waits for counts as alive, and its temporary file stays
    assert first.wait(timeout=120) == 0, first.stderr.read() if first.stderr else ""
    # The killed grid may have left its last cell complete or not begun; an existing record is never made again.
    made = {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    third = start(tmp_path)
    assert third.wait(timeout=120) == 0
    expected = {f"{model}-seed{seed}" for model in ("pop", "s_pop", "item_knn") for seed in (0, 1)}
    expected |= {f"narm,embedding=8,epochs=3,hidden=8-seed{seed}" for seed in (0, 1)}
    assert {file.stem for file in tmp_path.rglob("*.json")} == expected
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")} == made
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".lock", ".tmp", ".checkpoint")]


def test_progress_of_cells_side_by_side_ends_without_a_warning(tmp_path: Path) -> None:
    short = ["table2", "--dataset", "cycle", "--model", "bpr_mf", "--seed", "0", "1", "--set", "bpr_mf.epochs=1"]
    _, said = start(tmp_path, "--jobs", "2", args=short).communicate(timeout=120)
    assert said.count("epoch 1/1") == 2 and "Warning" not in said


def test_sigterm_ends_a_grid_with_143_and_leaves_no_half_file(tmp_path: Path) -> None:
    long = ["table2", "--dataset", "cycle", "--model", "narm", "--set", "narm.epochs=400", "narm.patience=400"]
    running = start(tmp_path, "--jobs", "2", args=[*long, "--quiet"])
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 143
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".checkpoint"}


def test_a_folder_below_a_file_cannot_be_written_and_that_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    failed = run_cells(request(tmp_path / "file" / "results"), few("pop", "s_pop"))
    assert {type(error) for error in failed.values()} == {InputError}
    assert capsys.readouterr().err.count("cannot write there") == 1


def test_a_full_disk_is_a_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a small disk")
    try:
        one = Experiment.of("cycle", "narm", {"epochs": 2})
        (error,) = run_cells(request(disk), [one]).values()
        assert isinstance(error, SuiteError) and error.status == 3 and "No space left" in str(error)
        assert not [file for file in disk.rglob("*") if file.is_file()], "nothing half-written"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_from_the_command_line_to_a_models_scores_there_are_at_most_seven_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = catalog.recommender("item_knn")
    score, calls = kind.score, []

    def traced(self: Recommender, prefixes: Sessions) -> torch.Tensor:
        calls.append([one.function for one in inspect.stack()[1:] if f"{HERE}/reproduce/" in one.filename])
        return score(self, prefixes)

    monkeypatch.setattr(kind, "score", traced)
    words = ["table2", "--dataset", "cycle", "--model", "item_knn", "--quiet", "--results", str(tmp_path)]
    assert main(words) == 0
    assert calls and max(map(len, calls)) + 1 <= 7, calls[0]  # and score itself


def test_a_cell_reads_no_other_data_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "gone.csv"
    rows = "".join(f"{visit},{visit % 7 + click},{3600 * visit + click}\n" for visit in range(99) for click in range(4))
    log.write_text(f"session,item,time\n{rows}")
    catalog.dataset(str(log))
    log.unlink()
    words = ["--dataset", "cycle", "--model", "pop", "item_knn", "--jobs", "2", "--quiet"]
    assert main(["table2", *words, "--results", str(tmp_path / "r")]) == 0
