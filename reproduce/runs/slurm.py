"""--slurm: submits the missing cells of a page to Slurm as a job array, followed by a job that draws the page.

No process of the suite waits for the jobs. A cell is a command that locks and resumes, so a job that is preempted or
reaches its time limit is queued again and continues. Only the records say what is done, because job states mislead. A
submission is a folder: cells.txt has one command per line, job.sh runs one of them, page.sh draws the page, and `job`
contains the number of the array.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reproduce.errors import InputError, UsageError
from reproduce.files import replacing
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request, whole_command
from reproduce.runs.runner import RunOptions, stored

REFUSED = ("array", "output", "open-mode", "requeue", "no-requeue", "signal")  # set by the suite; see `parse`
OURS = ("at-once", "restarts")  # cells that run at a time, and how often each is queued again, at most
OF_CELLS = ("gres", "gpus", "dependency")  # beginnings of keys that the job for the page does not take

# srun: without it Python never receives the signal. trap: a preempted script receives the signal too and must survive
# to request its requeue; without a requeue, exit status 143 within the grace period would count as a failure. The task
# is named by its number in the array, because the job id of the last task is that of the array and would requeue all of
# it. It is requeued only while its state is RUNNING: scancel sends the signal too, and Slurm would requeue a job that a
# user has just cancelled.
JOB = r"""#!/bin/bash
# Runs the line of cells.txt whose number is the task's. Written by python -m reproduce ... --slurm
#SBATCH --job-name=reproduce --requeue --open-mode=append --signal=TERM@60
trap : TERM
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
line=$(sed -n "${SLURM_ARRAY_TASK_ID}p" @FOLDER@/cells.txt)
echo "start $((${SLURM_RESTART_COUNT:-0} + 1)): $line"
eval "srun @PYTHON@ -m reproduce $line"
status=$?
task="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
state=$(squeue --noheader --jobs="$task" --format=%T)
if { [ $status = 143 ] || [ $status = 75 ]; } && [ "$state" = RUNNING ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge @RESTARTS@ ]; then
        echo "reproduce: not done after @RESTARTS@ restarts; give it more time, or --slurm ...,restarts=N" >&2
        exit 1
    fi
    scontrol requeue "$task"
fi
exit $status
"""
PAGE = r"""#!/bin/bash
# Draws the page when all cells have ended, one way or another. Written by python -m reproduce ... --slurm
#SBATCH --job-name=reproduce-page
exec @PYTHON@ -m reproduce @LINE@
"""


def parse(text: str) -> dict[str, str]:
    """Parse KEY=VALUE,... from the command line. Raises UsageError if it is malformed or sets a reserved key."""
    keys: dict[str, str] = {}
    for word in text.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--slurm {word!r}: expected KEY=VALUE,..., such as partition=gpu,time=60,gres=gpu:1")
        if key in REFUSED or key.startswith("-"):
            raise UsageError(f"--slurm {word}: {key} is set by the suite; leave it out")
        if key in OURS and (not value.isdecimal() or int(value) < 1):
            raise UsageError(f"--slurm {key}={value}: must be a number from 1 on")
        keys[key] = value
    return keys


def submit(request: Request, experiments: Sequence[Experiment], keys: Mapping[str, str], page: Sequence[str]) -> str:
    """Queue the cells that are neither stored nor queued, followed by the page, and say what was queued.

    Args:
        page: the command that draws the page from the stored records.

    Raises:
        UsageError: --jobs or --fresh was given, which do not apply to Slurm jobs.
        InputError: there is no sbatch, it refuses, or the results folder cannot be written.
    """
    if request.jobs != 1:
        raise UsageError("--jobs: with --slurm every run is a job of its own; how many at a time is at-once=N")
    missing = [cell for cell in experiments if not stored(request, cell, request.digests.get(cell.dataset))[1]]
    queued = queue([command(request, cell) for cell in missing], keys, request, page)
    if not missing:
        return queued or f"nothing to submit: all {len(experiments)} runs are stored"
    return queued or f"nothing to submit: of {len(experiments)} runs {len(missing)} are missing, and those are queued"


def command(request: Request, cell: Experiment) -> list[str]:
    """The command that makes a cell's record, as a user could type it after `python -m reproduce`."""
    run = replace(request, datasets=[cell.dataset], models=[cell.model], seeds=[cell.seed])
    return whole_command("run", replace(run, settings={cell.model: cell.params}, options={}), absolute=True)


def queue(commands: Iterable[Sequence[str]], keys: Mapping[str, str], run: RunOptions, page: Sequence[str] = ()) -> str:
    """Queue commands as a job array, followed by a page, if any; commands that are already queued are left out.

    Args:
        keys: options of sbatch, passed on unchanged, and those in OURS.

    Returns:
        A description of what was queued; empty if nothing was.

    Raises:
        UsageError: --fresh was given, or a path holds a control character.
        InputError: there is no sbatch, it refuses, or the results folder cannot be written.
    """
    if run.fresh:
        raise UsageError("--fresh: with --slurm a job that is queued again must go on from its checkpoint")
    if shutil.which("sbatch") is None:
        raise InputError("--slurm: there is no sbatch here; run this where jobs are submitted, or without --slurm")
    submissions = run.results.resolve() / "slurm"
    queued = _queued(submissions)
    lines = [line for line in map(shlex.join, commands) if line not in queued]
    if any(not line.isprintable() for line in [*lines, str(submissions)]):
        raise UsageError("--slurm: a path with a line break or another control character; rename the file or folder")
    if not lines:
        return ""
    folder = submissions / datetime.now(UTC).strftime("%Y%m%dT%H%M%S-%fZ")
    logs = str(folder).replace("%", "%%")  # Slurm replaces %j and the like
    at_once = f"%{keys['at-once']}" if "at-once" in keys else ""
    passed_on = {key: f"--{key}={value}" for key, value in keys.items() if key not in OURS}
    _write(folder / "cells.txt", "".join(f"{line}\n" for line in lines))
    _write(folder / "job.sh", JOB, FOLDER=shlex.quote(str(folder)), RESTARTS=keys.get("restarts", "20"))
    array = [f"--array=1-{len(lines)}{at_once}", f"--output={logs}/cell-%a.log", *passed_on.values()]
    job = _sbatch(array, folder / "job.sh")
    _write(folder / "job", f"{job}\n")
    if not page:
        return f"job {job}\ncommand and log: {folder}/"
    _write(folder / "page.sh", PAGE, LINE=shlex.join(page))
    after = [f"--dependency=afterany:{job}", f"--output={logs}/page.log"]
    drawn = _sbatch(
        [*after, *(word for key, word in passed_on.items() if not key.startswith(OF_CELLS))], folder / "page.sh"
    )
    return f"job {job}: {len(lines)} runs; job {drawn}: the page after them\ncommands and logs: {folder}/"


def _queued(submissions: Path) -> set[str]:
    """The command lines of earlier submissions whose jobs are pending or running, as far as squeue answers."""
    lines: set[str] = set()
    for note in sorted(submissions.glob("*/job")):
        job = note.read_text(encoding="utf-8").strip()
        cells = note.with_name("cells.txt").read_text(encoding="utf-8").splitlines()
        try:
            answer = _slurm("squeue", "--noheader", "--array", "--format=%K", f"--jobs={job}")
        except InputError:
            return lines
        numbers = [int(word) for word in answer.stdout.split() if word.isdecimal()]
        lines |= {cells[number - 1] for number in numbers if 1 <= number <= len(cells)}
    return lines


def _write(file: Path, text: str, **values: str) -> None:
    """Write a file, with values in its places, each once: a value may look like another place."""
    values["PYTHON"] = shlex.quote(sys.executable)
    with replacing(file) as temporary:
        temporary.write_text(re.sub("@([A-Z]+)@", lambda place: values.get(place[1], place[0]), text), encoding="utf-8")


def _sbatch(words: Sequence[str], script: Path) -> str:
    """Submit a script and return the job's number. Raises InputError, with Slurm's message, if it refuses."""
    answer = _slurm("sbatch", *words, "--parsable", str(script))
    if answer.returncode:
        raise InputError(f"sbatch refused: {' '.join(answer.stderr.split())[:300]}; see --slurm KEY=VALUE,...")
    if not (job := answer.stdout.strip().partition(";")[0]):
        raise InputError("sbatch gave no job number; look at squeue before asking again")
    return job


def _slurm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm. Raises InputError if it does not answer."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{words[0]} did not answer ({type(error).__name__}); ask again later") from error
