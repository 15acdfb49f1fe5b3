"""run(): an experiment is run once and stored once; asked again, its record is read."""

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
from reproduce.errors import ModelError
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
from reproduce.runs.record import Result, load, store


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
    """The result of an experiment: read if it is stored, else made and stored.

    Args:
        data: the folder with the logs.
        results: the folder that holds runs/.
        device: auto, cpu, cuda or cuda:N.
        force: run again although the record is there.
        fresh: do not go on from a checkpoint.
        wait: wait while another process runs this experiment, and use its result.
        keep_model: also keep the fitted model beside the record; see kept_model. A record that is there stays.
        split: the experiment's split, where the caller has read it already.
        deadline: when to stop, between two epochs.

    Raises:
        InputError: data or records absent or broken, a checkpoint not ours, results folder not writable or full.
        ModelError: the model broke its contract, or memory does not suffice for it; or, made again to be kept, it gave
            other ranks than its record.
        Busy: another process runs this experiment, and `wait` is off.
        TimeIsUp: the deadline came first; the checkpoint is kept.
    """
    results = Path(results).absolute()  # a model may change the working directory
    experiment = Experiment.of(experiment.dataset, experiment.model, experiment.params, experiment.seed)
    split = split or catalog.load_split(experiment.dataset, data)
    identity = experiment.identity(split.digest)
    place = results / experiment.path
    _clear_up(place)
    keep = kept_model.place_of(experiment, results) if keep_model else None
    if not force and (stored := _stored(experiment, identity, results, keep)) is not None:
        return stored
    if deadline is not None:
        deadline.check()
    check_writable(results)
    with only_one(place.with_name(place.name + ".lock"), wait=wait, quiet=quiet):
        # Somebody may have made it while this process waited.
        if not force and (stored := _stored(experiment, identity, results, keep)) is not None:
            return stored
        for ending in (".json", ".npz", ".checkpoint"):
            sweep(place.with_name(place.name + ending))
        where = choose_device(device)
        journal = _journal(experiment, identity, place, circumstances(where, split.test.n_items))
        journal.quiet, journal.fresh, journal.deadline = quiet, fresh, deadline
        before = None if force else _stored(experiment, identity, results)
        model = experiment.recommender()
        result = _made(model, experiment, identity, split, where, journal)
        _keep(result, before, model, split, results, keep_model)
        journal.discard()
    return before or result


def _keep(
    result: Result, before: Result | None, model: Recommender, split: Split, results: Path, keep_model: bool
) -> None:
    """Store what was made: the model first, if it is to be kept, then the record, unless it was there `before`."""
    if before is not None:
        _check_same(before, result)
    if keep_model:
        kept_model.store(model, result.experiment, result.identity, split, results)
    if before is None:
        store(result, results)


def _stored(experiment: Experiment, identity: str, results: Path, keep: Path | None = None) -> Result | None:
    """The record of this very run, if there is one; and, where the model is to be kept, if that is there, too."""
    stored = load(experiment, results)
    if stored is None or stored.identity != identity or (keep is not None and not kept_model.is_of(keep, identity)):
        return None
    return stored


def _check_same(before: Result, result: Result) -> None:
    """Raises ModelError where a run made again to keep its model is not the one that is recorded."""
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
    """Remove the checkpoint and the lock of a run that was killed after its record was whole.

    Such a checkpoint is older than the record; that of a run made again with `force` is newer, and stays.
    """
    table, checkpoint, lock = (place.with_name(place.name + ending) for ending in (".json", ".checkpoint", ".lock"))
    if not (is_regular(table) and (is_regular(checkpoint) or is_regular(lock))):
        return
    # Suppressed: somebody else has just cleared up, or is at it.
    with suppress(FileNotFoundError, Busy), only_one(lock, wait=False):
        if table.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns:
            checkpoint.unlink()


def _made(
    model: Recommender, experiment: Experiment, identity: str, split: Split, device: torch.device, journal: RunJournal
) -> Result:
    """Fit, rank every test prefix, ask for the attention."""
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
        split={"digest": split.digest, "n_items": split.test.n_items, "provenance": asdict(split.provenance)},
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
