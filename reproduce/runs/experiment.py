"""Experiment: the cause of a result, with the path and the identity of its record.

The identity is a digest of the split, the model, all its fields, the seed and the schema. Two runs with the same
identity are the same run, so a stored record is used again. Result is in record.py, run() in runner.py.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reproduce import catalog
from reproduce.errors import UsageError, in_a_line
from reproduce.fitting.recommender import Recommender

SCHEMA = 1  # of a record
MAX_SEED = 2**32 - 1  # the largest seed that every source of random numbers accepts
LONGEST_NAME = 180  # bytes; with a seed and an ending it stays below the 255 that file systems allow


@dataclass(frozen=True)
class Experiment:
    """The cause of a result, identified by its path; `params` are the fields that differ from their defaults."""

    dataset: str
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, dataset: str, model: str, fields: Mapping[str, Any] | None = None, seed: int = 0) -> Experiment:
        """Create an experiment from checked names, fields and seed; only fields not at their defaults are kept, sorted.

        Raises:
            UsageError: there is no such data set, model or field, or a value or the seed is out of range.
            InputError: `dataset` or `model` is the path of a user's own file, which cannot be read.
        """
        source = catalog.dataset(dataset).name  # `dataset` may be the path of a user's own data
        seed = check_seed(seed)
        name = catalog.recommender(model).name  # `model` may be the path of a user's file
        return cls(source, name, catalog.changed(catalog.make_recommender(model, fields)), seed)

    @property
    def path(self) -> str:
        """The path of the record in a results folder, without the ending."""
        return f"runs/{self.dataset}/{file_name(self.model, self.params)}-seed{self.seed}"

    def file(self, results: Path, ending: str) -> Path:
        """A file of the run in a results folder: .json and .npz of its record, .checkpoint, .lock or .model."""
        return results / f"{self.path}{ending}"

    def recommender(self) -> Recommender:
        return catalog.make_recommender(self.model, self.params)

    def identity(self, split_digest: str) -> str:
        """A sha256 that is equal for two runs if and only if they are the same run."""
        fields = catalog.identifying(self.recommender())
        return identity(split_digest, self.model, fields, self.seed, catalog.current().source(self.model))


def check_seed(seed: Any) -> int:
    """Return a seed as an int. Raises UsageError for one that some source of random numbers does not accept."""
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= MAX_SEED:
        raise UsageError(f"seed {in_a_line(str(seed), 30)}: must be a whole number from 0 to {MAX_SEED:,}")
    return number


def file_name(model: str, fields: Mapping[str, Any]) -> str:
    """A model and some of its fields as part of a file name, quoted so that no value makes a folder or a pattern.

    A name that is too long for the file system is cut and ends in a digest of the whole; the record has the fields.
    """
    name = model + "".join(f",{key}={quote(str(value), safe='+')}" for key, value in sorted(fields.items()))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def identity(split_digest: str, model: str, fields: Mapping[str, Any], seed: int, source: str | None) -> str:
    """A sha256 of a run's cause. `source` is the sha256 of the file of a user's own model, None otherwise."""
    cause = {"schema": SCHEMA, "split": split_digest, "model": model, "fields": dict(fields), "seed": seed}
    if source is not None:
        cause["source"] = source
    return hashlib.sha256(json.dumps(cause, sort_keys=True).encode()).hexdigest()
