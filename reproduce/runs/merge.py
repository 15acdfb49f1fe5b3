"""merge: brings the records of several machines into one results folder, after checking all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.files import only_one, replacing
from reproduce.runs import kept_model
from reproduce.runs.environment import check_writable
from reproduce.runs.record import Result, load_file
from reproduce.runs.record_shape import ARRAYS


@dataclass(frozen=True)
class Merged:
    """What a merge did: paths of experiments, and files."""

    brought: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # there already, with equal ranks
    models: list[str] = field(default_factory=list)  # of either kind, whose fitted model was brought in
    skipped: list[Path] = field(default_factory=list)  # files that belong to no whole record, or to another run

    def __str__(self) -> str:
        words = {"brought in": self.brought, "there already, with equal ranks": self.kept}
        words["its fitted model brought in"] = self.models
        lines = [f"{path.removeprefix('runs/')}: {done}" for done, paths in words.items() for path in paths]
        return "\n".join([*lines, *(f"{file}: left behind, part of no whole run" for file in self.skipped)])


def merge(folders: Sequence[Path], results: Path) -> Merged:
    """Bring the records of several results folders into one.

    Every record is compared with the one that is there already: first all of them, so that nothing is brought in if
    something is wrong, and again under the run's lock, since a run may have ended in between.

    Raises:
        InputError: a folder holds no record, a record or a kept model is broken, or two records of one experiment
            differ in their ranks or in the cause of the run (data, fields, source). The message names the files.
    """
    done = Merged()
    records: dict[str, list[Path]] = {}  # experiment -> its records in the folders
    for folder in folders:
        for table in _records(folder, done.skipped):
            result = _load(table)
            path = result.experiment.path
            for other in [_file(results / path, ".json"), *records.get(path, [])[:1]]:
                if other.is_file():
                    _check_same(other, _load(other), table, result)
            records.setdefault(path, []).append(table)
    models = {path: _models(tables, done.skipped) for path, tables in records.items()}
    check_writable(results)
    for path, tables in records.items():
        _bring(path, tables[0], models[path], results / path, done)
    return done


def _bring(path: str, table: Path, models: Sequence[Path], place: Path, done: Merged) -> None:
    """Copy a record to its place: the arrays first, since a record exists as soon as its .json does; and its model."""
    here, model = _file(place, ".json"), _file(place, kept_model.ENDING)
    with only_one(_file(place, ".lock")):
        if here.is_file():
            _check_same(here, _load(here), table, _load(table))
            done.kept.append(path)
        else:
            for ending in (".npz", ".json"):
                _copy(_file(table.with_suffix(""), ending), _file(place, ending))
            done.brought.append(path)
        if models and not (model.is_file() and kept_model.fault(model, _load(here)) == ""):
            _copy(models[0], model)
            done.models.append(path)


def _records(folder: Path, skipped: list[Path]) -> list[Path]:
    """The records of a folder by name; files without a record are skipped. Raises InputError if there is none."""
    tables = sorted((folder / "runs").glob("*/*.json"))
    if not tables:
        raise InputError(f"{folder}: holds no records (runs/<data set>/<model>-seed<k>.json); name a results folder")
    whole = {
        _file(table.with_suffix(""), ending) for table in tables for ending in (".json", ".npz", kept_model.ENDING)
    }
    skipped += [file for file in sorted((folder / "runs").glob("*/*")) if file not in whole]
    return tables


def _models(tables: Sequence[Path], skipped: list[Path]) -> list[Path]:
    """The kept models beside some records; those of another run than their record are skipped."""
    models: list[Path] = []
    for table in tables:
        model = _file(table.with_suffix(""), kept_model.ENDING)
        if model.is_file():
            (skipped if kept_model.fault(model, _load(table)) else models).append(model)
    return models


def _load(table: Path) -> Result:
    result = load_file(table)[1]
    if table.parts[-3:] != Path(f"{result.experiment.path}.json").parts:
        raise InputError(f"{table}: is a record of {result.experiment.path}, not of its own name")
    return result


def _check_same(file: Path, first: Result, other: Path, second: Result) -> None:
    both = f"{file} and {other}"
    if first.identity != second.identity:
        raise InputError(
            f"{both}: one experiment, and not one run: other data, fields or source; remove the one that is not wanted"
        )
    for name in ARRAYS:
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise InputError(f"{both}: the same run with different ranks; compare their circumstances and remove one")


def _copy(source: Path, place: Path) -> None:
    with replacing(place) as temporary:
        temporary.write_bytes(source.read_bytes())


def _file(place: Path, ending: str) -> Path:
    """The file of a run with some ending; with_suffix could cut the run's name, which may contain dots."""
    return place.with_name(place.name + ending)
