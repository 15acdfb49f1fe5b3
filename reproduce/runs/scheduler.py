"""The cells of a page as one list: what is asked for, what is stored, and the running of the rest."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from reproduce import catalog, terminal
from reproduce.errors import InputError, ModelError, SuiteError
from reproduce.files import Busy, Terminated, heed_sigterm
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.reading.own_data import TAKEN
from reproduce.reading.sessions import Split
from reproduce.runs.deadline import NOT_BEGUN, Deadline, TimeIsUp
from reproduce.runs.environment import check_writable, choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.forecast import Watch
from reproduce.runs.record import Result
from reproduce.runs.request import Request, state
from reproduce.runs.runner import run


@dataclass(frozen=True)
class Own:
    """A user's own models and data, which a spawned process has to take in again."""

    models: Sequence[str]  # files
    data: Sequence[tuple[Path, Mapping[str, Any]]]  # paths, and how they are read
    traceback: bool = False  # whether what they raise is told with its traceback

    @classmethod
    def here(cls) -> Own:
        """Those of this process."""
        models = [str(one.file) for one in user_model.MODELS.values()]
        return cls(models, [(one.path, one.given) for one in TAKEN.values()], user_model.shows_tracebacks())

    def take_in(self) -> None:
        user_model.show_tracebacks(self.traceback)
        for file in self.models:
            catalog.recommender(file)
        for path, given in self.data:
            catalog.dataset(str(path), given)


def cheap_first(experiments: Iterable[Experiment]) -> list[Experiment]:
    """What only counts before what is trained, a data set at a time: the first numbers are there in seconds."""
    return sorted(experiments, key=lambda one: issubclass(catalog.recommender(one.model), Neural))


def run_cells(request: Request, experiments: Sequence[Experiment]) -> dict[str, SuiteError]:
    """Run what is not stored; a cell that fails does not stop the others.

    A cell that another runner on the same folder is at comes last: by then it is likely stored.

    Returns:
        Why each failed cell failed, by the experiment's path.
    """
    if not experiments:
        return {}
    check_writable(request.results)
    device = choose_device(request.device)
    ordered = cheap_first(experiments)
    watch = Watch(request, [one for one in ordered if request.force or not _stored(one, request.results)], device)
    watch.begin(len(ordered))
    failed: dict[str, SuiteError] = {}
    said = set()
    outcomes = _one_by_one(request, ordered, watch) if request.jobs == 1 else _side_by_side(request, ordered, watch)
    for one, error in outcomes:
        if error is not None:
            failed[one.path] = error
            # Data that is absent fails every run on it, and so does the end of the time: once will do.
            whole = isinstance(error, InputError) or str(error) == NOT_BEGUN
            told = str(error) if whole else f"{one.path.removeprefix('runs/')}: {error}"
            if told not in said:
                print(told, file=sys.stderr, flush=True)
            said.add(told)
    left = sum(isinstance(error, TimeIsUp) for error in failed.values())
    if left:
        print(f"{left} of {len(ordered)} runs are left; the same command goes on", file=sys.stderr, flush=True)
    return failed


def _stored(one: Experiment, results: Path) -> bool:
    try:
        return state(one, results) == "stored"
    except InputError:  # a broken record: its run says so
        return False


def _one_by_one(
    request: Request, ordered: Sequence[Experiment], watch: Watch
) -> Iterator[tuple[Experiment, SuiteError | None]]:
    split: Split | None = None
    absent: dict[str, SuiteError] = {}  # data set -> what is wrong with it
    waiting = deque((one, False) for one in ordered)
    while waiting:
        one, wait = waiting.popleft()
        error: SuiteError | None = absent.get(one.dataset)
        if error is None:
            watch.starts(one)
            try:
                if split is None or split.name != one.dataset:
                    split = _split(request, one.dataset, absent, watch)
                run_cell(request, one, split, wait=wait)
            except SuiteError as found:
                error = found
        watch.ends(one, error)
        if isinstance(error, Busy):
            waiting.append((one, True))
            continue
        request = _after(request, error)
        yield one, error


def _split(request: Request, dataset: str, absent: dict[str, SuiteError], watch: Watch) -> Split:
    try:
        return catalog.load_split(dataset, request.data)
    except SuiteError as error:
        absent[dataset] = error
        watch.absent(dataset)
        raise


def _after(request: Request, error: SuiteError | None) -> Request:
    """What is asked of the next cells: where the time was up for one, no other is begun, whatever its epochs take."""
    return replace(request, deadline=Deadline(0.0)) if isinstance(error, TimeIsUp) else request


def run_cell(request: Request, experiment: Experiment, split: Split, *, wait: bool = True) -> Result:
    """`run`, with whatever goes wrong in a line.

    Raises:
        SuiteError: that; an unforeseen error's traceback goes to standard error.
    """
    try:
        return run(
            experiment,
            data=request.data,
            results=request.results,
            device=request.device,
            force=request.force,
            fresh=request.fresh,
            quiet=request.quiet,
            keep_model=request.keep_model,
            wait=wait,
            split=split,
            deadline=request.deadline,
        )
    except SuiteError:
        raise
    except Exception as error:
        traceback.print_exception(error)
        raise ModelError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error


def _side_by_side(
    request: Request, ordered: Sequence[Experiment], watch: Watch
) -> Iterator[tuple[Experiment, SuiteError | None]]:
    """A process per cell, `jobs` at a time: a cell that the kernel kills takes no other with it.

    They are forked: this process computes nothing with torch, so there are no threads and no GPU context to lose, and
    a cell starts at once. Where the caller has CUDA started already, a fork could not use it, and they are spawned.
    The processor's threads, or the GPUs, are shared out. Where this process is killed by force, its cells finish, are
    recorded, and nobody starts the others; the same command does.
    """
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    context: Any = multiprocessing.get_context("spawn" if started else "fork")
    own = Own.here()
    gpus = torch.cuda.device_count() if request.device in ("auto", "cuda") else 0
    threads = max(1, torch.get_num_threads() // request.jobs)
    waiting = deque((one, False) for one in ordered)
    free = list(range(request.jobs))
    running: dict[Any, tuple[Experiment, int, Any, Any]] = {}
    try:
        while waiting or running:
            while waiting and free:
                one, wait = waiting.popleft()
                slot = free.pop(0)
                device = f"cuda:{slot % gpus}" if gpus > 1 else request.device
                reader, writer = context.Pipe(duplex=False)
                process = context.Process(
                    target=_cell_process, args=(replace(request, device=device), one, own, threads, wait, writer)
                )
                watch.starts(one)
                process.start()
                writer.close()
                running[process.sentinel] = one, slot, process, reader
            for sentinel in multiprocessing.connection.wait(list(running)):
                one, slot, process, reader = running.pop(sentinel)
                process.join()
                free.append(slot)
                error = _told(process, reader)
                watch.ends(one, error)
                if isinstance(error, Busy):
                    waiting.append((one, True))
                else:
                    request = _after(request, error)
                    yield one, error
    finally:
        for _, _, process, _ in running.values():
            process.terminate()
        for _, _, process, _ in running.values():
            process.join()


def _cell_process(request: Request, experiment: Experiment, own: Own, threads: int, wait: bool, writer: Any) -> None:
    heed_sigterm()
    # Suppressed: who asked for the cell is gone; it is recorded all the same.
    with suppress(BrokenPipeError), terminal.sturdy():
        _told_by(request, experiment, own, threads, wait, writer)


def _told_by(request: Request, experiment: Experiment, own: Own, threads: int, wait: bool, writer: Any) -> None:
    torch.set_num_threads(threads)
    own.take_in()
    try:
        run_cell(request, experiment, catalog.load_split(experiment.dataset, request.data), wait=wait)
        writer.send(None)
    except SuiteError as error:
        writer.send(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated:
        sys.exit(143)


def _told(process: Any, reader: Any) -> SuiteError | None:
    """What a cell's process said at its end; one that died silently failed."""
    try:
        told: SuiteError | None = reader.recv()
        return told
    except EOFError:
        code = process.exitcode
        why = f"killed by signal {-code}" + (" (out of memory?)" if code == -9 else "") if code < 0 else f"exit {code}"
        return ModelError(f"its process ended without a result: {why}; the same command goes on")
    finally:
        reader.close()
