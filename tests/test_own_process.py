"""A user's own code runs in a process of its own: whatever it does there, the other rows' ranks are what they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reproduce import own_process
from reproduce.__main__ import main
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load

GOOD = """
from dataclasses import dataclass
import os, sys, threading, time
import numpy as np
import torch
from reproduce import Recommender, setting

@dataclass(kw_only=True)
class Mine(Recommender):
    shift: float = setting(0.5, low=0.0)

    def fit(self, train, *, seed, device, journal):
        self.items_ = train.n_items
        # here

    def score(self, prefixes):
        return (torch.arange(self.items_) + self.shift).repeat(len(prefixes), 1)

# below
"""
HERE = Path(__file__).resolve().parent.parent
ROWS = ["pop", "s_pop", "item_knn"]
STACK = "sys.setrecursionlimit(10**9); x = []; [x := [x] for _ in range(10**6)]; repr(x)"
STR = "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()"
THREAD = "threading.Thread(target=lambda: [time.sleep(0.1) for _ in iter(int, 1)]).start()"


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The ranks of the other rows where no own model is beside them."""
    folder = tmp_path_factory.mktemp("alone")
    assert main(["table2", "--dataset", "cycle", "--quiet", "--results", str(folder), "--model", *ROWS]) == 0
    return {name: ranks_of(name, folder) for name in ROWS}


def ranks_of(name: str, results: Path) -> np.ndarray:
    result = load(Experiment.of("cycle", name), results)
    assert result is not None
    return result.ranks()


@pytest.mark.parametrize(
    ("place", "line", "status", "told"),
    [
        ("# below", "torch.set_default_dtype(torch.float64)", 0, ""),
        ("# here", "torch.set_default_device('meta')", 1, "cycle/mine-seed0: "),
        ("# below", "np.argsort = np.unique = lambda *a, **k: 1 / 0", None, ""),
        ("# here", "np.cumsum = np.zeros_like; torch.sort = None", None, ""),
        ("# here", "os._exit(0)", 1, "cycle/mine-seed0: its process ended without a result: exit 0"),
        ("# below", "os._exit(0)", 1, "mine: mine.py its process ended without a result: exit 0"),
        ("# here", "sys.exit(0)", 1, "cycle/mine-seed0: raised SystemExit: 0 (mine.py:14)"),
        ("# here", "os.kill(os.getpid(), 9)", 1, "without a result: killed by signal 9 (out of memory?)"),
        ("# here", "sys.stdout.close(); os.close(1)", 0, ""),
        ("# here", STACK, 1, "cycle/mine-seed0: its process ended without a result: killed by signal 11"),
        ("# here", THREAD, 0, ""),
        ("# here", STR, 1, "cycle/mine-seed0: raised E (mine.py:14)"),
        ("# here", "print('spoken')", 0, ""),
    ],
)
def test_what_an_own_model_does_stays_in_its_row(
    place: str,
    line: str,
    status: int | None,
    told: str,
    ranks: dict[str, np.ndarray],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD.replace(place, line))
    words = ["--dataset", "cycle", "--quiet", "--results", str(tmp_path / "r"), "--model", str(file), *ROWS]
    jobs = "2" if len(line) % 2 else "1"  # either way a process of its own runs it
    found = main(["table2", *words, "--jobs", jobs])
    assert found == status if status is not None else found in (0, 1)
    said = capfd.readouterr()
    assert told in said.err
    assert "spoken" not in said.out
    for name in ROWS:
        assert np.array_equal(ranks_of(name, tmp_path / "r"), ranks[name]), name


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_process_that_does_not_end_after_its_record_is_killed_and_its_cell_failed(
    jobs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert own_process.PATIENCE == 30.0
    monkeypatch.setattr(own_process, "PATIENCE", 0.5)
    file = tmp_path / "mine.py"
    file.write_text(GOOD.replace("# here", "os._exit = lambda code: time.sleep(600)"))
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path / "r"), "--jobs", jobs, "--model"]
    assert main([*words, str(file), "pop"]) == 1
    failed = "cycle/mine-seed0: its process did not end within 0.5 seconds after its result\n"
    assert failed in capfd.readouterr().err
    assert (tmp_path / "r/runs/cycle/mine-seed0.json").is_file() and (
        tmp_path / "r/runs/cycle/pop-seed0.json"
    ).is_file()


def test_a_model_that_runs_where_it_is_loaded_gives_the_same_ranks(tmp_path: Path) -> None:
    from reproduce import run

    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    words = ["--dataset", "cycle", "--quiet", "--results", str(tmp_path / "child"), "--model", str(file)]
    assert main(["table2", *words]) == 0
    here = run(Experiment.of("cycle", str(file)), data=".", results=tmp_path / "here", device="cpu")
    assert np.array_equal(here.ranks(), ranks_of("mine", tmp_path / "child"))


def test_an_own_model_runs_with_standard_output_in_a_file_and_standard_error_in_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD.replace("# here", "print('spoken')"))
    words = ["table2", "--dataset", "synthetic", "--quiet", "--results", str(tmp_path / "r"), "--model"]
    command = [sys.executable, "-m", "reproduce", *words, str(tmp_path / "mine.py")]
    with (tmp_path / "out.txt").open("w") as out:
        run = subprocess.run(command, cwd=HERE, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0 and run.stderr == "spoken\n"
    assert "spoken" not in (tmp_path / "out.txt").read_text()


DATA = """
import os, sys
import numpy as np
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.reading.source import Dataset

def read(data):
    # here
    part = Sessions.of([[0, 1, 2], [1, 2, 0]] * 9, 3)
    return Split("mine", part, part, Provenance("made up", "time", emulated=False, counts={}))

DATASETS = (Dataset("mine", "Mine", lambda data: [data], read, ""),)
# below
"""


@pytest.mark.parametrize("place", ["# here", "# below"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("sys.exit(0)", "mine.py: raised SystemExit: 0 (mine.py:"),
        ("os._exit(0)", "mine.py: its process ended without a result: exit 0"),
        ("1 / 0", "mine.py: raised ZeroDivisionError: division by zero (mine.py:"),
    ],
)
def test_own_data_in_python_that_ends_the_process_is_a_line_and_exit_3(
    line: str, told: str, place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(DATA.replace(place, line))
    words = ["table2", "--dataset", str(file), "--model", "pop", "--quiet", "--results", str(tmp_path / "r")]
    assert main(words) == 3
    err = capfd.readouterr().err
    assert told in err and "Traceback" not in err


ONE_CLICK = """
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.reading.source import Dataset


def read(data):
    test = Sessions.of([[0], [1], [2], [3, 2], [0], [1, 2]], 4)
    return Split("mine", Sessions.of([[0, 1, 2, 3]] * 5, 4), test, Provenance("made up", "time", emulated=False))


DATASETS = (Dataset("mine", "Mine", lambda data: [data], read, ""),)
"""


def test_own_data_in_python_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(DATA)
    words = ["table2", "--dataset", str(file), "--model", "pop", "--quiet", "--results", str(tmp_path / "r")]
    assert main(words) == 0
    assert len(list((tmp_path / "r/runs").glob("mine-????????/pop-seed0.json"))) == 1


def test_own_data_in_python_may_test_on_sessions_of_one_click(tmp_path: Path) -> None:
    """They have no prefix, so that the numbers of sessions have gaps; and its counts are made where it has none."""
    file = tmp_path / "mine.py"
    file.write_text(ONE_CLICK)
    words = ["--dataset", str(file), "--results", str(tmp_path / "r")]
    assert main(["run", "pop", *words, "--quiet"]) == 0
    assert main(["table2", *words, "--model", "pop", "--stored"]) == 0
    assert main(["table1", *words]) == 0
