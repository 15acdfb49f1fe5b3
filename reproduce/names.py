"""The names of models, their fields and data sets, read from the text of their files without importing them.

Importing the models takes seconds, because they import torch. This way `list` and the error for a mistyped name need
not wait. The catalogue has the same models and data sets as objects, and a test checks that the two agree.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import reproduce
from reproduce import source_text
from reproduce.errors import UsageError

OWN_DATA = re.compile("[A-Za-z0-9_][A-Za-z0-9_-]*-[0-9a-f]{8}")  # the name of a user's own data, with its digest
ROOT = "Recommender"  # the class that every model is a subclass of
OWN = {"model": ", and your own by its file: mine.py", "data set": ", and your own by its path: clicks.csv"}


@dataclass(frozen=True)
class Field:
    """A hyper-parameter of a model, as `setting` declares it."""

    name: str
    default: Any
    choices: tuple[Any, ...] = ()
    search: Any = None
    note: str = ""


@dataclass(frozen=True)
class Model:
    name: str
    label: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Source:
    """A data set; `download` as in reproduce.reading.source.Dataset."""

    name: str
    title: str
    download: bool


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is one of `names`; otherwise raise UsageError with the nearest of them."""
    names = sorted(names)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        own = OWN.get(what, "")
        if own and Path(f"{name}.py").is_file():
            near.insert(0, f"{name}.py")
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"unknown {what} {name!r}; {hint}there is: {', '.join(names) or 'none'}{own}")
    return name


def models() -> dict[str, Model]:
    """Every model of the suite by name, in the order of the catalogue."""
    return {one.name: one for file in _files("baselines") for one in _models(file)}


def datasets() -> dict[str, Source]:
    """Every data set by name, in the order of the catalogue."""
    return {one.name: one for file in _files("datasets") for one in _sources(file)}


def _files(room: str) -> list[Path]:
    folders = importlib.import_module(f"{reproduce.__name__}.{room}").__path__
    files = [Path(folder) / f"{one.name}.py" for folder in folders for one in pkgutil.iter_modules([folder])]
    return sorted(files, key=lambda file: file.name)  # the order of the catalogue


# --- models -----------------------------------------------------------------------------------------------------------


def _models(file: Path) -> Iterator[Model]:
    for name in sorted(source_text.classes(file)):
        lineage = _lineage(file, name)
        words = {key: text for key in ("name", "label") if isinstance(text := _text(lineage, key), str)}
        if lineage[-1][1].name == ROOT and len(words) == 2:
            yield Model(words["name"], words["label"], tuple(_fields(lineage)))


Lineage = Sequence[tuple[Path, ast.ClassDef]]


def _lineage(file: Path, name: str) -> Lineage:
    """A class and its ancestors within the suite, itself first; of several bases only the first is followed."""
    node = source_text.classes(file).get(name)
    if node is None:
        module, name = source_text.imported(file).get(name, ("", ""))
        if module == reproduce.__name__:  # imported from the package itself, which loads it lazily
            module = reproduce._WHERE.get(name, "")
        path = _path(module)
        return _lineage(path, name) if path else []
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    above = [line for base in bases if (line := _lineage(file, base))]
    return [(file, node), *(above[0] if above else [])]


@lru_cache
def _path(module: str) -> Path | None:
    """The file of a module in reproduce/, where bases and types of models are defined; None for any other module."""
    if not module.startswith(f"{reproduce.__name__}."):
        return None
    path = Path(reproduce.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return path if path.is_file() else None


def _text(lineage: Lineage, key: str) -> Any:
    """The value of an annotated class attribute, own or inherited; None if there is none."""
    for file, node in lineage:
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id == key:
                return source_text.evaluate(file, one.value) if one.value else None
    return None


def _fields(lineage: Lineage) -> list[Field]:
    """The fields of a model in the order of dataclasses: the base's first; a redeclared field keeps its place."""
    found: dict[str, Field] = {}
    for file, node in reversed(lineage):
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(one.value, ast.Call):
                call = one.value
                if isinstance(call.func, ast.Name) and call.func.id == "setting":
                    found[one.target.id] = _field(file, one.target.id, one.annotation, call)
    return list(found.values())


def _field(file: Path, name: str, annotation: ast.expr, call: ast.Call) -> Field:
    words = {one.arg: source_text.evaluate(file, one.value) for one in call.keywords if one.arg in ("search", "note")}
    (default,) = [source_text.evaluate(file, one) for one in _arguments(call, "default")]
    return Field(name, default, _choices(file, annotation), **words)


def _choices(file: Path, annotation: ast.expr) -> tuple[Any, ...]:
    """The choices of a Literal type, which may be an alias defined in this file or imported from another."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        value = source_text.evaluate(file, annotation.slice)
        return value if isinstance(value, tuple) else (value,)
    if isinstance(annotation, ast.Name):
        if annotation.id in source_text.assigned(file):
            return _choices(file, source_text.assigned(file)[annotation.id])
        module, name = source_text.imported(file).get(annotation.id, ("", ""))
        path = _path(module)
        if path and name in source_text.assigned(path):
            return _choices(path, source_text.assigned(path)[name])
    return ()


def _arguments(call: ast.Call, *names: str) -> list[ast.expr]:
    """The first arguments of a call, whether positional or by keyword."""
    by_name = {one.arg: one.value for one in call.keywords}
    return [call.args[i] if i < len(call.args) else by_name[name] for i, name in enumerate(names)]


# --- data sets --------------------------------------------------------------------------------------------------------


def _sources(file: Path) -> Iterator[Source]:
    """The data sets in DATASETS: each is a call whose first arguments are, by place or keyword, name and title."""
    table = source_text.assigned(file)["DATASETS"]
    for one in table.elts if isinstance(table, ast.Tuple) else [table]:
        if not isinstance(one, ast.Call):
            raise source_text.unreadable(file, one, "DATASETS must be a tuple of calls with a name and a title")
        name, title = (source_text.evaluate(file, value) for value in _arguments(one, "name", "title"))
        words = {word.arg: word.value for word in one.keywords}
        yield Source(name, title, "download" in words)


# --- checking ---------------------------------------------------------------------------------------------------------


def check(what: str, word: str, own: Iterable[str] = ()) -> None:
    """Raise UsageError if a word of the command line names nothing that exists.

    The catalogue checks words that name a file, and the model checks the value of a setting.

    Args:
        what: "model", "data set", "log to fetch" or "setting" (MODEL.FIELD=VALUE).
        own: the names of the user's own models, whose fields are not known here.
    """
    if what == "setting":
        name, _, _ = word.partition("=")
        model, dot, field = name.partition(".")
        if dot and "=" in word and model not in own:
            fields = models()[known("model", model, models())].fields
            known(f"field of {model}", field, (one.name for one in fields))
    elif (
        "/" not in word
        and "." not in word
        and not (what == "data set" and (Path(word).is_dir() or OWN_DATA.fullmatch(word)))
    ):
        known(what, word, NAMES[what]())


NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "model": models,
    "data set": datasets,
    "log to fetch": lambda: [one.name for one in datasets().values() if one.download],
}
