"""Experiment (the cause), Result (the effect), run(): done once, stored once.

A record is two files: the rank counts in an .npz, and a .json that names the cause, the effect and the circumstances.
The .json is written last and carries the .npz's sha256, so a record exists when its .json does. A record's identity
is a digest of the split, the model, all its fields, the seed and the schema: same identity, same run, used again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting import user_model
from reproduce.fitting.recommender import Recommender

SCHEMA = 1  # of a record
MAX_SEED = 2**32 - 1  # what every source of random numbers takes
LONGEST_NAME = 180  # bytes; with a seed and an ending under the 255 that file systems take


@dataclass(frozen=True)
class Experiment:
    """The cause of a result. Its path is its name; `params` are the fields that differ from their defaults."""

    dataset: str
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, dataset: str, model: str, fields: Mapping[str, Any] | None = None, seed: int = 0) -> Experiment:
        """Checks the names and the seed; brings the fields into their one form: those not at their defaults, in order.

        Raises:
            UsageError: there is no such data set, model or field, a value is out of its range, or the seed is.
        """
        source = catalog.dataset(dataset).name  # `dataset` may be the path of a user's own data
        check_seed(seed)
        name = catalog.recommender(model).name  # `model` may be the path of a user's file
        return cls(source, name, catalog.changed(catalog.make_recommender(model, fields)), seed)

    @property
    def path(self) -> str:
        """Where its record lies in a results folder, without the ending."""
        return f"runs/{self.dataset}/{file_name(self.model, self.params)}-seed{self.seed}"

    def recommender(self) -> Recommender:
        return catalog.make_recommender(self.model, self.params)

    def identity(self, split_digest: str) -> str:
        """What makes two runs the same run, as a sha256."""
        fields = catalog.identifying(self.recommender())
        return identity(split_digest, self.model, fields, self.seed, user_model.source(self.model))


def check_seed(seed: int) -> None:
    """Raises UsageError for a seed that not every source of random numbers takes."""
    if not 0 <= seed <= MAX_SEED:
        told = f"{seed:,}" if abs(seed) < 10**20 else "a number of more than 20 digits"
        raise UsageError(f"seed {told}: must be from 0 to {MAX_SEED:,}")


def file_name(model: str, fields: Mapping[str, Any]) -> str:
    """A model and some of its fields as part of a file's name, no folder and no pattern whatever the values are.

    A name that is too long for the file system ends in a digest of itself: the fields are in the record.
    """
    name = model + "".join(f",{key}={quote(str(value), safe='+')}" for key, value in sorted(fields.items()))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def identity(split_digest: str, model: str, fields: Mapping[str, Any], seed: int, source: str | None) -> str:
    """A sha256 of a run's cause. `source`: of an own model, the sha256 of its file."""
    cause = {"schema": SCHEMA, "split": split_digest, "model": model, "fields": dict(fields), "seed": seed}
    if source is not None:
        cause["source"] = source
    return hashlib.sha256(json.dumps(cause, sort_keys=True).encode()).hexdigest()
