"""run(): runs an experiment once and stores its result; from then on the record is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import InputError, ModelError
from reproduce.files import Busy, is_regular, only_one, sweep
from reproduce.fitting import attention, user_model
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Split
from reproduce.runs import kept_model, memory
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.deadline import Deadline
from reproduce.runs.environment import check_writable, choose_device, circumstances, forget_peak_memory, peak_memory_mib
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OtherData, Result, load, split_of_record, store


def run(
    experiment: Experiment,
    *,
    data: Path | str,
    results: Path | str,
    device: torch.device | str = "auto",
    force: bool = False,
    fresh: bool = False,
    quiet: bool = True,
    wait: bool = True,
    keep_model: bool = False,
    split: Split | None = None,
    deadline: Deadline | None = None,
) -> Result:
    """Return the result of an experiment: read it if it is stored, otherwise run the experiment and store it.

    Args:
        data: the folder with the logs.
        results: the folder that holds runs/.
        device: auto, cpu, cuda or cuda:N.
        force: run again even if there is a record.
        fresh: do not resume from a checkpoint.
        quiet: do not show progress.
        wait: wait while another process runs this experiment, and use its result.
        keep_model: also keep the fitted model beside the record; see kept_model. An existing record is not changed.
        split: the experiment's split, if the caller has loaded it already.
        deadline: when to stop, between two epochs.

    Raises:
        UsageError: there is no such data set, model, field or device, or an epoch takes longer than the deadline.
        InputError: the data or the record is absent or broken, the checkpoint belongs to another run, or the results
            folder is full or not writable.
        ModelError: the model broke its contract, memory does not suffice for it, or a run that was repeated to keep
            the model gave other ranks than the record.
        Busy: `wait` is off, and another process runs this experiment.
        TimeIsUp: the deadline came first; the checkpoint is kept.
    """
    results = Path(results).absolute()  # a model may change the working directory
    experiment = Experiment.of(experiment.dataset, experiment.model, experiment.params, experiment.seed)
    split = split or catalog.load_split(experiment.dataset, data)
    identity = experiment.identity(split.digest)
    place = results / experiment.path
    _clear_up(place)
    keep = kept_model.place_of(experiment, results) if keep_model else None
    if (stored := _stored(experiment, split, results, force, keep)) is not None:
        return stored
    if deadline is not None:
        deadline.check()
    check_writable(results)
    with only_one(place.with_name(place.name + ".lock"), wait=wait, quiet=quiet):
        # Another process may have stored it while this one waited.
        if (stored := _stored(experiment, split, results, force, keep)) is not None:
            return stored
        for ending in (".json", ".npz", ".checkpoint"):
            sweep(place.with_name(place.name + ending))
        where = choose_device(device)
        journal = _journal(experiment, identity, place, circumstances(where, split.test.n_items))
        journal.quiet, journal.fresh, journal.deadline = quiet, fresh, deadline
        before = _stored(experiment, split, results, force)
        model = experiment.recommender()
        result = _made(model, experiment, identity, split, where, journal)
        _keep(result, before, model, split, results, keep_model)
        journal.discard()
    return before or result


def _keep(
    result: Result, before: Result | None, model: Recommender, split: Split, results: Path, keep_model: bool
) -> None:
    """Store the model first, if it is to be kept, and then the record, unless there was one `before`."""
    if before is not None:
        _check_same(before, result)
    if keep_model:
        kept_model.store(model, result.experiment, result.identity, split, results)
    if before is None:
        store(result, results)


def _stored(
    experiment: Experiment, split: Split, results: Path, force: bool, keep: Path | None = None
) -> Result | None:
    """The record of this very run; None if there is none, or with `force`.

    Args:
        keep: the file of the fitted model, if one is wanted; a record without it does not count.

    Raises:
        InputError: the record is broken, and `force` is off; or it is of other data, which `force` does not replace.
    """
    try:
        stored = load(experiment, results, split.digest)
    except OtherData:
        raise
    except InputError:
        if force:
            return None
        raise
    identity = experiment.identity(split.digest)
    if force or stored is None or stored.identity != identity:
        return None
    return None if keep is not None and not kept_model.is_of(keep, identity, split) else stored


def _check_same(before: Result, result: Result) -> None:
    """Raise ModelError if a run that was repeated to keep its model gave other ranks than its record."""
    if not (np.array_equal(before.greater, result.greater) and np.array_equal(before.equal, result.equal)):
        raise ModelError(
            f"{result.experiment.model}: made again to be kept, it gave other ranks than its record, as on another "
            "device or with other threads; with --force the record is made anew"
        )


def _journal(experiment: Experiment, identity: str, place: Path, environment: Mapping[str, Any]) -> RunJournal:
    return RunJournal(
        title=f"{experiment.dataset} {experiment.model}",
        checkpoint=place.with_name(place.name + ".checkpoint"),
        identity=identity,
        circumstances={**environment, **user_model.described(experiment.model)},
    )


def _clear_up(place: Path) -> None:
    """Remove the checkpoint and the lock of a run that was killed after its record was complete.

    Such a checkpoint is older than the record. The checkpoint of a run repeated with `force` is newer and is kept.
    """
    table, checkpoint, lock = (place.with_name(place.name + ending) for ending in (".json", ".checkpoint", ".lock"))
    if not (is_regular(table) and (is_regular(checkpoint) or is_regular(lock))):
        return
    # Suppressed: another process has just cleared up or is doing so, or the folder is read-only.
    with suppress(FileNotFoundError, Busy, InputError), only_one(lock, wait=False):
        if table.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns:
            checkpoint.unlink()


def _made(
    model: Recommender, experiment: Experiment, identity: str, split: Split, device: torch.device, journal: RunJournal
) -> Result:
    """Fit the model, rank the target of every test prefix, and collect the attention."""
    guarded, fields = user_model.guarded(model), catalog.identifying(model)
    forget_peak_memory(device)
    began = time.monotonic()
    prefixes, targets = split.test.prefixes()
    with deterministic():
        memory.fit(model, lambda: guarded.fit(split.train, seed=experiment.seed, device=device, journal=journal))
        journal.precision.look()
        fitted = time.monotonic()
        greater, equal, chunk = memory.rank_all(
            guarded, prefixes, targets, experiment.path.removeprefix("runs/"), device
        )
        journal.precision.look()
        scored = time.monotonic()
        weights = attention.collect(guarded, split.test, getattr(model, "truncation", "none"))
    return Result(
        experiment=experiment,
        identity=identity,
        fields=fields,
        split=split_of_record(split),
        epochs=journal.history,
        environment={
            **journal.circumstances,
            **asdict(journal.precision),
            "scoring_chunk": chunk,
            "resumed": journal.resumed,
            "fit_seconds": round(fitted - began, 2),
            "score_seconds": round(scored - fitted, 2),
            "peak_memory_mib": peak_memory_mib(device),
        },
        session=split.test.prefix_owner(),
        length=prefixes.lengths,
        greater=greater,
        equal=equal,
        attention=weights,
    )
