"""merge: brings the records of several machines into one results folder, after checking all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reproduce.errors import InputError
from reproduce.files import only_one, replacing
from reproduce.runs.kept_model import ENDING, fault, is_kept, read
from reproduce.runs.record import Result, load_file


def merge(folders: Sequence[Path], results: Path) -> list[str]:
    """Bring the records of several results folders into one; return what was done, in a line for each file.

    Every record is compared with the one that is there already: first all of them, so that nothing is brought in if
    something is wrong, and again under the run's lock, since a run may have ended in between.

    Raises:
        InputError: a folder holds no record, a record or a kept model is broken, or two records of one experiment
            differ in their ranks or in the cause of the run (data, fields, source). The message names the files.
    """
    models: dict[Path, Path | None] = {}  # the .json of every record in the folders, and its kept model
    first: dict[str, Path] = {}  # path of an experiment -> its first record in the folders
    left: list[str] = []
    for folder in folders:
        files = sorted((folder / "runs").glob("*/*"))
        tables = [file for file in files if file.suffix == ".json"]
        if not tables:
            raise InputError(
                f"{folder}: holds no records (runs/<data set>/<model>-seed<k>.json); name a results folder"
            )
        for table in tables:
            result, model = load_file(table)[1], table.with_suffix(ENDING)
            path = result.experiment.path
            for other in (results / f"{path}.json", first.setdefault(path, table)):
                _check_same(other, table, result)
            sound = model.is_file() and not fault(read(model), result.identity, result.split)
            models[table] = model if sound else None
        whole = {file for table in tables for file in (table, table.with_suffix(".npz"), models[table])}
        left += [f"{file}: left behind, part of no whole run" for file in files if file not in whole]
    return [line for table, model in models.items() for line in _bring(table, model, results)] + left


def _bring(table: Path, model: Path | None, results: Path) -> Iterator[str]:
    """Copy a record to its place: the arrays first, since a record exists as soon as its .json does; and its model."""
    result = load_file(table)[1]
    here, name = results / f"{result.experiment.path}.json", result.experiment.path.removeprefix("runs/")
    with only_one(here.with_suffix(".lock")):
        if here.is_file():
            _check_same(here, table, result)
            yield f"{name}: there already, with equal ranks"
        else:
            for ending in (".npz", ".json"):
                _copy(table.with_suffix(ending), here.with_suffix(ending))
            yield f"{name}: brought in"
        if model is not None and not is_kept(here.with_suffix(ENDING), result):
            _copy(model, here.with_suffix(ENDING))
            yield f"{name}: its fitted model brought in"


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
