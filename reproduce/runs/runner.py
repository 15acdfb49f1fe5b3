"""run(): runs an experiment once and stores its result; from then on the record is read."""

from __future__ import annotations

import math
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import InputError, ModelError
from reproduce.evaluation import ranking
from reproduce.files import Busy, is_regular, only_one
from reproduce.fitting import attention
from reproduce.fitting.determinism import Precision, deterministic
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions, Split
from reproduce.runs import kept_model
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.deadline import NOT_BEGUN, Deadline, TimeIsUp
from reproduce.runs.environment import choose_device, circumstances, forget_peak_memory, peak_memory_mib
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OtherData, Result, current, load, split_of_record, store

# What torch says in a plain RuntimeError or AcceleratorError where the machine, cuBLAS, cuDNN or CUDA lacks memory.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "ALLOC_FAILED", "out of memory")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How experiments are run. None of it is part of an experiment's identity."""

    data: Path  # the folder with the logs
    results: Path  # the folder that holds runs/
    device: str = "auto"  # or cpu, cuda, cuda:N
    force: bool = False  # run again even if there is a record
    fresh: bool = False  # do not resume from a checkpoint
    quiet: bool = False  # do not show progress
    keep_model: bool = False  # also keep the fitted model beside the record, which stays as it is; see kept_model
    deadline: Deadline | None = None  # when to stop, between two epochs
    threads: int = 0  # of the processor; 0: as many as torch uses by itself

    @staticmethod
    def given(options: Namespace) -> dict[str, Any]:
        """Return the arguments that a command line gives; options that a command does not offer keep their defaults."""
        words = vars(options)
        given = {field.name: words[field.name] for field in fields(RunOptions) if field.name in words}
        return given | ({"deadline": Deadline(60.0 * words["minutes"])} if words.get("minutes") else {})

    def at_home(self) -> RunOptions:
        """Return the same options with absolute folders, whatever a model does to the working directory."""
        return replace(self, data=self.data.absolute(), results=self.results.absolute())


def run(
    experiment: Experiment,
    *,
    data: Path | str,
    results: Path | str,
    device: torch.device | str = "auto",
    force: bool = False,
    keep_model: bool = False,
) -> Result:
    """Return the result of an experiment: read it if it is stored, otherwise run the experiment and store it.

    The arguments and errors are those of RunOptions and run_with.
    """
    options = RunOptions(
        data=Path(data), results=Path(results), device=str(device), force=force, quiet=True, keep_model=keep_model
    )
    return run_with(options, experiment)


def run_with(options: RunOptions, experiment: Experiment, split: Split | None = None, *, wait: bool = True) -> Result:
    """Return the result of an experiment: read it if it is stored, otherwise run the experiment and store it.

    Args:
        split: the experiment's split, if the caller has loaded it already.
        wait: wait while another process runs this experiment, and use its result.

    Raises:
        UsageError: there is no such data set, model, field or device, or an epoch takes longer than the deadline.
        InputError: the data or the record is absent or broken, the record is of other data, the checkpoint belongs to
            another run, or the results folder is full or not writable.
        ModelError: the model broke its contract, memory does not suffice for it, or a run that was repeated to keep
            the model gave other ranks than the record.
        Busy: `wait` is off, and another process runs this experiment.
        TimeIsUp: the deadline came first; the checkpoint is kept.
    """
    options = options.at_home()
    experiment = Experiment.of(experiment.dataset, experiment.model, experiment.params, experiment.seed)
    split = split or catalog.load_split(experiment.dataset, options.data)
    if options.threads:
        torch.set_num_threads(options.threads)
    own = catalog.current().models.get(experiment.model)
    if own is not None and own.stands_in:
        catalog.in_its_process(experiment.model, record, options, experiment, split, wait)
        result = load(experiment, options.results, split.digest)
        assert result is not None
        return result
    _clear_up(experiment, options.results)
    before, whole = stored(options, experiment, split.digest)
    if before is not None and whole:
        return before
    if options.deadline is not None and options.deadline.left <= 0:
        raise TimeIsUp(NOT_BEGUN)
    with alone(experiment.file(options.results, ".lock"), options.deadline, wait=wait):
        before, whole = stored(options, experiment, split.digest)  # again: this process may have waited for another
        if before is not None and whole:
            return before
        device, checkpoint = choose_device(options.device), experiment.file(options.results, ".checkpoint")
        journal = RunJournal(
            title=f"{experiment.dataset} {experiment.model}",
            checkpoint=checkpoint,
            identity=experiment.identity(split.digest),
            circumstances={**circumstances(device, split.test.n_items), **(own.described if own else {})},
            quiet=options.quiet,
            fresh=options.fresh,
            deadline=options.deadline,
        )
        model = experiment.recommender()
        result = _made(model, experiment, split, device, journal)
        if before is not None and not result.same_ranks(before):
            raise ModelError(
                f"{experiment.model}: made again to be kept, it gave other ranks than its record, as on another "
                "device or with other threads; with --force the record is made anew"
            )
        if options.keep_model:
            kept_model.store(model, experiment, journal.identity, split, options.results)
        if before is None:
            store(result, options.results)
        checkpoint.unlink(missing_ok=True)  # no longer needed once the run is recorded
    return before or result


@contextmanager
def alone(lock: Path, deadline: Deadline | None, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock, waiting for another process at most until the deadline. Raises Busy, or TimeIsUp after a wait."""
    until = math.inf if deadline is None else max(deadline.left, 0.0)
    with ExitStack() as held:
        try:
            held.enter_context(only_one(lock, wait=until if wait else 0.0))
        except Busy:
            if wait:
                raise TimeIsUp(NOT_BEGUN) from None
            raise
        yield


def record(options: RunOptions, experiment: Experiment, split: Split, wait: bool) -> None:
    """Run an experiment for its record, in a process that was started for it."""
    run_with(options, experiment, split, wait=wait)


def _made(
    model: Recommender, experiment: Experiment, split: Split, device: torch.device, journal: RunJournal
) -> Result:
    """Fit a model, rank every test prefix, and return the result. Raises ModelError; see `run_with`."""
    fields = catalog.identifying(model)
    prefixes, targets = split.test.prefixes()
    forget_peak_memory(device)
    began = time.monotonic()
    with deterministic():
        lacking = False  # an error holds the memory allocated: it is left before another is raised
        try:
            model.fit(split.train, seed=experiment.seed, device=device, journal=journal)
        except Exception as error:
            if not (lacking := out_of_memory(error)):
                raise
        if lacking:
            batch = catalog.resolved(model).get("batch")
            remedy = f"try a smaller batch, --set {model.name}.batch={batch // 2}" if batch else "it has no batch"
            raise ModelError(f"out of memory in training; {remedy}")
        journal.precision.look()
        fitted = time.monotonic()
        whole = ranking.chunk_rows(prefixes.n_items, device)
        for chunk in dict.fromkeys((whole, max(1, whole // 2))):  # a smaller chunk gives the same ranks
            try:
                greater, equal = ranking.rank_all(model, prefixes, targets, chunk)
                break
            except Exception as error:
                if not out_of_memory(error):
                    raise
            forget_peak_memory(device)
            print(f"{journal.title}: out of memory in scoring {chunk:,} prefixes at a time", file=sys.stderr)
        else:
            raise ModelError("out of memory in scoring; make room, or score with --device cpu")
        journal.precision.look()
        scored = time.monotonic()
        weights = attention.collect(model, split.test, getattr(model, "truncation", "none"))
    _check_unchanged(model, fields, split, prefixes, journal)
    environment = {
        **journal.circumstances,
        **asdict(journal.precision),
        "scoring_chunk": chunk,
        "resumed": journal.resumed,
        "fit_seconds": round(fitted - began, 2),
        "score_seconds": round(scored - fitted, 2),
        "peak_memory_mib": peak_memory_mib(device),
    }
    return Result(
        experiment=experiment,
        identity=journal.identity,
        fields=fields,
        split=split_of_record(split),
        epochs=journal.history,
        environment=environment,
        session=split.test.prefix_owner(),
        length=prefixes.lengths,
        greater=greater,
        equal=equal,
        attention=weights,
    )


def _check_unchanged(
    model: Recommender, fields: Mapping[str, Any], split: Split, prefixes: Sessions, journal: RunJournal
) -> None:
    """Raise ModelError if a model changed what its record states."""
    if repr(catalog.identifying(model)) != repr(fields):
        raise ModelError("it changed its own fields; learned state has names that end in _")
    again, _ = split.test.prefixes()
    same = np.array_equal(again.starts, prefixes.starts) and np.array_equal(again.stops, prefixes.stops)
    if not same or replace(split).digest != split.digest:
        raise ModelError("it changed the sessions that it was given")
    if model.name in catalog.current().models and journal.precision != Precision():
        raise ModelError("it turned deterministic algorithms off or TF32 on; leave both alone")


def out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out, of the machine or of a GPU."""
    in_words = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    return in_words or isinstance(error, MemoryError | torch.OutOfMemoryError)


def stored(options: RunOptions, experiment: Experiment, split: str | None) -> tuple[Result | None, bool]:
    """The record of this very run, and whether it is all that is wanted, a kept model included.

    With --force there is none.

    Args:
        split: the digest of the split, if it is at hand.

    Raises:
        InputError: the record is broken, and --force is not given; or it is of other data, which nothing replaces.
    """
    try:
        result = load(experiment, options.results, split)
    except InputError as error:
        if options.force and not isinstance(error, OtherData):
            return None, False
        raise
    if options.force or result is None or not current(result):
        return None, False
    place = experiment.file(options.results, kept_model.ENDING)
    return result, not options.keep_model or kept_model.is_kept(place, result)


def _clear_up(experiment: Experiment, results: Path) -> None:
    """Remove the checkpoint and the lock of a run that was killed after its record was complete.

    Such a checkpoint is older than the record. The checkpoint of a run repeated with `force` is newer and is kept.
    """
    table, checkpoint, lock = (experiment.file(results, ending) for ending in (".json", ".checkpoint", ".lock"))
    if is_regular(table) and (is_regular(checkpoint) or is_regular(lock)):
        # Suppressed: another process has just cleared up or is doing so, or the folder is read-only.
        with suppress(FileNotFoundError, Busy, InputError), only_one(lock, wait=0):
            if table.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns:
                checkpoint.unlink()
