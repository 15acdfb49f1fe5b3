"""Runs the cells of a page that are not stored yet, one by one or several at a time."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from reproduce import catalog, own_process, terminal
from reproduce.errors import InputError, ModelError, SuiteError
from reproduce.files import Busy, Terminated, heed_sigterm
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.reading import held_out
from reproduce.reading.sessions import Split
from reproduce.runs.deadline import NOT_BEGUN, Deadline, TimeIsUp
from reproduce.runs.environment import check_writable, choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request
from reproduce.runs.runner import run_loaded, run_with

OwnData = Sequence[tuple[Path, Mapping[str, Any], Path]]  # paths, how they are read, and the data folder


def cheap_first(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Sort models that only count first and neural networks last, so that the first numbers appear within seconds."""

    def cost(experiment: Experiment) -> int:
        kind = catalog.recommender(experiment.model)
        return 2 if issubclass(kind, Neural) else 1 if issubclass(kind, Pairwise) else 0

    return sorted(experiments, key=cost)


def run_cells(request: Request, experiments: Sequence[Experiment]) -> dict[str, SuiteError]:
    """Run the cells that are not stored; a cell that fails does not stop the others.

    A cell that another process is running in the same folder is left to the end, when it is likely to be stored.

    Returns:
        The errors of the cells that failed, by the experiment's path.
    """
    if not experiments:
        return {}
    check_writable(request.results)
    choose_device(request.device)
    failed: dict[str, SuiteError] = {}
    bar = tqdm(total=len(experiments), desc="runs", unit="run", disable=request.quiet or None, leave=False)

    def ended(cell: Experiment, error: SuiteError | None) -> None:
        bar.update()
        if error is None:
            return
        # Absent data or the end of the time makes many runs fail with the same message: print it once.
        whole = isinstance(error, InputError) or str(error) == NOT_BEGUN
        if not (whole and str(error) in map(str, failed.values())):
            tqdm.write(str(error) if whole else f"{cell.path.removeprefix('runs/')}: {error}", file=sys.stderr)
        failed[cell.path] = error

    waiting = deque((cell, False) for cell in cheap_first(experiments))
    if request.jobs > 1:
        _side_by_side(request, waiting, ended)
    split: Split | SuiteError | None = None
    dataset = ""
    while waiting:
        cell, wait = waiting.popleft()
        try:
            if cell.dataset != dataset:
                split, dataset = None, cell.dataset  # a split that is no longer needed goes before the next is read
                split = _load(cell, request)
            if isinstance(split, SuiteError):
                raise split
            run_with(request, cell, split, wait=wait)
            ended(cell, None)
        except Busy:
            waiting.append((cell, True))
        except SuiteError as error:
            if isinstance(error, TimeIsUp):  # no other cell is begun, however short its epochs
                request = replace(request, deadline=Deadline(0.0))
            ended(cell, error)
        except Exception as error:
            ended(cell, unforeseen(error))
    bar.close()
    left = sum(isinstance(error, TimeIsUp) for error in failed.values())
    if left:
        print(f"{left} of {len(experiments)} runs out of time (repeat the command to resume)", file=sys.stderr)
    return failed


def _load(cell: Experiment, request: Request) -> Split | SuiteError:
    try:
        return catalog.load_split(cell.dataset, request.data)
    except SuiteError as error:
        return error


def unforeseen(error: Exception) -> ModelError:
    """Print the traceback of an error that is not the suite's own, and put it in a line."""
    traceback.print_exception(error)
    return ModelError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def _side_by_side(
    request: Request,
    waiting: deque[tuple[Experiment, bool]],
    ended: Callable[[Experiment, SuiteError | None], None],
) -> None:
    """Run each cell in a process of its own, `jobs` at a time, so that a killed cell does not affect the others.

    On a CPU the processes are forked, so that a cell starts at once. This is safe because this process computes nothing
    with torch: it has no threads to lose. For a GPU they are spawned, because a process forked after CUDA was looked
    for cannot use it. The processor's threads and the GPUs are divided among them. If this process is killed, its
    running cells finish and are recorded; the same command runs the others.
    """
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    on_cpu = choose_device(request.device).type == "cpu" and not started
    context: Any = multiprocessing.get_context("fork" if on_cpu else "spawn")
    gpus = torch.cuda.device_count() if request.device in ("auto", "cuda") else 0
    threads = max(1, torch.get_num_threads() // request.jobs)
    free = list(range(request.jobs))
    running: dict[Any, tuple[Experiment, int, Any, Any]] = {}
    try:
        while waiting or running:
            while waiting and free:
                cell, wait = waiting.popleft()
                slot = free.pop(0)
                device = f"cuda:{slot % gpus}" if gpus > 1 else request.device
                try:
                    process, reader = _started(replace(request, device=device), cell, threads, wait, context)
                except SuiteError as fault:  # its data or its own model's file cannot be used
                    free.append(slot)
                    ended(cell, fault)
                    continue
                running[process.sentinel] = cell, slot, process, reader
            for sentinel in multiprocessing.connection.wait(list(running)):
                cell, slot, process, reader = running.pop(sentinel)
                free.append(slot)
                error = _received(process, reader)
                if isinstance(error, TimeIsUp):
                    request = replace(request, deadline=Deadline(0.0))
                if isinstance(error, Busy):
                    waiting.append((cell, True))
                else:
                    ended(cell, error)
    finally:
        for _, _, process, _ in running.values():
            process.terminate()
        for _, _, process, _ in running.values():
            process.join()


def _started(request: Request, cell: Experiment, threads: int, wait: bool, context: Any) -> tuple[Any, Any]:
    """Start the process of a cell; return it and the connection by which its error comes, or None."""
    if issubclass(kind := catalog.recommender(cell.model), user_model.Unusable):
        raise ModelError(kind.why)
    here = catalog.current()
    if cell.model in here.models:
        split = catalog.load_split(cell.dataset, request.data)
        return own_process.start(here.models[cell.model].file, run_loaded, request.at_home(), cell, split, wait)
    its_data = cell.dataset.removesuffix(held_out.SUFFIX)
    data = [(own.path, own.given, own.data) for name, own in here.data.items() if name == its_data]
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_cell_process, args=(request, cell, data, threads, wait, writer))
    process.start()
    writer.close()
    return process, reader


def _cell_process(request: Request, cell: Experiment, data: OwnData, threads: int, wait: bool, writer: Any) -> None:
    heed_sigterm()
    # Suppressed: the parent process is gone; the cell is recorded all the same.
    with suppress(BrokenPipeError), terminal.sturdy():
        torch.set_num_threads(threads)
        try:
            for path, given, folder in data:  # a spawned process has to read the user's own data again
                catalog.dataset(str(path), given, folder)
            run_with(request, cell, wait=wait)
            writer.send(None)
        except SuiteError as error:
            writer.send(error)
        except Exception as error:
            writer.send(unforeseen(error))
        except KeyboardInterrupt:
            sys.exit(130)
        except Terminated:
            sys.exit(143)


def _received(process: Any, reader: Any) -> SuiteError | None:
    """The error that a cell's process reported, None if it succeeded; a process that died silently has failed."""
    try:
        own_process.result(process, reader)
        return None
    except SuiteError as error:
        return error
