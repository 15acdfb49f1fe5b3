"""Standard output or error closed, full or unable to show a letter; Ctrl-C and SIGTERM while torch loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROGRAM = [sys.executable, str(HERE / "with_cycle.py")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
TABLE = ["table2", "--dataset", "cycle", "--model", "pop", "s_pop", "--seed", "0", "1", "--results", "made"]


def shell(tail: str, folder: Path, words: list[str] = TABLE, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command within a line of shell, `tail`, which also prints the command's own exit status."""
    line = " ".join([*PROGRAM, *words])
    return subprocess.run(
        ["bash", "-c", tail.format(line=line)],
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )


def made(folder: Path) -> set[str]:
    return {file.name for file in (folder / "made").rglob("*") if file.suffix in (".json", ".md")}


EVERYTHING = {"table2.md", *(f"{model}-seed{seed}.json" for model in ("pop", "s_pop") for seed in (0, 1))}


@pytest.mark.parametrize(
    ("tail", "jobs"),
    [
        ("{line} 2> >(head -1 >&2); echo $?", "2"),  # closed after the first line
        ("{line} 2>&1 >/dev/null | true; echo ${{PIPESTATUS[0]}}", "1"),  # closed by the time of the first line
        ("{line} 2>&-; echo $?", "2"),
        ("{line} 2>/dev/full; echo $?", "1"),
    ],
)
def test_a_closed_standard_error_is_no_end_of_work(tail: str, jobs: str, tmp_path: Path) -> None:
    run = shell(tail, tmp_path, [*TABLE, "--jobs", jobs])
    assert made(tmp_path) == EVERYTHING
    assert "Traceback" not in run.stderr and "Exception ignored" not in run.stderr
    assert run.stdout.splitlines()[-1] == "0"


def test_a_reader_that_goes_away_stops_nothing_and_is_no_fault(tmp_path: Path) -> None:
    run = shell("{line} --quiet 2>&1 | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert (run.stdout, run.stderr) == ("0\n", "")
    assert made(tmp_path) == EVERYTHING


def test_a_closed_standard_output_is_no_file_of_the_run(tmp_path: Path) -> None:
    """The first file opened gets the lowest free descriptor: if that were 1, print would write into the file."""
    run = shell("{line} --quiet >&-; echo $? >&2", tmp_path)
    assert run.stderr == "0\n"
    assert made(tmp_path) == EVERYTHING


@pytest.mark.parametrize("words", [["list"], ["--help"], ["table2", "--help"]])
def test_a_full_disk_behind_standard_output_is_told(words: list[str], tmp_path: Path) -> None:
    run = shell("{line} > /dev/full; echo $?", tmp_path, words)
    assert run.stdout == "3\n"
    assert run.stderr == "reproduce: standard output cannot be written (No space left on device)\n"


def test_a_full_disk_behind_standard_output_ends_no_page(tmp_path: Path) -> None:
    run = shell("{line} --quiet > /dev/full; echo $?", tmp_path)
    assert run.stdout == "3\n"
    assert run.stderr.startswith("reproduce: standard output cannot be written (No space left on device)")
    assert made(tmp_path) == EVERYTHING


def test_letters_that_a_terminal_lacks_are_question_marks_and_the_page_is_whole(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}  # tox sets the last
    run = shell("{line} --quiet; echo $?", tmp_path, **plain)
    assert run.stdout.isascii() and run.stdout.splitlines()[-1] == "0" and run.stderr == ""
    page = (tmp_path / "made/table2.md").read_text(encoding="utf-8")
    assert not page.isascii()
    assert "?" in run.stdout


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -2), (signal.SIGTERM, -15)])
def test_a_signal_while_torch_loads_ends_the_process(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """The program sends itself the signal when torch is looked up, before it is loaded, so nothing here is timed."""
    program = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'torch': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from reproduce.cli import main\n"
        f"main(['table2', '--dataset', 'synthetic', '--results', {str(tmp_path)!r}])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (run.returncode, run.stderr) == (status, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--device", "cpu:7"], "unknown device 'cpu:7'; available: auto, cpu"),
        (["--set", "narm.hidden=50", "narm.hidden=60"], "--set narm.hidden: both 50 and 60; give it once"),
        (["--set", "narm.hidden=50", "--set", "narm.hidden=60"], "--set narm.hidden: both 50 and 60"),
        (["--data", str(HERE / "with_cycle.py")], "with_cycle.py: not a folder; name the one that the logs lie in"),
        (["--data", os.devnull], "/dev/null: not a folder"),
        (["--jobs", "9" * 20], "is not a number from 1 to 100,000"),
        (["--jobs", "9" * 5_000], "is not a number from 1 to 100,000"),
        (["--minutes", "1000000"], "is not a number from 1 to 100,000"),
        (["--seed", "9" * 5_000], "invalid int value"),
    ],
)
def test_what_cannot_be_meant_exits_2(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reproduce.__main__ import main

    assert main(["table2", "--dataset", "cycle", "--model", "narm", "--results", str(tmp_path), *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
