"""One results folder, several machines: what another host left is never taken for the remains of a vanished process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce import files
from reproduce.errors import InputError
from reproduce.files import Busy, only_one, replacing
from reproduce.runs.deadline import Deadline, TimeIsUp
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request
from reproduce.runs.runner import RunOptions, run_with
from reproduce.runs.scheduler import run_cells

GONE = subprocess.Popen([sys.executable, "-c", ""])
GONE.wait()


def test_a_lock_says_its_process_and_host(tmp_path: Path) -> None:
    with only_one(tmp_path / "cell.lock"):
        assert (tmp_path / "cell.lock").read_text() == f"{os.getpid()}\n{socket.gethostname()}\n"
    assert not (tmp_path / "cell.lock").exists()


def test_a_lock_of_another_host_is_never_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "cell.lock"
    lock.write_text("4711\nnode7\n")
    busy = r"cell\.lock: locked by process 4711 on node7; if it is no longer running, delete this file"
    with pytest.raises(Busy, match=busy), only_one(lock, wait=0):
        raise AssertionError("taken over")
    with pytest.raises(InputError, match=busy), only_one(lock):
        raise AssertionError("taken over")
    assert lock.read_text() == "4711\nnode7\n"
    lock.unlink()
    with only_one(lock, wait=0):
        assert "node7" not in lock.read_text()


def test_a_cell_locked_by_another_host_is_left_for_last_then_told_and_the_others_are_run(tmp_path: Path) -> None:
    pop, other = Experiment.of("cycle", "pop"), Experiment.of("cycle", "s_pop")
    lock = tmp_path / f"{pop.path}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("4711\nnode7\n")
    failed = run_cells(Request(["cycle"], data=Path(), results=tmp_path, quiet=True), [pop, other])
    assert {path: type(error) for path, error in failed.items()} == {pop.path: InputError}
    assert (tmp_path / f"{other.path}.json").is_file()
    assert lock.is_file()


def test_the_half_written_of_a_vanished_process_goes_but_not_that_of_another_host(tmp_path: Path) -> None:
    ours, theirs = (tmp_path / f".page.md.{name}-{GONE.pid}.tmp" for name in (files.host(), "node7"))
    ours.write_text("half")
    theirs.write_text("half")
    with replacing(tmp_path / "page.md") as temporary:
        assert temporary.name == f".page.md.{files.host()}-{os.getpid()}.tmp"
        temporary.write_text("whole")
    assert {file.name for file in tmp_path.iterdir()} == {"page.md", theirs.name}


def test_a_host_of_any_name_fits_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.socket, "gethostname", lambda: "gpu-3.cluster/ä." + "x" * 200)
    assert files.host().startswith("gpu-3-cluster---x")
    assert len(files.host()) == 30


def test_a_wait_for_another_process_ends_at_the_deadline(tmp_path: Path) -> None:
    pop = Experiment.of("cycle", "pop")
    program = (
        "import sys, time; from pathlib import Path; from reproduce.files import only_one\n"
        "with only_one(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    lock = str(pop.file(tmp_path, ".lock"))
    with subprocess.Popen([sys.executable, "-c", program, lock], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        options = RunOptions(data=Path(), results=tmp_path, device="cpu", quiet=True, deadline=Deadline(0.5))
        with pytest.raises(TimeIsUp):
            run_with(options, pop)
        other.kill()
