"""A user's own data: a path is added to the catalogue for one command, as `<file name>-<digest of the split>`.

The digest in the name keeps apart two logs whose files have the same name, and one log read by different rules: their
records, kept models and pages never meet.

The path is a table of clicks, a folder of processed files, a .toml that says how to read a table, or a .py with
DATASETS.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from reproduce.errors import InputError, UsageError
from reproduce.reading import own_folder, own_log, processed
from reproduce.reading.own_log import Rules
from reproduce.reading.sessions import Split
from reproduce.reading.source import Dataset

NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9a-f]{8}")  # of a user's own data, with its digest
TABLES = (".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zip")
ENDINGS = (*TABLES, *PACKED, ".toml", ".py")
IN_TOML = {"file", "title", "columns", "gap", "time_unit", "test_days", "test_share", "min_support", "min_length"}
EXCLUSIVE = {"test_days": "test_share", "test_share": "test_days"}


@dataclass(frozen=True)
class Taken:
    """An added data set, with the path and the options that it was asked for by."""

    path: Path
    given: Mapping[str, Any]
    data: Path  # the data folder, which a .py may read from
    dataset: Dataset


TAKEN: dict[str, Taken] = {}  # the data sets added in this process, by name


def is_path(name: str, names: Container[str]) -> bool:
    """Return whether a word is the path of a user's own data.

    A name in the catalogue never is, even if a folder has the same name.
    """
    if name in names:
        return False
    return "/" in name or "\\" in name or Path(name).suffix.lower() in ENDINGS or Path(name).is_dir()


def adopt(path: Path, given: Mapping[str, Any], data: Path) -> Dataset:
    """Read data by its path and add it under its name.

    Args:
        given: options of own_log.Rules; they take precedence over those in a .toml.
        data: the data folder, which a .py may read from.

    Raises:
        InputError: there is no such file or folder, it is broken, or it is of an unknown kind.
        UsageError: an option is wrong or does not apply to it.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, and no data set has this name (python -m reproduce list)")
    stem = path.resolve().name if path.is_dir() else path.name
    while Path(stem).suffix.lower() in ENDINGS and Path(stem).stem:
        stem = Path(stem).stem
    source = _dataset(re.sub(r"[^A-Za-z0-9_-]+", "_", stem).lstrip("-") or "data", path, given)
    if source.obtain and not source.find(data):
        raise InputError(f"{path}: its files are not in {data}/; {source.obtain.format(data=data)}")
    split = source.read(data)
    name = f"{source.name}-{split.digest[:8]}"
    split = replace(split, name=name)
    found = replace(source, name=name, read=lambda data: split)
    TAKEN[name] = Taken(path, dict(given), data, found)
    return found


def stored(name: str) -> Dataset:
    """Return a stand-in for own data of which only records are at hand: it has a title and no files."""

    def read(data: Path) -> Split:
        raise InputError(f"{name}: {obtain}")

    title, obtain = name.rpartition("-")[0], "your own data; name its file, with the options that it was read with"
    return Dataset(name=name, title=title, find=lambda data: [], read=read, obtain=obtain)


def asked_for_as(name: str) -> str:
    """Return the words that ask for a data set on the command line: its name, or the path and options of own data.

    Of an absolute path only the last part is shown: pages are passed on, and the rest describes one machine.
    """
    if name not in TAKEN:
        return name
    taken = TAKEN[name]
    words = [taken.path.name if taken.path.is_absolute() else str(taken.path)]
    for key, value in taken.given.items():
        words += [f"--{key.replace('_', '-')}", *(value if isinstance(value, list) else [str(value)])]
    return shlex.join(words)


def word(name: str, absolute: bool) -> str:
    """Return the word that names a data set on the command line: own data by its path."""
    if name not in TAKEN:
        return name
    path = TAKEN[name].path
    return str(path.resolve() if absolute else path)


def _dataset(name: str, path: Path, given: Mapping[str, Any]) -> Dataset:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _folder(name, path, given)
    if suffix == ".toml":
        return _toml(name, path, given)
    if suffix == ".py":
        return _python(path, given)
    table = Path(path.stem).suffix.lower() if suffix in PACKED else suffix
    if table not in TABLES and suffix != ".zip":
        raise InputError(f"{path}: expected a .csv, .tsv or .parquet, also as .gz or .zip, a .toml, a .py or a folder")
    return _table(name, name, path, Rules.of(given))


def _table(name: str, title: str, file: Path, rules: Rules) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        find=lambda data: [file] if file.is_file() else [],
        read=partial(_read_table, name, file, rules),
        obtain=f"your own log: {file.name}",
    )


def _read_table(name: str, file: Path, rules: Rules, data: Path) -> Split:
    return own_log.read(name, file, rules)


def _folder(name: str, folder: Path, given: Mapping[str, Any]) -> Dataset:
    _no_rules(folder, given, "a folder of processed files is split already")
    if not processed.find(folder):
        raise InputError(f"{folder}: expected {processed.TRAIN} and {processed.TEST} in this folder")
    return Dataset(
        name=name,
        title=name,
        find=lambda data: processed.find(folder),
        read=partial(_read_folder, name, folder),
        obtain=f"your own processed files: {folder.name}/",
    )


def _read_folder(name: str, folder: Path, data: Path) -> Split:
    return own_folder.read(name, folder)


def _toml(name: str, path: Path, given: Mapping[str, Any]) -> Dataset:
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    if unknown := sorted(set(said) - IN_TOML):
        raise InputError(f"{path}: unknown key {unknown[0]}; there is: {', '.join(sorted(IN_TOML))}")
    if not isinstance(said.get("file"), str):
        raise InputError(f'{path}: expected file = "clicks.csv", the table that it is about')
    file = path.parent / said["file"]
    if not file.is_file():
        raise InputError(f"{file}: no such file, named by {path}")
    title = str(said.get("title", name)).partition("\n")[0]
    kept = {key: value for key, value in said.items() if EXCLUSIVE.get(key) not in given}
    rules = {**{key: value for key, value in kept.items() if key not in ("file", "title")}, **given}
    try:
        return _table(name, title, file, Rules.of(rules))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _python(path: Path, given: Mapping[str, Any]) -> Dataset:
    _no_rules(path, given, "a .py says itself how it is split")
    spec = importlib.util.spec_from_file_location(f"_own_data_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look up their module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's code may raise anything
        raise InputError(f"{path}: raised {type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
    found = getattr(module, "DATASETS", None)
    if not isinstance(found, tuple) or len(found) != 1 or not isinstance(found[0], Dataset):
        raise InputError(f"{path}: expected DATASETS, a tuple of one reproduce.reading.source.Dataset")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", found[0].name):
        raise InputError(f"{path}: a data set called {found[0].name!r}; use letters, digits, _ and -")
    return found[0]


def _no_rules(path: Path, given: Mapping[str, Any], why: str) -> None:
    if given:
        raise UsageError(f"{path}: --{next(iter(given)).replace('_', '-')}: {why}; take the option away")
