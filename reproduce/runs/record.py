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
from typing import TYPE_CHECKING, Any

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError, ModelError
from reproduce.evaluation import ranking
from reproduce.files import replacing
from reproduce.fitting import user_model
from reproduce.fitting.attention import Attention
from reproduce.runs import record_shape
from reproduce.runs.experiment import SCHEMA, Experiment

if TYPE_CHECKING:
    import pandas as pd

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

    def frame(self) -> pd.DataFrame:
        """A line for every test prefix: session, length, greater, equal and rank, where a tie counts as ahead."""
        import pandas as pd  # takes a second, and no page needs it

        return pd.DataFrame({name: getattr(self, name) for name in ARRAYS} | {"rank": self.ranks()})

    @property
    def best_epoch(self) -> int | None:
        """The epoch that was kept: best validation Recall@20, a later tie wins."""
        with_validation = [one for one in self.epochs if "validation_recall" in one]
        if not with_validation:
            return None
        return int(max(with_validation, key=lambda one: (one["validation_recall"], one["epoch"]))["epoch"])


def store(result: Result, results: Path) -> None:
    """Write a record: the arrays first, then the .json that makes it one.

    Raises:
        ModelError: an own model's fields or epochs are no plain values; what was stored before stands.
        InputError: it cannot be written.
    """
    place = results / result.experiment.path
    table, arrays = place.with_name(place.name + ".json"), place.with_name(place.name + ".npz")
    with replacing(arrays) as temporary:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **_arrays(result))  # type: ignore[arg-type]
        sha = hashlib.sha256(temporary.read_bytes()).hexdigest()
        content = _content(result, sha)
        table.unlink(missing_ok=True)  # a record that is replaced is gone before its arrays are
    with replacing(table) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _content(result: Result, sha256: str) -> dict[str, Any]:
    """The .json of a record. Raises ModelError where the model left in it what no record holds."""
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
    name = result.experiment.model
    try:
        content = json.loads(json.dumps(content))
        record_shape.check_table(content)
    except (TypeError, ValueError, RecursionError) as error:
        told = error if isinstance(error, record_shape.Misshapen) else "fields or epochs hold what JSON cannot"
        raise ModelError(f"{name}: its run cannot be recorded: {told}") from error
    return {**content, record_shape.DIGEST: record_shape.digest(content)}


def _arrays(result: Result) -> dict[str, np.ndarray]:
    arrays = {name: getattr(result, name).astype(np.int32) for name in ARRAYS}
    if result.attention is not None:
        arrays |= {f"attention_{name}": getattr(result.attention, name) for name in ATTENTION}
    return arrays


def load(experiment: Experiment, results: Path) -> Result | None:
    """The stored result at an experiment's path, whatever its identity; None where there is none.

    Raises:
        InputError: the record is broken, of another schema or of another experiment; it names the file.
    """
    table = results / f"{experiment.path}.json"
    try:
        if not table.is_file():
            return None
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror or error})") from error
    found, result = load_file(table)
    if found["experiment"] != json.loads(json.dumps(asdict(experiment))):
        raise InputError(f"{table}: is a record of {result.experiment.path}, not of its own name")
    return result


def load_file(table: Path) -> tuple[dict[str, Any], Result]:
    """What a record's .json says, and the result it is of; the arrays lie beside it.

    Raises:
        InputError: the record is broken or of another schema; it names the file.
    """
    arrays = table.with_name(table.name.removesuffix(".json") + ".npz")
    try:
        content = record_shape.read_table(table)
        record_shape.check_table(content)
        raw = record_shape.read_whole(arrays)
        if hashlib.sha256(raw).hexdigest() != content["arrays_sha256"]:
            raise InputError(f"{arrays}: not the arrays that {table.name} was written for; run again with --force")
        return content, _result(Experiment(**content["experiment"]), content, raw)
    except record_shape.OtherSchema as error:
        raise InputError(f"{table}: {error}") from error
    except record_shape.Misshapen as error:
        raise InputError(f"{table}: broken record ({error}); run again with --force") from error
    except OSError as error:
        raise InputError(f"{table}: broken record ({error.strerror or error}); run again with --force") from error


def _result(experiment: Experiment, content: Mapping[str, Any], raw: bytes) -> Result:
    """From a .json whose shape is right and the bytes of its arrays. Raises Misshapen where these do not fit."""
    means = content["attention"]
    attended = () if means is None else tuple(f"attention_{name}" for name in ATTENTION)
    kept = record_shape.read_arrays(raw, (*ARRAYS, *attended))
    record_shape.check_arrays(content, kept)
    weights = None
    if means is not None:
        record_shape.check_attention(means, kept)
        parts = {name: kept[f"attention_{name}"] for name in ATTENTION}
        weights = Attention(**{**parts, "lengths": parts["lengths"].astype(np.int64)}, means=means)
    return Result(
        experiment=experiment,
        identity=content["identity"],
        fields=content["fields"],
        split=content["split"],
        epochs=content["epochs"],
        environment=content["environment"],
        **{name: kept[name].astype(np.int64) for name in ARRAYS},
        attention=weights,
    )


def current(result: Result) -> bool:
    """Whether a record was made with the fields, values and (of an own model) source that its model has today.

    An own model whose file was not named has no today: its record stands as it is.
    """
    source, name = result.environment.get("source"), result.experiment.model
    if source is not None and name not in catalog.recommenders():
        return True
    if source != user_model.source(name):
        return False
    fields = catalog.identifying(result.experiment.recommender())
    return json.loads(json.dumps(fields)) == dict(result.fields)
