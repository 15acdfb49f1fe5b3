"""A user's own data: a path joins the catalogue for one command, as `<file name>-<digest of the split>`.

The digest in the name keeps apart two logs whose files have the same name, and one log read by different rules: their
records, kept models and pages never meet.

The path is a table of clicks, a folder of processed files, a .toml that says how to read a table, or a .py with
DATASETS.
"""

from __future__ import annotations

import re
import runpy
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from reproduce import own_process
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.files import exists
from reproduce.reading import content, own_log, processed
from reproduce.reading.own_log import OPTIONS, Rules
from reproduce.reading.sessions import Split, count
from reproduce.reading.source import Dataset
from reproduce.reading.table import ENDINGS as TABLES

NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9a-f]{8}")  # of a user's own data, with its digest
ENDINGS = (*TABLES, ".snappy", *content.PACKED, *content.UNREADABLE, ".toml", ".py")
IN_TOML = {"file", "title", *OPTIONS}
TESTS = {"test", "test_days", "test_share"}  # of these an option on the command line replaces one in a .toml


@dataclass(frozen=True)
class OwnData:
    """A user's own data set, with the path and the options that name it."""

    path: Path
    given: Mapping[str, Any]
    data: Path  # the data folder, which a .py may read from
    dataset: Dataset

    def words(self, *, absolute: bool = False) -> list[str]:
        """Return the path and the options as words of a command; absolute paths for one that runs elsewhere."""
        words = [str(self.path.resolve() if absolute else self.path)]
        for key, value in self.given.items():
            if key == "test" and absolute:
                value = Path(value).resolve()
            words += [f"--{key.replace('_', '-')}", *(value if isinstance(value, list) else [str(value)])]
        return words


def is_path(name: str, names: Container[str]) -> bool:
    """Return whether a word is the path of a user's own data.

    A name in the catalogue never is, even if a folder has the same name.
    """
    if not name or name in names:
        return False
    return bool(re.search(r"[/\\*?.]", name)) or exists(Path(name))


def read(path: Path, given: Mapping[str, Any], data: Path) -> OwnData:
    """Read data by its path.

    Args:
        given: options of own_log.Rules; they take precedence over those in a .toml.
        data: the data folder, which a .py may read from.

    Raises:
        InputError: there is no such file or folder, it is broken, or it is of an unknown kind.
        UsageError: an option is wrong or does not apply to it.
    """
    if not path.exists() and not re.search("[*?]", path.name):
        raise InputError(f"{path}: no such file or folder, and no data set has this name (python -m reproduce list)")
    stem = path.resolve().name if path.is_dir() else path.name
    while Path(stem).suffix.lower() in ENDINGS and Path(stem).stem:
        stem = Path(stem).stem
    name = title = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).lstrip("-")
    if not re.search("[A-Za-z0-9]", name):  # of a script that is not Latin
        name = title = "data"
    if path.suffix.lower() == ".toml":
        title, split = _toml(name, path, given)
    elif path.suffix.lower() == ".py":
        _no_rules(path, given, "a .py says itself how it is split")
        try:
            name, title, split = own_process.call(path, _python, data)
        except ModelError as error:
            raise InputError(f"{path}: {error}") from error
    elif processed.find(path):
        _no_rules(path, given, "a folder of processed files is split already")
        split = processed.own_split(name, path)
    else:
        split = own_log.read(name, path, Rules.of(given))
    name = f"{name}-{split.digest[:8]}"
    split = replace(split, name=name)
    dataset = Dataset(name, title, find=partial(_known, [path]), read=partial(_known, split), obtain="")
    return OwnData(path, dict(given), data, dataset)


def stored(name: str) -> Dataset:
    """Return a stand-in for own data of which only records are at hand: it has a title and no files."""
    title, obtain = name.rpartition("-")[0], "your own data; name its file, with the options that it was read with"
    return Dataset(name, title, find=partial(_known, []), read=partial(_absent, f"{name}: {obtain}"), obtain=obtain)


def _known(answer: Any, data: Path) -> Any:
    return answer


def _absent(why: str, data: Path) -> Split:
    raise InputError(why)


def _toml(name: str, path: Path, given: Mapping[str, Any]) -> tuple[str, Split]:
    """Return the title and the split of the log that a .toml describes."""
    try:
        keys = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits too
        raise InputError(f"{path}: not TOML: {error}") from error
    if unknown := sorted(set(keys) - IN_TOML):
        raise InputError(f"{path}: unknown key {unknown[0]}; available: {', '.join(sorted(IN_TOML))}")
    file, title = keys.pop("file", None), str(keys.pop("title", name)).partition("\n")[0]
    if not isinstance(file, str):
        raise InputError(f'{path}: expected file = "clicks.csv", the table that it is about')
    if isinstance(keys.get("test"), str):
        keys["test"] = str(path.parent / keys["test"])
    if TESTS & set(given):
        keys = {key: value for key, value in keys.items() if key not in TESTS}
    try:
        return title, own_log.read(name, path.parent / file, Rules.of({**keys, **given}))
    except (InputError, UsageError) as error:
        raise type(error)(f"{path}: {error}") from error


def _python(path: Path, data: Path) -> tuple[str, str, Split]:
    """Return the name, the title and the split of the data set that a .py offers."""
    offered = runpy.run_path(str(path), run_name="own_data").get("DATASETS")
    if not isinstance(offered, tuple) or len(offered) != 1 or not isinstance(offered[0], Dataset):
        raise InputError(f"{path}: expected DATASETS, a tuple of one reproduce.reading.source.Dataset")
    source = offered[0]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", source.name):
        raise InputError(f"{path}: a data set called {source.name!r}; use letters, digits, _ and -")
    if source.obtain and not source.find(data):
        raise InputError(f"{path}: its files are not in {data}/; {source.obtain.format(data=data)}")
    if not isinstance(split := source.read(data), Split):
        raise InputError(f"{path}: its read returned a {type(split).__name__}, expected a Split")
    origin = split.provenance
    counts = {**count(split.train, split.test), **origin.counts}
    return source.name, str(source.title), replace(split, provenance=replace(origin, counts=counts))


def _no_rules(path: Path, given: Mapping[str, Any], why: str) -> None:
    if given:
        raise UsageError(f"{path}: --{next(iter(given)).replace('_', '-')}: {why}; take the option away")
