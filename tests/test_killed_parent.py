"""A process that runs two cells in children is killed: they finish their cells, and no further cell is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce.runs import record
from reproduce.runs.experiment import Experiment

HERE = Path(__file__).resolve().parent
FIELDS = {"batch": 64, "epochs": 6}
CELLS = [Experiment.of("cycle", model, FIELDS, seed) for model in ("bpr_mf", "stamp") for seed in (0, 1, 2)]
WORDS = [
    *(sys.executable, str(HERE / "with_cycle.py"), "table2", "--dataset", "cycle", "--model", "bpr_mf", "stamp"),
    *("--seed", "0", "1", "2", "--jobs", "2", "--set"),
    *(f"{model}.{key}={value}" for model in ("bpr_mf", "stamp") for key, value in FIELDS.items()),
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}


def files(results: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in results.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_the_children_of_a_killed_parent_finish_and_the_same_command_makes_the_rest(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    run = subprocess.Popen(
        [*WORDS, "--results", str(killed)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    while len(list(killed.rglob("*.lock"))) < 2:
        assert run.poll() is None, "ended before two cells had begun"
    run.kill()
    begun = {file.stem for file in killed.rglob("*.lock")}
    said = run.stderr.read()  # returns when the last child has closed it
    run.wait()
    assert "Traceback" not in said
    made = files(killed)
    recorded = {Path(name).stem for name in made if name.endswith(".json")}
    assert begun <= recorded and len(recorded) < len(CELLS)
    assert all(name.endswith((".json", ".npz")) for name in made), "no lock, nothing half-written"
    for results in (killed, whole):
        subprocess.run([*WORDS, "--results", str(results)], env=ENVIRONMENT, capture_output=True, check=True)
    assert made.items() <= files(killed).items(), "what was recorded is not made again"
    for one in CELLS:
        left, right = record.load(one, killed), record.load(one, whole)
        assert left is not None and right is not None
        assert left.ranks().tobytes() == right.ranks().tobytes()
