"""merge: brings the records of several machines into one results folder, after checking all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reproduce.errors import InputError
from reproduce.files import only_one, replacing
from reproduce.runs.experiment import Experiment
from reproduce.runs.kept_model import ENDING, fault, is_kept
from reproduce.runs.record import Result, load_file


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
        whole = set(here)
        for table in here:
            result = load_file(table)[1]
            cause = result.experiment
            for other in (cause.file(results, ".json"), tables.setdefault(cause.path, table)):
                _check_same(other, table, result)
            whole.add(cause.file(folder, ".npz"))
            model = cause.file(folder, ENDING)
            if model.is_file() and not fault(model, result):
                models.setdefault(cause.path, model)
                whole.add(model)
        done.skipped.extend(file for file in sorted((folder / "runs").glob("*/*")) if file not in whole)
    for path, table in tables.items():
        _bring(table, models.get(path), results, done)
    return done


def _bring(table: Path, model: Path | None, results: Path, done: Merged) -> None:
    """Copy a record to its place: the arrays first, since a record exists as soon as its .json does; and its model."""
    result = load_file(table)[1]
    cause: Experiment = result.experiment
    here, model_here = cause.file(results, ".json"), cause.file(results, ENDING)
    with only_one(cause.file(results, ".lock")):
        if here.is_file():
            _check_same(here, table, result)
            done.kept.append(cause.path)
        else:
            _copy(cause.file(table.parents[2], ".npz"), cause.file(results, ".npz"))
            _copy(table, here)
            done.brought.append(cause.path)
        if model is not None and not is_kept(cause, results, result):
            _copy(model, model_here)
            done.models.append(cause.path)


def _check_same(file: Path, other: Path, result: Result) -> None:
    """Raise InputError if a record that is there already is not the same as another, whose result is given."""
    if file == other or not file.is_file():
        return
    first = load_file(file)[1]
    if first.identity != result.identity:
        raise InputError(
            f"{file} and {other}: one experiment, and not one run: other data, fields or source; remove the one that "
            "is not wanted"
        )
    if not first.same_ranks(result):
        raise InputError(
            f"{file} and {other}: the same run with different ranks; compare their circumstances and remove one"
        )


def _copy(source: Path, place: Path) -> None:
    with replacing(place) as temporary:
        temporary.write_bytes(source.read_bytes())
