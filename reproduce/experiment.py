"""Experiment (the cause), Result (the effect), run(): done once, stored once.

A record is two files: the rank counts in an .npz, and a .json that names the cause, the effect and the circumstances.
The .json is written last and carries the .npz's sha256, so a record exists when its .json does. A record's identity
is a digest of the split, the model, all its fields, the seed and the schema: same identity, same run, used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reproduce
from reproduce import attention, catalog, own, ranking
from reproduce.attention import Attention
from reproduce.errors import InputError, UsageError
from reproduce.journal import RunJournal, replacing, sweep
from reproduce.lock import Busy, only_one
from reproduce.recommender import Recommender
from reproduce.sessions import Split

SCHEMA = 1
ARRAYS = ("session", "length", "greater", "equal")
ATTENTION = ("weights", "is_target", "lengths")


@dataclass(frozen=True)
class Experiment:
    """The cause of a result. Its path is its name; `params` are the fields that differ from their defaults."""

    dataset: str
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, dataset: str, model: str, fields: Mapping[str, Any] | None = None, seed: int = 0) -> Experiment:
        """Checks the names and brings the fields into their one form: those not at their defaults, in order."""
        catalog.dataset(dataset)
        name = catalog.recommender(model).name  # `model` may be the path of a user's file
        return cls(dataset, name, catalog.changed(catalog.make_recommender(model, fields)), seed)

    @property
    def path(self) -> str:
        """Where its record lies in a results folder, without the ending."""
        fields = "".join(f",{key}={value}" for key, value in sorted(self.params.items()))
        return f"runs/{self.dataset}/{self.model}{fields}-seed{self.seed}"

    def recommender(self) -> Recommender:
        return catalog.make_recommender(self.model, self.params)

    def identity(self, split_digest: str) -> str:
        """What makes two runs the same run, as a sha256."""
        cause = {
            "schema": SCHEMA,
            "split": split_digest,
            "model": self.model,
            "fields": catalog.identifying(self.recommender()),
            "seed": self.seed,
        }
        if own.source(self.model) is not None:
            cause["source"] = own.source(self.model)
        return hashlib.sha256(json.dumps(cause, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Result:
    """The effect: per test prefix its session, its length and the two rank counts, and how they came about."""

    experiment: Experiment
    identity: str
    fields: Mapping[str, Any]  # those that make its identity: catalog.identifying
    split: Mapping[str, Any]  # digest, number of items and the provenance
    epochs: list[dict[str, float]]
    environment: Mapping[str, Any]
    session: np.ndarray  # (n,) number of the test session
    length: np.ndarray  # (n,) clicks in the prefix, before any truncation
    greater: np.ndarray  # (n,) items scoring strictly above the target
    equal: np.ndarray  # (n,) other items tied with it
    attention: Attention | None = None  # of models that have one

    def ranks(self, *, ties_favour_target: bool = False) -> np.ndarray:
        """(n,), 1 is best."""
        return ranking.rank(self.greater, self.equal, ties_favour_target=ties_favour_target)

    def recall(self, k: int = 20) -> float:
        """Recall@k in per cent; a tie counts against the model."""
        return ranking.recall_at(self.ranks(), k)

    def mrr(self, k: int = 20) -> float:
        """MRR@k in per cent; a tie counts against the model."""
        return ranking.mrr_at(self.ranks(), k)

    @property
    def best_epoch(self) -> int | None:
        """The epoch that was kept: best validation Recall@20, a later tie wins."""
        with_validation = [one for one in self.epochs if "validation_recall" in one]
        if not with_validation:
            return None
        return int(max(with_validation, key=lambda one: (one["validation_recall"], one["epoch"]))["epoch"])


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

    Raises:
        InputError: data or records absent or broken, a checkpoint not ours, results folder not writable or full.
        ModelError: the model broke its contract.
        Busy: another process runs this experiment, and `wait` is off.
    """
    results = Path(results)
    experiment = Experiment.of(experiment.dataset, experiment.model, experiment.params, experiment.seed)
    split = split or catalog.load_split(experiment.dataset, data)
    identity = experiment.identity(split.digest)
    _clear_up(results / experiment.path)
    if not force:
        stored = load(experiment, results)
        if stored is not None and stored.identity == identity:
            return stored
    check_writable(results)
    place = results / experiment.path
    checkpoint = place.with_name(place.name + ".checkpoint")
    with only_one(place.with_name(place.name + ".lock"), wait=wait, quiet=quiet):
        if not force:  # somebody may have made it while this process waited
            stored = load(experiment, results)
            if stored is not None and stored.identity == identity:
                return stored
        for ending in (".json", ".npz", ".checkpoint"):
            sweep(place.with_name(place.name + ending))
        where = choose_device(device)
        environment = circumstances(where, split.test.n_items)
        if own.source(experiment.model) is not None:
            environment["source"] = own.source(experiment.model)
        journal = RunJournal(
            title=f"{experiment.dataset} {experiment.model}",
            checkpoint=checkpoint,
            identity=identity,
            circumstances=environment,
            quiet=quiet,
            fresh=fresh,
        )
        result = _made(experiment, identity, split, where, environment, journal)
        store(result, results)
        journal.discard()
    return result


def _clear_up(place: Path) -> None:
    """Remove the checkpoint of a run that was killed after its record was whole and before it had cleared up.

    Such a checkpoint is older than the record; that of a run made again with `force` is newer, and stays.
    """
    table, checkpoint, lock = (place.with_name(place.name + ending) for ending in (".json", ".checkpoint", ".lock"))
    if not (table.is_file() and checkpoint.is_file()):
        return
    with suppress(FileNotFoundError, Busy):  # somebody else has just cleared up, or is at it
        if table.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns:
            with only_one(lock, wait=False):
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
    guarded = own.guarded(model)
    began = time.monotonic()
    guarded.fit(split.train, seed=experiment.seed, device=device, journal=journal)
    fitted = time.monotonic()
    prefixes, targets = split.test.prefixes()
    greater, equal = ranking.rank_all(guarded, prefixes, targets)
    scored = time.monotonic()
    weights = attention.collect(guarded, split.test, getattr(model, "truncation", "none"))
    return Result(
        experiment=experiment,
        identity=identity,
        fields=catalog.identifying(model),
        split={"digest": split.digest, "n_items": split.test.n_items, "provenance": asdict(split.provenance)},
        epochs=journal.history,
        environment={
            **environment,
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


def store(result: Result, results: Path) -> None:
    """Write a record: the arrays first, then the .json that makes it one."""
    place = results / result.experiment.path
    table, arrays = place.with_name(place.name + ".json"), place.with_name(place.name + ".npz")
    with replacing(arrays) as temporary:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **_arrays(result))  # type: ignore[arg-type]
        sha = hashlib.sha256(temporary.read_bytes()).hexdigest()
        table.unlink(missing_ok=True)  # a record that is replaced is gone before its arrays are
    content = {
        "schema": SCHEMA,
        "identity": result.identity,
        "experiment": asdict(result.experiment),
        "fields": dict(result.fields),
        "split": result.split,
        "recall_at_20": result.recall(),
        "mrr_at_20": result.mrr(),
        "examples": len(result.greater),
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "environment": result.environment,
        "attention": result.attention.means if result.attention else None,
        "arrays_sha256": sha,
    }
    with replacing(table) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _arrays(result: Result) -> dict[str, np.ndarray]:
    arrays = {name: getattr(result, name).astype(np.int32) for name in ARRAYS}
    if result.attention is not None:
        arrays |= {f"attention_{name}": getattr(result.attention, name) for name in ATTENTION}
    return arrays


def load(experiment: Experiment, results: Path) -> Result | None:
    """The stored result at an experiment's path, whatever its identity; None where there is none.

    Raises:
        InputError: the record is broken or of another schema; it names the file.
    """
    place = results / experiment.path
    table, arrays = place.with_name(place.name + ".json"), place.with_name(place.name + ".npz")
    if not table.is_file():
        return None
    try:
        content = json.loads(table.read_text())
        schema = content["schema"]
        if schema != SCHEMA:
            raise InputError(f"{table}: schema {schema}, this suite reads schema {SCHEMA}; use the suite that wrote it")
        raw = arrays.read_bytes()
        if hashlib.sha256(raw).hexdigest() != content["arrays_sha256"]:
            raise InputError(f"{arrays}: not the arrays that {table.name} was written for; run again with --force")
        with np.load(arrays, allow_pickle=False) as kept:
            columns = {name: kept[name].astype(np.int64) for name in ARRAYS}
            means = content["attention"]
            weights = (
                Attention(**{name: kept[f"attention_{name}"] for name in ATTENTION}, means=means) if means else None
            )
        return Result(
            experiment=Experiment(**content["experiment"]),
            identity=content["identity"],
            fields=content["fields"],
            split=content["split"],
            epochs=content["epochs"],
            environment=content["environment"],
            **columns,
            attention=weights,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{table}: broken record ({type(error).__name__}: {error}); run again with --force") from error


def current(result: Result) -> bool:
    """Whether a record was made with the fields, values and (of an own model) source that its model has today."""
    if result.environment.get("source") != own.source(result.experiment.model):
        return False
    fields = catalog.identifying(result.experiment.recommender())
    return json.loads(json.dumps(fields)) == dict(result.fields)


def choose_device(name: torch.device | str) -> torch.device:
    """auto is the GPU where there is one. Raises UsageError for a device that is not there."""
    if str(name) == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}; there is: auto, cpu, cuda, cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {str(name)!r}; there is: auto, cpu, cuda, cuda:N")
    if device.type == "cuda":
        # cuBLAS reads this when it starts; without it the deterministic algorithms refuse to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if (device.index or 0) >= torch.cuda.device_count():
            raise UsageError(f"device {name}: torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu")
        device = torch.device("cuda", device.index or 0)
    return device


def check_writable(results: Path) -> None:
    """Said before training, not after."""
    probe = results / ".writable"
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # another process may be asking the same
    except OSError as error:
        raise InputError(
            f"{results}: cannot write there ({error.strerror}); choose another with --results DIR"
        ) from error


def circumstances(device: torch.device, n_items: int) -> dict[str, Any]:
    """Stored and shown, and forcing nothing. No path, host or user name."""
    commit, dirty = commit_of_checkout()
    return {
        "commit": commit,
        "dirty": dirty,
        "suite": reproduce.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "scoring_chunk": ranking.chunk_rows(n_items),
        "deterministic_algorithms": True,
        "tf32": False,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


@lru_cache
def commit_of_checkout() -> tuple[str | None, bool | None]:
    """The commit this code runs from and whether tracked files differ from it; (None, None) outside a checkout.

    Asked once a process: the code in memory is the code as it was then. Results do not count as a difference.
    """
    root = Path(reproduce.__file__).resolve().parent.parent
    try:
        git = ["git", "-C", str(root)]
        top = subprocess.run([*git, "rev-parse", "--show-toplevel", "HEAD"], capture_output=True, text=True, check=True)
        where, commit = top.stdout.split("\n")[:2]
        if Path(where).resolve() != root:
            return None, None
        status = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results"]
        return commit, bool(subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip())
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None, None


def peak_memory_mib(device: torch.device) -> int:
    """The most memory so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10
