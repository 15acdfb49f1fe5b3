"""merge: brings the records of several machines into one results folder, after checking all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.files import only_one, replacing
from reproduce.runs import kept_model
from reproduce.runs.environment import check_writable
from reproduce.runs.record import ARRAYS, Result, load_file


@dataclass(frozen=True)
class Found:
    """A record in some folder."""

    table: Path  # its .json; the arrays are beside it
    result: Result
    model: Path | None  # the fitted model of this run, if --keep-model kept it

    def file(self, ending: str) -> Path:
        return _file(self.table.with_name(self.table.name.removesuffix(".json")), ending)


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    brought: list[str]  # paths of experiments
    kept: list[str]  # paths of records that were there already, with equal ranks
    models: list[str]  # paths of either kind whose fitted model was brought in


def merge(folders: Sequence[Path], results: Path) -> Merged:
    """Bring the records of several results folders into one.

    Raises:
        InputError: a folder holds no record, a record or a kept model is broken, or two records of one experiment
            differ in their ranks or in the cause of the run (data, fields, source). The message names the files, and
            nothing is brought in.
    """
    found: dict[str, Found] = {}
    models: dict[str, Path] = {}
    brought, kept = [], []
    for folder in folders:
        for one in _records(folder):
            path = one.result.experiment.path
            here = found.get(path) or _at(results / f"{path}.json")
            if one.model and not (here and here.model):
                models.setdefault(path, one.model)
            if here is None:
                brought.append(path)
                found[path] = one
                continue
            _check_same(here, one)
            if path not in found:
                kept.append(path)
                found[path] = here
    check_writable(results)
    for path in brought:
        _bring(found[path], results / path)
    for path, model in models.items():
        _copy(model, _file(results / path, kept_model.ENDING))
    return Merged(brought, kept, list(models))


def _records(folder: Path) -> list[Found]:
    """The records of a folder, sorted by name. Raises InputError if there is none, or one is broken or misnamed."""
    tables = sorted((folder / "runs").glob("*/*.json"))
    if not tables:
        raise InputError(f"{folder}: holds no records (runs/<data set>/<model>-seed<k>.json); name a results folder")
    return [one for one in map(_at, tables) if one is not None]


def _at(table: Path) -> Found | None:
    if not table.is_file():
        return None
    _, result = load_file(table)
    named = table.parts[-3:] == Path(f"{result.experiment.path}.json").parts
    if not named:
        raise InputError(f"{table}: is a record of {result.experiment.path}, not of its own name")
    found = Found(table, result, None)
    model = found.file(kept_model.ENDING)
    of_this_run = model.is_file() and kept_model.identity_of(model) == result.identity
    return replace(found, model=model if of_this_run else None)


def _check_same(one: Found, other: Found) -> None:
    both = f"{one.table} and {other.table}"
    if one.result.identity != other.result.identity:
        raise InputError(
            f"{both}: one experiment, and not one run: other data, fields or source; remove the one that is not wanted"
        )
    for name in ARRAYS:
        if not np.array_equal(getattr(one.result, name), getattr(other.result, name)):
            raise InputError(f"{both}: the same run with different ranks; compare their circumstances and remove one")


def _bring(found: Found, place: Path) -> None:
    """Copy a record to its place: the arrays first, since a record exists as soon as its .json does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with only_one(_file(place, ".lock")):
        for ending in (".npz", ".json"):
            _copy(found.file(ending), _file(place, ending))


def _copy(source: Path, place: Path) -> None:
    with replacing(place) as temporary:
        temporary.write_bytes(source.read_bytes())


def _file(place: Path, ending: str) -> Path:
    """The file of a run with some ending; with_suffix could cut the run's name, which may contain dots."""
    return place.with_name(place.name + ending)
