"""run(): an experiment is run once and stored once; asked again, its record is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from reproduce import catalog
from reproduce.files import Busy, is_regular, only_one, sweep
from reproduce.fitting import attention, user_model
from reproduce.fitting.determinism import deterministic
from reproduce.reading.sessions import Split
from reproduce.runs import memory
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
        split: the experiment's split, where the caller has read it already.
        deadline: when to stop, between two epochs.

    Raises:
        InputError: data or records absent or broken, a checkpoint not ours, results folder not writable or full.
        ModelError: the model broke its contract, or memory does not suffice for it.
        Busy: another process runs this experiment, and `wait` is off.
        TimeIsUp: the deadline came first; the checkpoint is kept.
    """
    results = Path(results).absolute()  # a model may change the working directory
    experiment = Experiment.of(experiment.dataset, experiment.model, experiment.params, experiment.seed)
    split = split or catalog.load_split(experiment.dataset, data)
    identity = experiment.identity(split.digest)
    place = results / experiment.path
    _clear_up(place)
    if not force and (stored := _stored(experiment, identity, results)) is not None:
        return stored
    if deadline is not None:
        deadline.check()
    check_writable(results)
    with only_one(place.with_name(place.name + ".lock"), wait=wait, quiet=quiet):
        # Somebody may have made it while this process waited.
        if not force and (stored := _stored(experiment, identity, results)) is not None:
            return stored
        for ending in (".json", ".npz", ".checkpoint"):
            sweep(place.with_name(place.name + ending))
        where = choose_device(device)
        journal = _journal(experiment, identity, place, circumstances(where, split.test.n_items))
        journal.quiet, journal.fresh, journal.deadline = quiet, fresh, deadline
        result = _made(experiment, identity, split, where, journal.circumstances, journal)
        store(result, results)
        journal.discard()
    return result


def _stored(experiment: Experiment, identity: str, results: Path) -> Result | None:
    """The record of this very run, if there is one."""
    stored = load(experiment, results)
    return stored if stored is not None and stored.identity == identity else None


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
    experiment: Experiment,
    identity: str,
    split: Split,
    device: torch.device,
    environment: Mapping[str, Any],
    journal: RunJournal,
) -> Result:
    """Fit, rank every test prefix, ask for the attention."""
    model = experiment.recommender()
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
            **environment,
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
