"""Result, the effect of an experiment, and its record: the rank counts in an .npz, all else in a .json.

The .json names the cause, the effect and the circumstances. It is written last and contains the sha256 of the .npz, so
a record exists as soon as its .json does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError, in_a_line
from reproduce.evaluation import ranking
from reproduce.evaluation.metrics import METRICS, Measure
from reproduce.files import is_regular, replacing
from reproduce.fitting.attention import Attention
from reproduce.reading.sessions import Split, vocabulary_digest
from reproduce.runs import record_shape
from reproduce.runs.experiment import SCHEMA, Experiment
from reproduce.runs.record_shape import ARRAYS, ATTENTION, DIGEST, Misshapen

if TYPE_CHECKING:
    import pandas as pd

OUTSIDE = "outside: "  # before the label in the place of a model's name, so that it is never a model of the suite


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a run: session, length and two rank counts per test prefix, and how they were obtained."""

    experiment: Experiment
    identity: str
    fields: Mapping[str, Any]  # those that are part of its identity, see catalog.identifying
    split: Mapping[str, Any]  # see split_of_record
    epochs: list[dict[str, float]]
    environment: Mapping[str, Any]
    session: np.ndarray  # (n,) number of the test session
    length: np.ndarray  # (n,) clicks in the prefix, before any truncation
    greater: np.ndarray  # (n,) items scoring strictly above the target
    equal: np.ndarray  # (n,) other items tied with it
    attention: Attention | None = None  # None if the model has none

    def ranks(self) -> np.ndarray:
        """The rank of every target, (n,); 1 is best, and a tie counts against the model."""
        return ranking.rank(self.greater, self.equal)

    def same_ranks(self, other: Result) -> bool:
        return np.array_equal(self.greater, other.greater) and np.array_equal(self.equal, other.equal)

    def recall(self, k: int = 20) -> float:
        """Recall@k in per cent; a tie counts against the model."""
        return Measure(METRICS["recall"], k).of_ranks(self.ranks())

    def mrr(self, k: int = 20) -> float:
        """MRR@k in per cent; a tie counts against the model."""
        return Measure(METRICS["mrr"], k).of_ranks(self.ranks())

    def frame(self) -> pd.DataFrame:
        """A row per test prefix: session, length, greater, equal and rank; tied items count as ahead of the target."""
        import pandas as pd  # importing it takes a second, and no page needs it

        return pd.DataFrame({name: getattr(self, name) for name in ARRAYS} | {"rank": self.ranks()})

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept: best validation Recall@20, the last of equals; None without validation."""
        with_validation = [epoch for epoch in self.epochs if "validation_recall" in epoch]
        if not with_validation:
            return None
        return int(max(with_validation, key=lambda epoch: (epoch["validation_recall"], epoch["epoch"]))["epoch"])

    @property
    def unfinished(self) -> bool:
        """Whether more epochs might have helped.

        With validation: whether the best epoch is the last one allowed. Without: whether the training loss fell by more
        than a hundredth in the last epoch.
        """
        if self.best_epoch is not None:
            return self.best_epoch == self.fields.get("epochs")
        losses = [epoch["loss"] for epoch in self.epochs if "loss" in epoch]
        return len(losses) > 1 and losses[-1] < 0.99 * losses[-2]


@dataclass(frozen=True, eq=False)
class OutsideResult(Result):
    """Ranks from outside in the form of a record; it is never stored, since how it was made is not known.

    `family` says how much the row varies between seeds: as networks trained by a softmax over all items ("softmax"), as
    models trained on pairs or samples ("sampled"), or not at all ("none"). By default only its own seeds tell.
    """

    family: str = ""
    file: str = ""  # its name, empty if the ranks came in a frame
    depth: int | None = None  # ranks are known down to this place; None: everywhere


def split_of_record(split: Split) -> dict[str, Any]:
    """What a record says about its split."""
    said = {"digest": split.digest, "n_items": split.test.n_items, "provenance": asdict(split.provenance)}
    return said if split.vocabulary is None else {**said, "vocabulary": vocabulary_digest(split.vocabulary)}


def store(result: Result, results: Path) -> None:
    """Write a record: the arrays first, then the .json, with which the record begins to exist.

    Raises:
        ModelError: a user's own model gives values that a record cannot hold; an earlier record is kept.
        InputError: the record cannot be written.
    """
    table, arrays = (result.experiment.file(results, ending) for ending in (".json", ".npz"))
    kept = {name: getattr(result, name).astype(np.int32) for name in ARRAYS}
    if result.attention is not None:
        kept |= {f"attention_{name}": getattr(result.attention, name) for name in ATTENTION}
    with replacing(arrays) as temporary:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **kept)
        raw = temporary.read_bytes()
        content = _content(result, hashlib.sha256(raw).hexdigest())
        try:
            record_shape.read_arrays(raw, content)
        except record_shape.Misshapen as error:  # such as attention beyond 16 bits
            raise ModelError(f"{result.experiment.model}: its run cannot be recorded ({error})") from error
        table.unlink(missing_ok=True)  # an old record ceases to exist before its arrays are replaced
    with replacing(table) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _content(result: Result, sha256: str) -> dict[str, Any]:
    """The .json of a record. Raises ModelError if the model put something into it that a record cannot hold."""
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
        "arrays_sha256": sha256,
    }
    try:
        content = json.loads(json.dumps(content, allow_nan=False))
        record_shape.check_table(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{result.experiment.model}: its run cannot be recorded ({error})") from error
    return {**content, DIGEST: record_shape.digest(content)}


class OtherData(InputError):
    """A record at the path of an experiment was made from other data of the same name."""


def load(experiment: Experiment, results: Path, split: str | None = None) -> Result | None:
    """Load the stored result at an experiment's path, whatever its identity; None if there is none.

    Args:
        split: the digest of the split at hand, if it is known.

    Raises:
        OtherData: the record is of another split.
        InputError: the record is broken, or of another schema or experiment; the message names the file.
    """
    table = experiment.file(results, ".json")
    if not is_regular(table):
        return None
    _, result = load_file(table)
    if split not in (None, result.split["digest"]):
        raise OtherData(
            f"{table}: made from other data called {experiment.dataset} (split {result.split['digest'][:8]}, not "
            f"{str(split)[:8]}); choose another --results DIR, or remove the record"
        )
    return result


def load_file(table: Path) -> tuple[dict[str, Any], Result]:
    """Load a record from its .json and the arrays beside it: the content of the .json, and the result.

    Raises:
        InputError: the record is broken, or of another schema or experiment; the message names the file.
    """
    arrays = table.with_suffix(".npz")
    with _naming(table):
        content = record_shape.read_json(table)
        schema = content.get("schema")
        if type(schema) is int and schema != SCHEMA:
            found = in_a_line(str(schema), 12)
            raise InputError(f"{table}: schema {found}, this suite reads schema {SCHEMA}; use the suite that wrote it")
        record_shape.check_table(content)
        experiment = Experiment(**content["experiment"])
        if table.parts[-3:] != Path(f"{experiment.path}.json").parts:
            raise InputError(f"{table}: is a record of {experiment.path}, not of its own name")
        raw = record_shape.read_whole(arrays)
        if hashlib.sha256(raw).hexdigest() != content["arrays_sha256"]:
            raise InputError(f"{arrays}: not the arrays that {table.name} was written for; run again with --force")
        kept = record_shape.read_arrays(raw, content)
    means, weights = content["attention"], None
    parts: dict[str, Any]
    if means is not None:
        parts = {name: kept[f"attention_{name}"] for name in ATTENTION}
        weights = Attention(**{**parts, "lengths": parts["lengths"].astype(np.int64)}, means=means)
    parts = {name: content[name] for name in ("identity", "fields", "split", "epochs", "environment")}
    parts |= {name: kept[name].astype(np.int64) for name in ARRAYS}
    return content, Result(experiment, **parts, attention=weights)


@contextmanager
def _naming(table: Path) -> Iterator[None]:
    """Name the record that cannot be read, and the remedy."""
    try:
        yield
    except Misshapen as error:
        raise InputError(f"{table}: broken record ({error}); run again with --force") from error
    except OSError as error:
        raise InputError(f"{table}: broken record ({error.strerror or error}); run again with --force") from error


def current(result: Result) -> bool:
    """Whether a record was made with the fields, values and, for a user's own model, source that its model has today.

    If the file of a user's own model was not named, there is nothing to compare with, and the record counts as current.
    """
    if result.environment.get("source") is not None and result.experiment.model not in catalog.recommenders():
        return True
    try:
        return result.experiment.identity(result.split["digest"]) == result.identity
    except UsageError:  # the suite has no such model or field any more
        return False
