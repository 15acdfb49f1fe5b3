"""Kill training runs with SIGKILL and resume them; a program of its own, so that torch is imported once.

Prints a JSON line for the undisturbed run and one for each disturbed run. Not a test: test_resume.py runs it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch
import with_cycle  # noqa: F401  registers the data set

from reproduce import catalog
from reproduce.runs import checkpoint, runner, state_file
from reproduce.runs.experiment import Experiment

SMALL = {"batch": 64, "epochs": 2}  # for any model that is trained
FIELDS = {"narm": {"embedding": 8, "hidden": 8, "batch": 128, "epochs": 4, "learning_rate": 0.01}}
DATASET = "cycle"


class Moments:
    """Counts the moments of a run at which it may be killed; at the chosen one the process dies.

    Args:
        deadly: the number of that moment, from 1; 0 for none.
        tear: the share of the file that is left if the process dies in the middle of a write.
    """

    def __init__(self, deadly: int, tear: float) -> None:
        self.seen: list[str] = []
        self.deadly, self.tear = deadly, tear

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if len(self.seen) == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        steps, replace, unlink = checkpoint.RunJournal.steps, os.replace, os.unlink
        sync = os.fsync

        def counted_steps(own, batches, **told):
            for batch in steps(own, batches, **told):
                self("step")
                yield batch

        def torn_sync(descriptor):
            temporary = Path(f"/proc/self/fd/{descriptor}").readlink()  # .<name>.<host>-<process>.tmp
            if len(self.seen) + 1 == self.deadly:  # dies in the middle of the write
                os.truncate(temporary, int(temporary.stat().st_size * self.tear))
            self("write " + Path(temporary.name.rsplit(".", 2)[0]).suffix)
            sync(descriptor)

        def counted_replace(source, target):
            self("written " + Path(target).suffix)
            replace(source, target)
            self("replaced " + Path(target).suffix)

        def counted_unlink(path, **where):
            self("unlink " + Path(path).suffix)
            unlink(path, **where)
            self("unlinked " + Path(path).suffix)

        os.unlink = counted_unlink
        checkpoint.RunJournal.steps = counted_steps
        os.fsync = torn_sync
        os.replace = counted_replace


def train(model: str, folder: Path) -> dict:
    """Run a model to its end; return a digest of its ranks, its epochs, where it resumed, and the files left."""
    one = Experiment.of(DATASET, model, FIELDS.get(model, SMALL))
    result = runner.run(one, data=".", results=folder, device="cpu")
    ranks = hashlib.sha256(result.greater.tobytes() + result.equal.tobytes()).hexdigest()
    told = ("epoch", "loss", "validation_recall")
    epochs = [{key: one[key] for key in told if key in one} for one in result.epochs]
    resumed = [one["epochs"] for one in result.environment["resumed"]]
    left = sorted(file.name for file in folder.rglob("*") if file.is_file())
    return {"ranks": ranks, "epochs": epochs, "resumed": resumed, "left": left}


def sitting(model: str, folder: Path, deadly: int, tear: float, seconds: float | None) -> dict:
    """Run a model in a child process, until it ends or is killed, at a moment or after some seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        moments = Moments(deadly, tear)
        moments.install()
        told = train(model, folder)
        with os.fdopen(writer, "w") as stream:
            json.dump({**told, "moments": moments.seen}, stream)
        os._exit(0)
    os.close(writer)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"signal": 0, **json.loads(said)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="narm")
    parser.add_argument("--kills", type=int, default=0, help="0: once at every write, rename and unlink")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # before anything is computed: a forked process could not use the parent's threads
    rng = random.Random(options.seed)
    catalog.load_split(DATASET, ".")
    with tempfile.TemporaryDirectory() as folder:
        train(options.model, Path(folder, "warm"))  # so that the children have what torch loads on first use
        began = time.monotonic()
        whole = sitting(options.model, Path(folder, "undisturbed"), 0, 0.0, None)
        seconds = time.monotonic() - began
        print(json.dumps(whole))
        events = [i for i, name in enumerate(whole["moments"], 1) if name != "step"]
        for number in range(options.kills or len(events)):
            # With --kills, in turn: at any moment, at a change of files, by the clock; else at every change of files.
            deadly = (rng.randint(1, len(whole["moments"])), rng.choice(events), 0)[number % 3]
            deadly = deadly if options.kills else events[number]
            clock = None if deadly else rng.uniform(0.0, seconds)
            moment = whole["moments"][deadly - 1] if deadly else f"after {clock:.3f} s"
            told = disturbed(options.model, Path(folder, str(number)), deadly, rng.random(), clock)
            print(json.dumps({**told, "deadly": deadly, "moment": moment}))


def disturbed(model: str, place: Path, deadly: int, tear: float, clock: float | None) -> dict:
    """Kill a run, resume it, and return what it comes to."""
    killed = sitting(model, place, deadly, tear, clock)
    checkpoints = list(place.rglob("*.checkpoint"))
    recorded = any(place.rglob("*.json"))  # the record is complete: there is nothing to resume
    kept = len(state_file.read(checkpoints[0], "checkpoint", "")["history"]) if checkpoints else 0
    again = sitting(model, place, 0, 0.0, None)
    return {**again, "signal": killed["signal"], "kept": kept, "recorded": recorded}


if __name__ == "__main__":
    main()
