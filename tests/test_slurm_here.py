"""--slurm on a real Slurm of one node: a preempted cell and one at its limit go on, a cancelled one does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reproduce.__main__ import main
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, load

HERE = Path(__file__).resolve().parent.parent
TOOL = Path(os.environ.get("SLURM_HERE_TOOL", HERE.parent / "shared" / "tools" / "slurm-here.sh"))
FIELDS = {"epochs": 30, "hidden": 16, "embedding": 16, "patience": 30}
TABLE = ["table2", "--dataset", "synthetic", "--quiet", "--device", "cpu"]
TABLE += ["--set", *(f"narm.{key}={value}" for key, value in FIELDS.items())]
CELLS = [Experiment.of("synthetic", "pop"), Experiment.of("synthetic", "item_knn")]
CELLS += [Experiment.of("synthetic", "narm", FIELDS)]
FAILS = """
from dataclasses import dataclass

from reproduce import Recommender


@dataclass(kw_only=True)
class Fails(Recommender):
    def fit(self, train, *, seed, device, journal):
        raise ValueError("it was made to")

    def score(self, prefixes):
        raise AssertionError
"""

SLOW = """
import os
import time
from dataclasses import dataclass

import torch

from reproduce import Recommender, setting


@dataclass(kw_only=True)
class Slow(Recommender):
    epochs: int = setting(20, low=1)

    def fit(self, train, *, seed, device, journal):
        state = journal.restore() or {"epoch": 0, "weights": torch.zeros(train.n_items)}
        epoch, weights = state["epoch"], state["weights"]
        while epoch < self.epochs:
            epoch += 1
            for _ in journal.steps([[0]], epoch=epoch, epochs=self.epochs, examples=1):
                time.sleep(float(os.environ.get("SECONDS_OF_AN_EPOCH", 0)))
                weights = weights + torch.rand(len(weights), generator=torch.Generator().manual_seed(epoch))
            journal.epoch({"epoch": epoch, "loss": 0.0})
            journal.save({"epoch": epoch, "weights": weights})
        self.weights_ = weights

    def score(self, prefixes):
        return self.weights_.repeat(len(prefixes), 1)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOL.is_file() or os.geteuid() != 0, reason="needs root and shared/tools/slurm-here.sh"),
]


@pytest.fixture
def cluster() -> Iterator[None]:
    """A Slurm in which a job in partition `high` preempts those in `low`: they are sent TERM and queued again."""
    base = Path(tempfile.gettempdir()) / f"slurm-here-{os.getpid()}"  # not tmp_path: a socket's path must be short
    environ = {**os.environ, "SLURM_HERE": str(base)}
    subprocess.run(["bash", TOOL, "start"], env=environ, check=True, timeout=300)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(base / "slurm.conf")
    yield
    subprocess.run(["bash", TOOL, "stop"], env=environ, check=True, timeout=120)
    os.environ.pop("SLURM_CONF")
    if before is not None:
        os.environ["SLURM_CONF"] = before
    shutil.rmtree(base)


def wait_for(what: str, seconds: float, done: object) -> None:
    deadline = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"still waiting for {what}: {queue()}"
        time.sleep(0.2)


def queue() -> str:
    return subprocess.run(["squeue", "--noheader", "--array"], capture_output=True, text=True, check=True).stdout


def start_now(folder: Path, cell: int) -> None:
    """Start a cell that was queued again, which Slurm would let wait for two minutes.

    Wait for a second first, since Slurm counts whole seconds here. Within the second in which the cell ended, the node
    would take the start for an earlier one and refuse it, as that of a killed job; the cell would count as failed.
    """
    time.sleep(1)
    job = (folder / "job").read_text().strip()
    subprocess.run(["scontrol", "update", f"JobId={job}_{cell}", "StartTime=now"], check=True, capture_output=True)


def result(one: Experiment, folder: Path) -> Result:
    found = load(one, folder)
    assert found is not None, one.path
    return found


def test_an_array_of_which_one_is_preempted_and_one_fails_makes_every_cell_once_and_the_page(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    (tmp_path / "fails.py").write_text(FAILS)
    there, here = tmp_path / "there", tmp_path / "here"
    words = ["--model", "pop", "item_knn", "narm", str(tmp_path / "fails.py"), "--results", str(there)]
    ask = [sys.executable, "-m", "reproduce", *TABLE, *words, "--slurm", "partition=low,at-once=2"]
    hold = ["sbatch", "--parsable", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 600"]
    holding = subprocess.run(hold, check=True, capture_output=True, text=True).stdout.strip()
    told = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert "4 runs" in told
    again = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    subprocess.run(["scancel", holding], check=True)  # until here no cell could end, so that all were queued
    assert again == "nothing to submit: of 4 runs 4 are missing, and those are queued\n"

    checkpoint = there / f"{CELLS[2].path}.checkpoint"
    wait_for("the others to end", 120, lambda: len(queue().splitlines()) == 2 and checkpoint.is_file())
    high = ["sbatch", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 3"]
    subprocess.run(high, check=True, capture_output=True)
    (folder,) = (there / "slurm").iterdir()
    log = folder / "cell-3.log"
    wait_for("the requeue", 120, lambda: "BeginTime" in queue())
    start_now(folder, 3)
    wait_for("the restart", 180, lambda: "start 2:" in log.read_text())
    wait_for("the page", 900, lambda: not queue().strip())

    assert main([*TABLE, "--model", "pop", "item_knn", "narm", "--results", str(here)]) == 0
    for one in CELLS:
        np.testing.assert_array_equal(result(one, there).greater, result(one, here).greater)
        np.testing.assert_array_equal(result(one, there).equal, result(one, here).equal)
    narm = result(CELLS[2], there)
    assert narm.environment["resumed"], "it went on from its checkpoint"
    assert [one["epoch"] for one in narm.epochs] == list(range(1, 31)), "no epoch twice"
    assert "terminated" in log.read_text()
    assert all("start 2" not in (folder / f"cell-{cell}.log").read_text() for cell in (1, 2, 4))
    assert {file.stem for file in there.rglob("*-seed0.json")} == {Path(one.path).name for one in CELLS}
    failed = (folder / "cell-4.log").read_text()
    assert "raised ValueError: it was made to" in failed and failed.count("start ") == 1
    assert (there / "table2.md").is_file() and "NARM" in (folder / "page.log").read_text()
    assert not list((there / "runs").rglob("*.lock")) and not list((there / "runs").rglob("*.checkpoint"))
    shutil.rmtree(there)


def test_a_cell_that_meets_its_limit_of_time_is_queued_again_and_goes_on_at_its_next_epoch(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty epochs take seven seconds each; the cell is told to end a minute before its limit of three minutes."""
    monkeypatch.chdir(HERE)
    (tmp_path / "slow.py").write_text(SLOW)
    there, here = tmp_path / "there", tmp_path / "here"
    words = ["table2", "--dataset", "synthetic", "--device", "cpu", "--quiet", "--model", str(tmp_path / "slow.py")]
    monkeypatch.setenv("SECONDS_OF_AN_EPOCH", "7")
    ask = [sys.executable, "-m", "reproduce", *words, "--results", str(there), "--slurm", "partition=low,time=3"]
    subprocess.run(ask, capture_output=True, text=True, check=True)
    (folder,) = (there / "slurm").iterdir()
    log = folder / "cell-1.log"

    def ended() -> bool:
        if "BeginTime" in queue():
            start_now(folder, 1)
        return not queue().strip()

    wait_for("the page", 900, ended)
    assert load(Experiment.of("synthetic", str(tmp_path / "slow.py")), there), log.read_text()
    monkeypatch.delenv("SECONDS_OF_AN_EPOCH")
    assert main([*words, "--results", str(here)]) == 0
    slow = Experiment.of("synthetic", "slow")
    cut, whole = result(slow, there), result(slow, here)
    np.testing.assert_array_equal(cut.greater, whole.greater)
    assert cut.environment["resumed"] and not whole.environment["resumed"]
    assert [one["epoch"] for one in cut.epochs] == list(range(1, 21)), "no epoch twice"
    assert "start 2:" in log.read_text() and "terminated" in log.read_text()
    assert (there / "table2.md").is_file() and not list((there / "runs").rglob("*.checkpoint"))
    shutil.rmtree(there)


def test_a_cell_that_is_cancelled_is_not_queued_again_and_keeps_its_checkpoint(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    (tmp_path / "slower.py").write_text(SLOW)
    monkeypatch.setenv("SECONDS_OF_AN_EPOCH", "3")
    ask = ["table2", "--dataset", "synthetic", "--device", "cpu", "--quiet", "--model", str(tmp_path / "slower.py")]
    words = [*ask, "--results", str(tmp_path / "r"), "--slurm", "partition=low"]
    subprocess.run([sys.executable, "-m", "reproduce", *words], capture_output=True, text=True, check=True)
    (folder,) = (tmp_path / "r/slurm").iterdir()
    checkpoint = tmp_path / "r/runs/synthetic/slower-seed0.checkpoint"
    wait_for("the first epoch", 180, checkpoint.is_file)
    subprocess.run(["scancel", f"{(folder / 'job').read_text().strip()}_1"], check=True)
    wait_for("the page", 300, lambda: not queue().strip())
    log = (folder / "cell-1.log").read_text()
    assert "terminated" in log and log.count("start ") == 1
    assert checkpoint.is_file() and not checkpoint.with_suffix(".json").exists()
    shutil.rmtree(tmp_path / "r")
