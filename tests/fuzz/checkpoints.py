"""Mangled checkpoints, each resumed in a child process: refused in one line or resumed, never a crash or a traceback.

Anyone who knows the format can put other weights of the right shapes into the file; they are weights like any others.
But no flipped bit may get through: where only bytes were changed, a resumed run must end as the undisturbed one does.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import running
import torch
import with_cycle  # noqa: F401  registers the data set
from trees import JUNK, changed

from reproduce.errors import SuiteError
from reproduce.runs import runner
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.experiment import Experiment

CELLS = (
    Experiment.of("cycle", "narm", {"embedding": 4, "hidden": 4, "epochs": 2, "batch": 256}),
    Experiment.of("cycle", "gru4rec", {"epochs": 2, "batch": 64}),
    Experiment.of("cycle", "stamp", {"epochs": 2, "batch": 256}),
    Experiment.of("cycle", "bpr_mf", {"epochs": 2, "batch": 64}),
)
TENSORS = [
    torch.zeros(0),
    torch.zeros(3),
    torch.full((2, 2), torch.nan),
    torch.zeros(4, dtype=torch.int64),
    torch.eye(3).to_sparse(),
    torch.zeros(1).expand(1 << 40),
    torch.zeros(2, dtype=torch.complex64),
    torch.zeros(2, device="meta"),
]
TOKENS = [
    b"",
    b"\0" * 8,
    b"\xff" * 8,
    b"PK\3\4",
    b"PK\1\2",
    b"PK\5\6",
    b"c__builtin__\neval\n",
    b"\x80\x02}",
    b"]" * 2_000,
]
WENT_ON, REFUSED, OTHER_END, TRACEBACK = 0, 3, 4, 5


class Stop(Exception):
    """Stands in for a kill."""


@lru_cache
def begun(i: int) -> tuple[Path, bytes]:
    """Return a folder with a run that stopped after its first epoch, and the ranks of the undisturbed run as bytes."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-checkpoints-"))
    whole = runner.run(CELLS[i], data=".", results=folder / "whole", device="cpu")
    save = RunJournal.save

    def save_and_stop(self: RunJournal, state: dict) -> None:
        save(self, state)
        raise Stop

    RunJournal.save = save_and_stop  # type: ignore[method-assign]
    try:
        with suppress(Stop):
            runner.run(CELLS[i], data=".", results=folder / "begun", device="cpu")
    finally:
        RunJournal.save = save  # type: ignore[method-assign]
    return folder / "begun", whole.ranks().tobytes()


def resumed(i: int, results: Path, due: bytes, bytes_only: bool, say: int) -> int:
    """Resume the run, in the child process, and return an exit status that says how it ended."""
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    try:
        result = runner.run(CELLS[i], data=".", results=results, device="cpu")
    except SuiteError as error:
        line = str(error)
        good = line.isprintable() and len(line) < 600 and ".checkpoint: " in line
        os.write(say, line.encode())
        return REFUSED if good else TRACEBACK
    except BaseException as error:
        os.write(say, repr(error)[:1_000].encode())
        return TRACEBACK
    return OTHER_END if bytes_only and result.ranks().tobytes() != due else WENT_ON


def attempt(rng: random.Random, folder: Path) -> str:
    i = rng.randrange(len(CELLS))
    source, due = begun(i)
    results = folder / "results"
    shutil.copytree(source, results)
    file = results / f"{CELLS[i].path}.checkpoint"
    bytes_only = rng.random() < 0.4
    if bytes_only:
        file.write_bytes(running.mangled(rng, file.read_bytes(), TOKENS))
    else:
        kept = torch.load(file, weights_only=True)
        changed(rng, kept, [*JUNK, *TENSORS])
        torch.save(kept, file)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for clock in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(clock, signal.SIG_DFL)  # the default action: the process dies
        signal.alarm(running.PATIENCE)
        signal.setitimer(signal.ITIMER_PROF, running.LONGEST)
        os._exit(resumed(i, results, due, bytes_only, writer))
    os.close(writer)
    began = time.monotonic()
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (WENT_ON, REFUSED), (
        f"{CELLS[i].model}: ended with {code} after {time.monotonic() - began:.1f} s: {said}"
    )
    kind = "bytes" if bytes_only else "parts"
    return f"with other {kind}, " + ("gone on with" if code == WENT_ON else "refused in a line")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number in range(len(CELLS)):
        begun(number)
    running.run("checkpoints", 2_000, attempt)
