"""The cells of a page as one list: what is asked for, what is stored, and the running of the rest."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from reproduce import catalog
from reproduce.errors import ModelError, SuiteError, UsageError
from reproduce.experiment import Experiment, Result, check_writable, choose_device, current, load, run
from reproduce.journal import Terminated, heed_sigterm
from reproduce.lock import Busy
from reproduce.neural import Neural
from reproduce.paper import Row
from reproduce.ranking import halved_chunks
from reproduce.sessions import Split


@dataclass(frozen=True)
class Request:
    """What a command was asked for, by whichever page."""

    datasets: Sequence[str]
    data: Path
    results: Path
    models: Sequence[str] = ()  # empty: the page's own
    seeds: Sequence[int] = (0,)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # model -> field -> text
    device: str = "auto"
    jobs: int = 1  # cells at a time, a process each
    force: bool = False
    fresh: bool = False
    quiet: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # a page's own

    def rows(self, rows: Iterable[Row], extra: Iterable[Row] = ()) -> list[Row]:
        """A page's rows, or those of the models asked for, with the fields that --set gives.

        `extra`: rows a page knows by label but runs only where their model is asked for and it has no other row.
        """
        chosen = list(rows)
        if self.models:
            own, more = chosen, list(extra)
            chosen = []
            for model in self.models:
                kind = catalog.recommender(model)
                found = ([row for row in some if row.model == model] for some in (own, more))
                chosen += next(filter(None, found), [Row(kind.label, kind.name)])
        chosen = [row for row in chosen if row.model in catalog.recommenders()]
        unused = set(self.settings) - {row.model for row in chosen}
        if unused:
            known_model = catalog.recommender(sorted(unused)[0]).name
            raise UsageError(f"--set {known_model}.…: {known_model} is not among the models of this command")
        return [set_fields(row, self.settings.get(row.model, {})) for row in chosen]


def settings(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """MODEL.FIELD=VALUE words, checked, as model -> field -> text. Raises UsageError."""
    found: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        model, dot, field = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"--set {word}: expected MODEL.FIELD=VALUE, such as narm.hidden=50")
        catalog.make_recommender(model, {field: value})
        found.setdefault(model, {})[field] = value
    return found


def set_fields(row: Row, fields: Mapping[str, Any]) -> Row:
    """The row with more fields set; its label says which."""
    changed = catalog.changed(catalog.make_recommender(row.model, {**row.fields, **fields}))
    before = catalog.changed(catalog.make_recommender(row.model, row.fields))
    told = ", ".join(f"{key}={value}" for key, value in changed.items() if before.get(key) != value)
    return Row(f"{row.label} ({told})" if told else row.label, row.model, changed)


def same(row: Row, other: Row) -> bool:
    """Whether two rows are one model with the same fields, those left at their defaults included."""
    return row.model == other.model and set_fields(row, {}).fields == set_fields(other, {}).fields


def cells(request: Request, rows: Iterable[Row]) -> list[Experiment]:
    """Every data set with every row and seed, in the order of a page, each once."""
    made = [
        Experiment.of(dataset, row.model, row.fields, seed)
        for dataset in request.datasets
        for row in rows
        for seed in request.seeds
    ]
    return list({one.path: one for one in made}.values())


def state(experiment: Experiment, results: Path) -> str:
    """stored, outdated, begun or missing: of a cell, without reading its data set."""
    result = load(experiment, results)
    if result is not None:
        return "stored" if current(result) else "outdated"
    return "begun" if (results / f"{experiment.path}.checkpoint").exists() else "missing"


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
    choose_device(request.device)
    ordered = cheap_first(experiments)
    failed: dict[str, SuiteError] = {}
    outcomes = _one_by_one(request, ordered) if request.jobs == 1 else _side_by_side(request, ordered)
    for one, error in outcomes:
        if error is not None:
            failed[one.path] = error
            print(f"{one.path.removeprefix('runs/')}: {error}", file=sys.stderr, flush=True)
    return failed


def _one_by_one(request: Request, ordered: Sequence[Experiment]) -> Iterator[tuple[Experiment, SuiteError | None]]:
    split: Split | None = None
    waiting = deque((one, False) for one in ordered)
    done = 0
    while waiting:
        one, wait = waiting.popleft()
        if not request.quiet:
            number = f"[{min(done + 1, len(ordered))}/{len(ordered)}]"
            print(f"{number} {one.path.removeprefix('runs/')}", file=sys.stderr, flush=True)
        try:
            if split is None or split.name != one.dataset:
                split = catalog.load_split(one.dataset, request.data)
            run_cell(request, one, split, wait=wait)
        except Busy:
            waiting.append((one, True))
            continue
        except SuiteError as error:
            yield one, error
        else:
            yield one, None
        done += 1


def run_cell(request: Request, experiment: Experiment, split: Split, *, wait: bool = True) -> Result:
    """`run`, and once more with half the scoring chunk if the memory does not suffice (the record says which chunk).

    Raises:
        SuiteError: whatever went wrong, in a line; an unforeseen error's traceback goes to standard error.
    """
    try:
        return _run(request, experiment, split, wait)
    except Exception as error:
        if isinstance(error, SuiteError):
            raise
        if not out_of_memory(error):
            raise _unforeseen(error) from error
    # Outside the except clause: the error holds the frames, and they hold the memory.
    print(
        f"{experiment.path.removeprefix('runs/')}: out of memory; once more with half the scoring chunk",
        file=sys.stderr,
        flush=True,
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        with halved_chunks():
            return _run(request, experiment, split, wait)
    except Exception as error:
        if isinstance(error, SuiteError):
            raise
        if out_of_memory(error):
            raise ModelError("out of memory, with half the scoring chunk too; try a smaller batch (--set)") from error
        raise _unforeseen(error) from error


def out_of_memory(error: BaseException) -> bool:
    """torch has an error of its own for a GPU's memory; for the machine's it raises a plain RuntimeError."""
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in told or "not enough memory" in told)
    )


def _unforeseen(error: Exception) -> ModelError:
    traceback.print_exception(error)
    return ModelError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def _run(request: Request, experiment: Experiment, split: Split, wait: bool) -> Result:
    return run(
        experiment,
        data=request.data,
        results=request.results,
        device=request.device,
        force=request.force,
        fresh=request.fresh,
        quiet=request.quiet,
        wait=wait,
        split=split,
    )


def _side_by_side(request: Request, ordered: Sequence[Experiment]) -> Iterator[tuple[Experiment, SuiteError | None]]:
    """A process per cell, `jobs` at a time: a cell that the kernel kills takes no other with it.

    They are forked: this process computes nothing with torch, so there are no threads and no GPU context to lose, and
    a cell starts at once. The processor's threads, or the GPUs, are shared out.
    """
    context = multiprocessing.get_context("fork")
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
                    target=_cell_process, args=(replace(request, device=device), one, threads, wait, writer)
                )
                process.start()
                writer.close()
                running[process.sentinel] = one, slot, process, reader
            for sentinel in multiprocessing.connection.wait(list(running)):
                one, slot, process, reader = running.pop(sentinel)
                process.join()
                free.append(slot)
                error = _told(process, reader)
                if isinstance(error, Busy):
                    waiting.append((one, True))
                else:
                    yield one, error
    finally:
        for _, _, process, _ in running.values():
            process.terminate()
        for _, _, process, _ in running.values():
            process.join()


def _cell_process(request: Request, experiment: Experiment, threads: int, wait: bool, writer: Any) -> None:
    heed_sigterm()
    torch.set_num_threads(threads)
    if not request.quiet:
        print(f"{experiment.path.removeprefix('runs/')} begins", file=sys.stderr, flush=True)
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
