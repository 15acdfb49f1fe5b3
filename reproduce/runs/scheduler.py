"""Runs the cells of a page that are not stored yet, one by one or several at a time."""

from __future__ import annotations

import multiprocessing.connection
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from tqdm import tqdm

from reproduce import catalog, own_process
from reproduce.errors import InputError, ModelError, SuiteError
from reproduce.files import Busy
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.runs.deadline import NOT_BEGUN, Deadline, TimeIsUp
from reproduce.runs.environment import choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request
from reproduce.runs.runner import record, run_with


def cheap_first(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Sort models that only count first and neural networks last, so that the first numbers appear within seconds."""

    def cost(experiment: Experiment) -> int:
        kind = catalog.recommender(experiment.model)
        return 2 if issubclass(kind, Neural) else 1 if issubclass(kind, Pairwise) else 0

    return sorted(experiments, key=cost)


def run_cells(request: Request, experiments: Sequence[Experiment]) -> dict[str, SuiteError]:
    """Run the cells that are not stored; a cell that fails does not stop the others.

    With several jobs each cell has a process of its own, so that a killed cell does not affect the others; the
    processor's threads and the GPUs are divided among them. If this process is killed, its running cells finish and are
    recorded; the same command runs the others. A cell that a process elsewhere is running in the same folder is left
    to the end, when it is likely to be stored.

    Returns:
        The errors of the cells that failed, by the experiment's path.
    """
    if not experiments:
        return {}
    choose_device(request.device)
    gpus = torch.cuda.device_count() if request.device in ("auto", "cuda") else 0
    threads = max(1, torch.get_num_threads() // request.jobs)
    split = lru_cache(maxsize=1)(lambda dataset: catalog.load_split(dataset, request.data))
    waiting = deque((cell, False) for cell in cheap_first(experiments))  # and whether to wait for another process
    free = list(range(request.jobs))
    running: dict[Any, tuple[Experiment, int, Any]] = {}  # by the connection that the cell's answer comes by
    failed: dict[str, SuiteError] = {}
    deadline = request.deadline
    bar = tqdm(total=len(experiments), desc="runs", unit="run", disable=request.quiet or None, leave=False)

    def ended(cell: Experiment, slot: int, error: Exception | None) -> None:
        nonlocal deadline
        free.append(slot)
        if isinstance(error, Busy):
            waiting.append((cell, True))
            return
        bar.update()
        if error is None:
            return
        if not isinstance(error, SuiteError):
            error = own_process.unforeseen(error)
        if isinstance(error, TimeIsUp):  # no other cell is begun, however short its epochs
            deadline = Deadline(0.0)
        # Absent data or the end of the time makes many runs fail with the same message: print it once.
        whole = isinstance(error, InputError) or str(error) == NOT_BEGUN
        if not (whole and str(error) in map(str, failed.values())):
            tqdm.write(str(error) if whole else f"{cell.path.removeprefix('runs/')}: {error}", file=sys.stderr)
        failed[cell.path] = error

    try:
        while waiting or running:
            while waiting and free:
                (cell, wait), slot = waiting.popleft(), free.pop(0)
                options = replace(request, deadline=deadline, threads=threads if request.jobs > 1 else 0)
                try:
                    if request.jobs == 1:
                        run_with(options, cell, split(cell.dataset), wait=wait)
                        ended(cell, slot, None)
                        continue
                    own = catalog.current().models.get(cell.model)
                    if own is not None and issubclass(own.kind, user_model.Unusable):
                        raise ModelError(own.kind.why)
                    if gpus > 1:
                        options = replace(options, device=f"cuda:{slot % gpus}")
                    work = catalog.with_model, record, options.at_home(), cell, split(cell.dataset), wait
                    process, reader = own_process.start(own.file if own else None, *work)
                    running[reader] = cell, slot, process
                except Exception as error:
                    ended(cell, slot, error)
            sentinels = [process.sentinel for _, _, process in running.values()]
            ready = multiprocessing.connection.wait([*running, *sentinels]) if running else []
            for reader, (cell, slot, process) in list(running.items()):
                if reader in ready or process.sentinel in ready:
                    del running[reader]
                    try:
                        own_process.result(process, reader)
                        ended(cell, slot, None)
                    except Exception as error:
                        ended(cell, slot, error)
    finally:
        bar.close()
        for _, _, process in running.values():
            process.terminate()
        for _, _, process in running.values():
            process.join()
    left = sum(isinstance(error, TimeIsUp) for error in failed.values())
    if left:
        print(f"{left} of {len(experiments)} runs out of time (repeat the command to resume)", file=sys.stderr)
    return failed
