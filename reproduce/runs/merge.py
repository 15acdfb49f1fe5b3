"""merge: brings the records of several machines into one results folder, after checking all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.files import only_one, replacing
from reproduce.runs.environment import check_writable
from reproduce.runs.kept_model import ENDING, fault
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
    tables: dict[str, Path] = {}  # path of an experiment -> its first record in the folders
    models: dict[str, Path] = {}
    for folder in folders:
        here = sorted((folder / "runs").glob("*/*.json"))
        if not here:
            raise InputError(
                f"{folder}: holds no records (runs/<data set>/<model>-seed<k>.json); name a results folder"
            )
        whole = set[Path]()
        for table in here:
            result = _load(table)
            path, arrays, model = (
                result.experiment.path,
                *(result.experiment.file(folder, ending) for ending in (".npz", ENDING)),
            )
            for other in (result.experiment.file(results, ".json"), tables.setdefault(path, table)):
                if other.is_file():
                    _check_same(other, table)
            whole |= {table, arrays}
            if model.is_file() and not fault(model, result):
                models.setdefault(path, model)
                whole.add(model)
        done.skipped.extend(file for file in sorted((folder / "runs").glob("*/*")) if file not in whole)
    check_writable(results)
    for path, table in tables.items():
        _bring(path, table, models.get(path), results, done)
    return done


def _bring(path: str, table: Path, model: Path | None, results: Path, done: Merged) -> None:
    """Copy a record to its place: the arrays first, since a record exists as soon as its .json does; and its model."""
    place = _load(table).experiment
    here, here_too = place.file(results, ".json"), place.file(results, ENDING)
    with only_one(place.file(results, ".lock")):
        if here.is_file():
            _check_same(here, table)
            done.kept.append(path)
        else:
            _copy(place.file(table.parents[2], ".npz"), place.file(results, ".npz"))
            _copy(table, here)
            done.brought.append(path)
        if model is not None and not (here_too.is_file() and not fault(here_too, _load(here))):
            _copy(model, here_too)
            done.models.append(path)


def _load(table: Path) -> Result:
    result = load_file(table)[1]
    if table.parts[-3:] != Path(f"{result.experiment.path}.json").parts:
        raise InputError(f"{table}: is a record of {result.experiment.path}, not of its own name")
    return result


def _check_same(file: Path, other: Path) -> None:
    first, second = _load(file), _load(other)
    if first.identity != second.identity:
        raise InputError(
            f"{file} and {other}: one experiment, and not one run: other data, fields or source; remove the one that "
            "is not wanted"
        )
    if any(not np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS):
        raise InputError(
            f"{file} and {other}: the same run with different ranks; compare their circumstances and remove one"
        )


def _copy(source: Path, place: Path) -> None:
    with replacing(place) as temporary:
        temporary.write_bytes(source.read_bytes())
