"""The catalogue of data sets and models: finds those in datasets/ and baselines/ by name; errors list the names.

A user's own models and data join the `Catalog` of one command, by path.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import reproduce
from reproduce import own_process
from reproduce.errors import InputError, UsageError, in_a_line, known
from reproduce.fitting import user_model
from reproduce.fitting.recommender import UNKNOWN, Recommender
from reproduce.fitting.user_model import OwnModel
from reproduce.reading import held_out, own_data, own_log, split_cache
from reproduce.reading.own_data import OwnData
from reproduce.reading.sessions import Split
from reproduce.reading.source import Dataset


@dataclass(frozen=True)
class Catalog:
    """The user's own models and data that a command knows beside the suite's, by name."""

    models: dict[str, OwnModel] = field(default_factory=dict)
    data: dict[str, OwnData] = field(default_factory=dict)

    def only(self, models: Sequence[str], data: Sequence[str]) -> Catalog:
        """Return a catalogue with those of the named models and data that are in this one."""
        return Catalog(
            {name: own for name, own in self.models.items() if name in models},
            {name: own for name, own in self.data.items() if name in data},
        )

    def model_word(self, name: str, *, absolute: bool = False) -> str:
        """Return how a model is named on the command line: an own model by its file."""
        if name not in self.models:
            return name
        file = self.models[name].file
        return str(file.resolve() if absolute else file)

    def data_words(self, name: str, *, absolute: bool = False) -> list[str]:
        """Return how a data set is named on the command line: own data by path and options."""
        return self.data[name].words(absolute=absolute) if name in self.data else [name]

    def source(self, model: str) -> str | None:
        """Return the sha256 of the source of an own model; None for the suite's models."""
        return self.models[model].sha256 if model in self.models else None


_current: ContextVar[Catalog] = ContextVar("catalog", default=Catalog())  # noqa: B039, filled by name


def current() -> Catalog:
    """Return the catalogue of the command that is carried out."""
    return _current.get()


@contextmanager
def using(catalog: Catalog) -> Iterator[Catalog]:
    """Carry out the body with another catalogue."""
    before = _current.set(catalog)
    try:
        yield catalog
    finally:
        _current.reset(before)


def datasets() -> dict[str, Dataset]:
    """Every data set by name, in the order of the files in datasets/, then the user's own data named by path."""
    return {**_datasets(), **{name: own.dataset for name, own in current().data.items()}}


def recommenders() -> dict[str, type[Recommender]]:
    """Every model by name, in the order of the files in baselines/, then the user's own models named by file."""
    return {**_recommenders(), **{name: own.kind for name, own in current().models.items()}}


@lru_cache
def _datasets() -> dict[str, Dataset]:
    return {source.name: source for module in _modules("datasets") for source in module.DATASETS}


@lru_cache
def _recommenders() -> dict[str, type[Recommender]]:
    return {
        kind.name: kind
        for module in _modules("baselines")
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Recommender) and kind.__module__ == module.__name__
        if not inspect.isabstract(kind)
    }


def _modules(room: str) -> list[ModuleType]:
    package = importlib.import_module(f"{reproduce.__name__}.{room}")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def dataset(name: str, given: Mapping[str, Any] | None = None, data: Path | str = "data") -> Dataset:
    """Return a data set by its name, or by the path of a user's own data.

    A user's own data is read, and joins the catalogue under a name made of its file name and its split's digest. By
    that name alone it has no files, only records.

    Args:
        given: how a user's own log is read and split; see reading.own_log.Rules.
        data: the data folder, which own data in a .py may read from.

    Raises:
        UsageError: there is no data set of that name; the message gives the nearest names.
        InputError: there is no such file.
    """
    try:
        if own_data.is_path(name, datasets()):
            own = own_data.read(Path(name), given or {}, Path(data))
            current().data[own.dataset.name] = own
            return own.dataset
    except OSError as error:  # a path that is too long, or may not be entered
        raise InputError(f"{in_a_line(name)}: cannot be read ({error.strerror or error})") from error
    if name.endswith(held_out.SUFFIX):
        whole = dataset(name.removesuffix(held_out.SUFFIX), given, data)

        def read(data: Path) -> Split:
            return held_out.hold_out(load_split(whole.name, data))

        return dataclasses.replace(whole, name=name, title=f"{whole.title}, held-out training sessions", read=read)
    if name not in datasets() and own_data.NAME.fullmatch(name):
        return own_data.stored(name)
    return datasets()[known("data set", name, datasets())]


def recommender(name: str, *, load: bool = True) -> type[Recommender]:
    """Return a model class by its name, or by the path of a .py file with a user's own model.

    A user's own model is named after its file.

    Args:
        load: run such a file in this process; otherwise the class is a stand-in, see fitting/user_model.py.

    Raises:
        UsageError: there is no model of that name; the message gives the nearest names.
        InputError: there is no such file.
    """
    if name.endswith(".py"):
        file, name = Path(name), Path(name).stem
        if name in _recommenders():
            raise UsageError(f"{file}: the suite has a model called {name}; rename the file")
        current().models[name] = user_model.read(file, current().models.get(name), load=load)
    return recommenders()[known("model", name, recommenders())]


def in_its_process(model: str, work: Callable[..., Any], *args: Any) -> Any:
    """Return `work(*args)`, which uses a model: in a process of its own if the model is the user's own."""
    own = current().models.get(model)
    if own is None or not own.stands_in:
        return work(*args)
    return own_process.call(own.file, with_model, work, *args)


def with_model(file: Path | None, work: Callable[..., Any], *args: Any) -> Any:
    """Return `work(*args)` in a process that was started for it, after loading the file of a user's model, if any."""
    if file is not None:
        recommender(str(file))
    return work(*args)


def load_split(
    source: Any,
    data: Path | str = "data",
    *,
    session: str = "",
    item: str = "",
    time: str = "",
    user: str = "",
    rules: Mapping[str, Any] | None = None,
) -> Split:
    """Load a data set from a data folder, or split a log of one's own. A large split is cached, see split_cache.py.

    Args:
        source: the name of a data set, the path of a log, or its clicks in a data frame of pandas or polars.
        data: the data folder.
        session, item, time, user: the columns of a log; by default they are recognised by their usual names.
        rules: how the log is read and split, such as {"test_days": 7}; see reading.own_log.Rules.

    Raises:
        UsageError: there is no such data set, or a column or a rule is wrong.
        InputError: its files are broken, or absent; then the message says which files to put where.
    """
    given, named = dict(rules or {}), {"session": session, "item": item, "time": time, "user": user}
    if columns := [f"{role}={column}" for role, column in named.items() if column]:
        before = given.get("columns") or []
        if isinstance(before, Mapping):
            before = [f"{role}={name}" for role, name in before.items()]
        given["columns"] = [*([before] if isinstance(before, str) else before), *columns]
    if not isinstance(source, str | Path):
        split = own_log.read("frame", source, own_log.Rules.of(given))
        return dataclasses.replace(split, name=f"frame-{split.digest[:8]}")
    data_set, folder = dataset(str(source), given, data), Path(data)
    name = data_set.name
    if given and name not in current().data:
        raise UsageError(f"{source}: {', '.join(given)} are for a log of your own")
    if data_set.obtain and not data_set.find(folder):
        raise InputError(f"{name}: not found in {folder}/: {data_set.obtain.format(data=folder)}")
    cached = name not in current().data and not name.endswith(held_out.SUFFIX)
    split = split_cache.split(data_set, folder) if cached else data_set.read(folder)
    for part, sessions in (("training", split.train), ("test", split.test)):
        if not (sessions.lengths > 1).any():
            raise InputError(f"{name}: no {part} session is left by the paper's rules; is the log in {folder}/ whole?")
    return split


def make_recommender(name: str, fields: Mapping[str, Any] | None = None) -> Recommender:
    """Create a model with some of its fields set. Values may be text, as on the command line.

    Raises:
        UsageError: the model or a field is unknown, or a value has the wrong type or is out of range.
    """
    kind = recommender(name)
    declared = {field.name: field.metadata for field in _fields(kind)}
    types = _types(kind)
    values = {}
    for key, value in (fields or {}).items():
        known(f"field of {name}", key, declared)
        values[key] = _value(f"{name}.{key}", value, types[key], declared[key])
    return kind(**values)


@lru_cache
def _types(kind: type[Recommender]) -> dict[str, Any]:
    """The types of a model's fields, cached because `get_type_hints` evaluates every annotation at each call."""
    return get_type_hints(kind)


def _fields(model: Recommender | type[Recommender]) -> Sequence[dataclasses.Field[Any]]:
    return dataclasses.fields(model)  # type: ignore[arg-type]  # every subclass is a dataclass


def resolved(model: Recommender) -> dict[str, Any]:
    """All fields of a model and their values."""
    return {field.name: getattr(model, field.name) for field in _fields(model)}


def identifying(model: Recommender) -> dict[str, Any]:
    """The fields that make up a run's identity: all except those at their `before` value; see `setting`."""
    before = {field.name: field.metadata.get("before", UNKNOWN) for field in _fields(model)}
    return {key: value for key, value in resolved(model).items() if value != before[key]}


def changed(model: Recommender) -> dict[str, Any]:
    """The fields that differ from their defaults, in alphabetical order."""
    defaults = {field.name: field.default for field in _fields(model)}
    return {key: value for key, value in sorted(resolved(model).items()) if value != defaults[key]}


def named_datasets(names: Sequence[str], rules: Mapping[str, Any], data: Path) -> list[str]:
    """Return the names of the data sets that a command names, as names or paths; see `dataset`.

    Raises UsageError too if options for a user's own log are given without one.
    """
    if rules and not any(own_data.is_path(name, datasets()) for name in names):
        flag = f"--{next(iter(rules)).replace('_', '-')}"
        raise UsageError(f"{flag} is for a log of your own; name it with --dataset PATH")
    return [dataset(name, rules, data).name for name in names]


def _value(name: str, value: Any, kind: Any, bounds: Mapping[str, Any]) -> Any:
    """Convert the value of a field, which may be text. Raises UsageError if it is of another type or out of range."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if value in choices:
            return value
        near = difflib.get_close_matches(str(value), map(str, choices), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{name}={value}: {hint}available: {', '.join(map(str, choices))}")
    try:
        number = {"true": True, "false": False}[str(value).lower()] if kind is bool else kind(value)
        if kind is int and isinstance(value, float) and value != number:
            raise ValueError(value)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        expected = "true or false" if kind is bool else f"of type {kind.__name__}"
        raise UsageError(f"{name}={value}: not {expected}") from error
    low, high = bounds.get("low"), bounds.get("high")
    spans = {f"at least {low}": low is None or number >= low, f"at most {high}": high is None or number <= high}
    if not all(spans.values()):  # NaN is not inside
        raise UsageError(f"{name}={value}: must be {' and '.join(span for span in spans if 'None' not in span)}")
    return number
