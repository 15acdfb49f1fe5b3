"""Runs the cells of a page that are not stored yet, one by one or several at a time."""

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
from reproduce.fitting.pairwise import Pairwise
from reproduce.fitting.recommender import Recommender
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
    """A user's own models and data sets, which a spawned process has to load again."""

    models: Sequence[str]  # paths of their files
    data: Sequence[tuple[Path, Mapping[str, Any], Path]]  # their paths, how they are read, and the data folder
    traceback: bool = False  # whether exceptions of the models are shown with a traceback

    @classmethod
    def here(cls) -> Own:
        """The models and data sets that this process has loaded."""
        models = [str(one.file) for one in user_model.MODELS.values()]
        return cls(models, [(one.path, one.given, one.data) for one in TAKEN.values()], user_model.shows_tracebacks())

    def take_in(self) -> None:
        user_model.show_tracebacks(self.traceback)
        for file in self.models:
            catalog.recommender(file)
        for path, given, data in self.data:
            catalog.dataset(str(path), given, data)


def cheap_first(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Sort models that only count first and neural networks last, so that the first numbers appear within seconds."""
    kinds = [(one, catalog.recommender(one.model)) for one in experiments]
    return [one for one, kind in sorted(kinds, key=lambda pair: _cost(pair[1]))]


def _cost(kind: type[Recommender]) -> int:
    return 2 if issubclass(kind, Neural) else 1 if issubclass(kind, Pairwise) else 0


def run_cells(request: Request, experiments: Sequence[Experiment]) -> dict[str, SuiteError]:
    """Run the cells that are not stored; a cell that fails does not stop the others.

    A cell that another process is running in the same folder is left to the end, when it is likely to be stored.

    Returns:
        The errors of the cells that failed, by the experiment's path.
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
            # Absent data or the end of the time makes many runs fail with the same message: print it once.
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
        return state(one, results, None) == "stored"
    except InputError:  # a broken record: running the cell reports it
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
    """The request for the next cells: once the time is up for one, no other is begun, however short its epochs."""
    return replace(request, deadline=Deadline(0.0)) if isinstance(error, TimeIsUp) else request


def run_cell(request: Request, experiment: Experiment, split: Split, *, wait: bool = True) -> Result:
    """Call `run` and turn every error into a SuiteError with a message of one line.

    Raises:
        SuiteError: the run failed. The traceback of an unforeseen error is printed to standard error.
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
    """Run each cell in a process of its own, `jobs` at a time, so that a killed cell does not affect the others.

    The processes are forked, so that a cell starts at once. This is safe because this process computes nothing with
    torch: it has no threads and no GPU context to lose. If the caller has already started CUDA, a forked process could
    not use it, and the processes are spawned instead. The processor's threads and the GPUs are divided among them. If
    this process is killed, its running cells finish and are recorded; the same command runs the others.
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
    # Suppressed: the parent process is gone; the cell is recorded all the same.
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
    """The error that a cell's process reported, None if it succeeded; a process that died silently has failed."""
    try:
        told: SuiteError | None = reader.recv()
        return told
    except EOFError:
        code = process.exitcode
        why = f"killed by signal {-code}" + (" (out of memory?)" if code == -9 else "") if code < 0 else f"exit {code}"
        return ModelError(f"its process ended without a result: {why}; the same command goes on")
    finally:
        reader.close()
