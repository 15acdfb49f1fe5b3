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

from reproduce import catalog
from reproduce.fitting import user_model
from reproduce.fitting.recommender import Recommender

SCHEMA = 1  # of a record


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
        fields = catalog.identifying(self.recommender())
        return identity(split_digest, self.model, fields, self.seed, user_model.source(self.model))


def identity(split_digest: str, model: str, fields: Mapping[str, Any], seed: int, source: str | None) -> str:
    """A sha256 of a run's cause. `source`: of an own model, the sha256 of its file."""
    cause = {"schema": SCHEMA, "split": split_digest, "model": model, "fields": dict(fields), "seed": seed}
    if source is not None:
        cause["source"] = source
    return hashlib.sha256(json.dumps(cause, sort_keys=True).encode()).hexdigest()
