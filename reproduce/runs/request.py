"""Request: what a command asks for. Rows with fields set, and the cells that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting import user_model
from reproduce.paper.rows import Row
from reproduce.runs.deadline import Deadline
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import current, load


@dataclass(frozen=True)
class Request:
    """What a command was asked for, by whichever page."""

    datasets: Sequence[str]
    data: Path
    results: Path
    models: Sequence[str] = ()  # empty: the page's own
    seeds: Sequence[int] = (0,)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # model -> field -> text
    device: str = "auto"
    jobs: int = 1  # cells at a time, a process each
    force: bool = False
    fresh: bool = False
    quiet: bool = False
    keep_model: bool = False
    deadline: Deadline | None = None  # when to stop, between two epochs
    options: Mapping[str, Any] = field(default_factory=dict)  # a page's own

    def rows(self, rows: Iterable[Row], extra: Iterable[Row] = ()) -> list[Row]:
        """A page's rows, or those of the models asked for, with the fields that --set gives.

        `extra`: rows a page knows by label but runs only where their model is asked for and it has no other row.
        """
        chosen = list(rows)
        if self.models:
            own, more = chosen, list(extra)
            chosen = []
            for model in self.models:
                kind = catalog.recommender(model)
                found = ([row for row in some if row.model == model] for some in (own, more))
                chosen += next(filter(None, found), [Row(kind.label, kind.name)])
        unused = set(self.settings) - {row.model for row in chosen}
        if unused:
            known_model = catalog.recommender(sorted(unused)[0]).name
            raise UsageError(f"--set {known_model}.…: {known_model} is not among the models of this command")
        made: dict[str, Row] = {}
        for row in chosen:
            fields = self.settings.get(row.model, {})
            if fields and row.model in user_model.MODELS:  # what is asked for, whatever else was run
                row = Row(catalog.recommender(row.model).label, row.model)
            row = set_fields(row, fields)
            made.setdefault(str((row.label, row.model, row.fields, row.on)), row)
        return list(made.values())


def settings(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """MODEL.FIELD=VALUE words, checked, as model -> field -> text. Raises UsageError."""
    found: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        model, dot, field = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"--set {word}: expected MODEL.FIELD=VALUE, such as narm.hidden=50")
        catalog.make_recommender(model, {field: value})
        before = found.setdefault(model, {}).setdefault(field, value)
        if before != value:
            raise UsageError(f"--set {name}: both {before} and {value}; give it once")
    return found


def set_fields(row: Row, fields: Mapping[str, Any]) -> Row:
    """The row with more fields set, on every data set; its label says which of them it did not have before.

    A row of an own model that is known by its records alone stays as it is.
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
    told = ", ".join(f"{key}={new[key]}" for key in sorted(new))
    on = dict(zip(row.on, made[1:], strict=True))
    return Row(f"{row.label} ({told})" if told else row.label, row.model, made[0], on)


def recorded(label: str, model: str, fields: Mapping[str, Any]) -> Row:
    """The row of an own model that is known by its records alone, its settings in the label as by `set_fields`."""
    told = ", ".join(f"{key}={value}" for key, value in sorted(fields.items()))
    return Row(f"{label} ({told})" if told else label, model, fields)


def same(row: Row, other: Row) -> bool:
    """Whether two rows are one model with the same fields, those left at their defaults included."""
    if row.model != other.model:
        return False
    one, two = set_fields(row, {}), set_fields(other, {})
    return (one.fields, one.on) == (two.fields, two.on)


def cells(request: Request, rows: Iterable[Row]) -> list[Experiment]:
    """Every data set with every row and seed, in the order of a page, each once."""
    made = [
        Experiment.of(dataset, row.model, row.at(dataset).fields, seed)
        for dataset in request.datasets
        for row in rows
        for seed in request.seeds
    ]
    return list({one.path: one for one in made}.values())


def state(experiment: Experiment, results: Path) -> str:
    """stored, outdated, begun or missing: of a cell, without reading its data set."""
    result = load(experiment, results)
    if result is not None:
        return "stored" if current(result) else "outdated"
    return "begun" if (results / f"{experiment.path}.checkpoint").exists() else "missing"
