"""The records in a results folder, each with the experiment that its .json names; the arrays are not read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reproduce.errors import InputError
from reproduce.fitting import user_model
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import read_table


@dataclass(frozen=True)
class OwnModel:
    """What a record says about the user's own model that made it, so that it can be shown without the model's file."""

    source: str  # sha256 of its file
    label: str  # as in a table; in records from before labels were stored, the name
    started: str  # when the run started, as text that sorts by time


@dataclass(frozen=True)
class Listed:
    """A record's .json: the experiment that it names, or what is wrong with the file."""

    file: Path
    experiment: Experiment | None
    fault: str = ""
    own: OwnModel | None = None  # for a user's own model only
    split: str = ""  # the digest of its split


def listed(results: Path, dataset: str) -> list[Listed]:
    """The records on a data set, sorted by file name. A file is read again only if it has changed."""
    found = []
    for file in sorted((results / "runs" / dataset).glob("*.json")):
        try:
            found.append(_read(file, file.stat().st_mtime_ns, file.stat().st_size))
        except (InputError, OSError) as error:
            found.append(Listed(file, None, str(error).partition(": ")[2]))
    return found


@lru_cache(maxsize=1 << 14)
def _read(file: Path, modified: int, size: int) -> Listed:
    """Read a record's .json; `modified` and `size` tell the cache of a changed file."""
    content, experiment = read_table(file)
    where, own = content["environment"], None
    if "source" in where:
        label, started = (str(where.get(key) or "") for key in ("label", "started"))
        own = OwnModel(where["source"], user_model.sound_label(label) or experiment.model, started)
    return Listed(file, experiment, own=own, split=content["split"]["digest"])
