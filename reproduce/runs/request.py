"""Request: what a command asks for, as rows with their fields set, and the cells to run for them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.files import data_folder
from reproduce.paper.rows import Row
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OUTSIDE, Result
from reproduce.runs.runner import RunOptions


@dataclass(frozen=True)
class Request(RunOptions):
    """What the user asks of a command: data sets, models, seeds and how to run them."""

    datasets: Sequence[str]
    models: Sequence[str] = ()  # empty: the models of the page
    seeds: Sequence[int] = (0,)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # model -> field -> value
    jobs: int = 1  # cells at a time, each in a process of its own
    options: Mapping[str, Any] = field(default_factory=dict)  # options of the page itself
    failures: Mapping[str, str] = field(default_factory=dict)  # why cells failed, by the path of their experiment
    folder: str = ""  # of its pages, in the results folder; one's own data have one each
    digests: Mapping[str, str] = field(default_factory=dict)  # data set -> digest of its split, where it is at hand
    # data set -> label of a row from outside -> its seeds
    outside: Mapping[str, Mapping[str, Sequence[Result]]] = field(default_factory=dict)

    @property
    def page_folder(self) -> Path:
        return self.results / self.folder

    def rows(self, rows: Iterable[Row], extra: Iterable[Row] = ()) -> list[Row]:
        """Return a page's rows, or those of the requested models, with the fields that --set gives.

        Args:
            rows: the rows of the page.
            extra: rows that the page labels but runs only if their model is requested and has no other row.

        Raises:
            UsageError: a model is unknown, or --set names one that none of the rows has.
        """
        chosen = own = list(rows)
        if self.models:
            chosen, more = [], list(extra)
            for kind in map(catalog.recommender, self.models):
                chosen += (
                    [row for row in own if row.model == kind.name]
                    or [row for row in more if row.model == kind.name]
                    or [Row(kind.label, kind.name)]
                )
            chosen += [row for row in own if row.model.startswith(OUTSIDE)]
        for model in sorted(set(self.settings) - {row.model for row in chosen}):
            name = catalog.recommender(model).name
            raise UsageError(f"--set {name}.…: {name} is not among the models of this command")
        made: dict[str, Row] = {}
        for row in chosen:
            fields = self.settings.get(row.model, {})
            if fields and row.model in catalog.current().models:  # start from the defaults, whatever else was run
                row = Row(catalog.recommender(row.model).label, row.model)
            row = set_fields(row, fields)
            made.setdefault(str((row.label, row.model, row.fields, row.on)), row)
        return list(made.values())


def settings(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse and check MODEL.FIELD=VALUE texts, as model -> field -> value. Raises UsageError if one is wrong."""
    values: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, word = text.partition("=")
        model, dot, field = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"--set {text}: expected MODEL.FIELD=VALUE, such as narm.hidden=50")
        value = getattr(catalog.make_recommender(model, {field: word}), field)
        before = values.setdefault(model, {}).setdefault(field, value)
        if before != value:
            raise UsageError(f"--set {name}: both {before} and {value}; give it once")
    return values


def settings_of(model: str, texts: Iterable[str], role: str) -> dict[str, Any]:
    """Parse the settings of a command on one model, as field -> value. Raises UsageError if one is wrong."""
    values = settings(texts)
    for other in set(values) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model that {role}")
    return values.get(model, {})


def words(command: str, request: Request, *, absolute: bool = False) -> list[str]:
    """Return the words after `python -m reproduce` that request the same rows; folders and how to run are left out.

    Args:
        absolute: name files by their absolute paths, for a command that runs elsewhere.
    """
    line, here = [command], catalog.current()
    if request.datasets:
        named = [here.data_words(name, absolute=absolute) for name in request.datasets]
        options = next((words[1:] for words in named if words[1:]), [])  # one command has the same for all
        line += ["--dataset", *(words[0] for words in named), *options]
    if request.models:
        line += ["--model", *(here.model_word(name, absolute=absolute) for name in request.models)]
    line += set_words(request.settings)
    for key, value in request.options.items():
        values = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else []
        line += [f"--{key}", *map(str, values)] if value else []
    return line


def set_words(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return --set with its values; nothing if there are none."""
    values = [f"{model}.{key}={value}" for model, fields in settings.items() for key, value in fields.items()]
    return ["--set", *values] if values else []


def whole_command(command: str, request: Request, *more: str, absolute: bool = False) -> list[str]:
    """Return the words after `python -m reproduce` that request the same rows in the same way.

    Options at their defaults are left out, and so is --fresh.

    Args:
        absolute: as for `words`, with both folders always.
    """
    line = words(command, request, absolute=absolute)
    if tuple(request.seeds) != (0,):
        line += ["--seed", *map(str, request.seeds)]
    if request.device != "auto":
        line += ["--device", request.device]
    if request.deadline is not None:
        line += ["--minutes", f"{request.deadline.seconds / 60:g}"]
    line += [f"--{name.replace('_', '-')}" for name in ("force", "quiet", "keep_model") if getattr(request, name)]
    for option, folder, usual in (
        ("--data", request.data, data_folder()),
        ("--results", request.results, Path("results/local")),
    ):
        if absolute or folder != usual:
            line += [option, str(folder.resolve() if absolute else folder)]
    return [*line, *more]


def command_line(command: str, request: Request) -> str:
    """Return a whole command, ready to be pasted into a shell."""
    return f"python -m reproduce {shlex.join(whole_command(command, request))}"


def set_fields(row: Row, fields: Mapping[str, Any]) -> Row:
    """Return the row with more fields set on every data set; its label names the fields whose values changed.

    The row of a user's own model that is known only from its records is returned unchanged.
    """
    if row.model not in catalog.recommenders() and not fields:
        return row
    made: list[dict[str, Any]] = []
    new: dict[str, Any] = {}
    for its_own in (row.fields, *row.on.values()):
        before = catalog.resolved(catalog.make_recommender(row.model, its_own))
        model = catalog.make_recommender(row.model, {**its_own, **fields})
        new |= {key: value for key, value in catalog.resolved(model).items() if before[key] != value}
        made.append(catalog.changed(model))
    return Row(_label(row.label, new), row.model, made[0], dict(zip(row.on, made[1:], strict=True)))


def recorded(label: str, model: str, fields: Mapping[str, Any]) -> Row:
    """The row of a user's own model known only from its records, with its fields in the label as in `set_fields`."""
    return Row(_label(label, fields), model, fields)


def _label(label: str, fields: Mapping[str, Any]) -> str:
    return f"{label} ({', '.join(f'{key}={value}' for key, value in sorted(fields.items()))})" if fields else label


def same(row: Row, other: Row) -> bool:
    """Whether two rows are the same model with the same fields, including those at their defaults."""
    whole, its = set_fields(row, {}), set_fields(other, {})
    return (whole.model, whole.fields, whole.on) == (its.model, its.fields, its.on)


def cells(request: Request, rows: Iterable[Row]) -> list[Experiment]:
    """Every combination of data set, row and seed, in the order of a page and without duplicates."""
    every = product(request.datasets, list(rows), request.seeds)
    made = (Experiment.of(dataset, row.model, row.at(dataset).fields, seed) for dataset, row, seed in every)
    return list({cell.path: cell for cell in made}.values())


def digests(datasets: Iterable[str], data: Path, *, recorded: Iterable[str] = ()) -> dict[str, str]:
    """The digest of the split of every data set whose files are in the data folder.

    Args:
        recorded: data sets that have records. If none is named, theirs are used, as far as their files can be read.
    """
    found, named = {}, list(dict.fromkeys(datasets))
    for name in named or recorded:
        if not (dataset := catalog.dataset(name)).obtain or dataset.find(data):
            with nullcontext() if named else suppress(InputError):
                found[name] = catalog.load_split(name, data).digest
    return found
