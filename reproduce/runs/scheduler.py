"""Runs the cells of a page that are not stored yet, one by one or several at a time."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from reproduce import catalog, own_process
from reproduce.errors import InputError, ModelError, SuiteError
from reproduce.files import Busy
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.reading.sessions import Split
from reproduce.runs.deadline import NOT_BEGUN, Deadline, TimeIsUp
from reproduce.runs.environment import check_writable, choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request
from reproduce.runs.runner import run_in_process, run_with


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
    splits = _Splits(request.data)
    if request.jobs > 1:
        _side_by_side(request, waiting, splits, ended)
    while waiting:
        cell, wait = waiting.popleft()
        try:
            run_with(request, cell, splits.of(cell.dataset), wait=wait)
            ended(cell, None)
        except Busy:
            waiting.append((cell, True))
        except SuiteError as error:
            if isinstance(error, TimeIsUp):  # no other cell is begun, however short its epochs
                request = replace(request, deadline=Deadline(0.0))
            ended(cell, error)
        except Exception as error:
            ended(cell, own_process.unforeseen(error))
    bar.close()
    left = sum(isinstance(error, TimeIsUp) for error in failed.values())
    if left:
        print(f"{left} of {len(experiments)} runs out of time (repeat the command to resume)", file=sys.stderr)
    return failed


@dataclass
class _Splits:
    """Loads the split of one cell after the other; one that is no longer needed goes before the next is read."""

    data: Path
    dataset: str = ""
    split: Split | SuiteError | None = None

    def of(self, dataset: str) -> Split:
        if dataset != self.dataset:
            self.dataset, self.split = dataset, None
            try:
                self.split = catalog.load_split(dataset, self.data)
            except SuiteError as error:
                self.split = error
        if not isinstance(self.split, Split):
            raise self.split or InputError(f"{dataset}: reading it was interrupted")
        return self.split


def _side_by_side(
    request: Request,
    waiting: deque[tuple[Experiment, bool]],
    splits: _Splits,
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
    ours: Any = multiprocessing.get_context("fork" if on_cpu else "spawn")
    gpus = torch.cuda.device_count() if request.device in ("auto", "cuda") else 0
    threads = max(1, torch.get_num_threads() // request.jobs)
    free = list(range(request.jobs))
    running: dict[Any, tuple[Experiment, int, Any]] = {}  # by the connection that the cell's answer comes by
    try:
        while waiting or running:
            while waiting and free:
                (cell, wait), slot = waiting.popleft(), free.pop(0)
                options = replace(request, device=f"cuda:{slot % gpus}") if gpus > 1 else request
                own = catalog.current().models.get(cell.model)
                try:
                    if own is not None and issubclass(own.kind, user_model.Unusable):
                        raise ModelError(own.kind.why)
                    file, processes = (None, ours) if own is None else (own.file, None)
                    words = options.at_home(), cell, splits.of(cell.dataset), wait, threads
                    process, reader = own_process.start(file, run_in_process, *words, processes=processes)
                    running[reader] = cell, slot, process
                except SuiteError as error:
                    free.append(slot)
                    ended(cell, error)
            ready = multiprocessing.connection.wait(
                [*running, *(process.sentinel for _, _, process in running.values())]
            )
            for reader, (cell, slot, process) in list(running.items()):
                if reader in ready or process.sentinel in ready:
                    del running[reader]
                    free.append(slot)
                    try:
                        own_process.result(process, reader)
                        ended(cell, None)
                    except Busy:
                        waiting.append((cell, True))
                    except SuiteError as error:
                        if isinstance(error, TimeIsUp):
                            request = replace(request, deadline=Deadline(0.0))
                        ended(cell, error)
    finally:
        for _, _, process in running.values():
            process.terminate()
        for _, _, process in running.values():
            process.join()
