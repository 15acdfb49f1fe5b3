"""Result (the effect), and how it is stored: the rank counts in an .npz, all else in a .json.

The .json names the cause, the effect and the circumstances. It is written last and carries the .npz's sha256, so a
record exists when its .json does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.evaluation import ranking
from reproduce.files import replacing
from reproduce.fitting import user_model
from reproduce.fitting.attention import Attention
from reproduce.runs.experiment import SCHEMA, Experiment

ARRAYS = ("session", "length", "greater", "equal")
ATTENTION = ("weights", "is_target", "lengths")


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

    def recall(self, k: int = ranking.CUTOFF) -> float:
        """Recall@k in per cent; a tie counts against the model."""
        return ranking.recall_at(self.ranks(), k)

    def mrr(self, k: int = ranking.CUTOFF) -> float:
        """MRR@k in per cent; a tie counts against the model."""
        return ranking.mrr_at(self.ranks(), k)

    @property
    def best_epoch(self) -> int | None:
        """The epoch that was kept: best validation Recall@20, a later tie wins."""
        with_validation = [one for one in self.epochs if "validation_recall" in one]
        if not with_validation:
            return None
        return int(max(with_validation, key=lambda one: (one["validation_recall"], one["epoch"]))["epoch"])


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
    if result.environment.get("source") != user_model.source(result.experiment.model):
        return False
    fields = catalog.identifying(result.experiment.recommender())
    return json.loads(json.dumps(fields)) == dict(result.fields)
