"""The cells of a page as one list: what is asked for, what is stored, and the running of the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import ModelError, UsageError
from reproduce.experiment import Experiment, check_writable, choose_device, current, load, run
from reproduce.paper import Row
from reproduce.sessions import Split


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
    force: bool = False
    fresh: bool = False
    quiet: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # a page's own

    def rows(self, rows: Iterable[Row], extra: Iterable[Row] = ()) -> list[Row]:
        """A page's rows, or those of the models asked for, with the fields that --set gives.

        `extra`: rows a page knows by label but does not run unless their model is asked for.
        """
        chosen = list(rows)
        if self.models:
            known = [*chosen, *extra]
            chosen = []
            for model in self.models:
                found = [row for row in known if row.model == model]
                kind = catalog.recommender(model)
                chosen += found or [Row(kind.label, kind.name)]
        chosen = [row for row in chosen if row.model in catalog.recommenders()]
        unused = set(self.settings) - {row.model for row in chosen}
        if unused:
            known_model = catalog.recommender(sorted(unused)[0]).name
            raise UsageError(f"--set {known_model}.…: {known_model} is not among the models of this command")
        return [set_fields(row, self.settings.get(row.model, {})) for row in chosen]


def settings(words: Iterable[str]) -> dict[str, dict[str, str]]:
    """MODEL.FIELD=VALUE words, checked, as model -> field -> text. Raises UsageError."""
    found: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        model, dot, field = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"--set {word}: expected MODEL.FIELD=VALUE, such as narm.hidden=50")
        catalog.make_recommender(model, {field: value})
        found.setdefault(model, {})[field] = value
    return found


def set_fields(row: Row, fields: Mapping[str, Any]) -> Row:
    """The row with more fields set; its label says which."""
    changed = catalog.changed(catalog.make_recommender(row.model, {**row.fields, **fields}))
    before = catalog.changed(catalog.make_recommender(row.model, row.fields))
    told = ", ".join(f"{key}={value}" for key, value in changed.items() if before.get(key) != value)
    return Row(f"{row.label} ({told})" if told else row.label, row.model, changed)


def cells(request: Request, rows: Iterable[Row]) -> list[Experiment]:
    """Every data set with every row and seed, in the order of a page, each once."""
    made = [
        Experiment.of(dataset, row.model, row.fields, seed)
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


def run_cells(request: Request, experiments: Sequence[Experiment]) -> dict[str, str]:
    """Run what is not stored, one after the other; a cell that fails does not stop the others.

    Returns:
        Why each failed cell failed, by the experiment's path.
    """
    check_writable(request.results)
    choose_device(request.device)
    failed = {}
    split: Split | None = None
    for i, one in enumerate(experiments, 1):
        if split is None or split.name != one.dataset:
            split = catalog.load_split(one.dataset, request.data)
        if not request.quiet:
            print(f"[{i}/{len(experiments)}] {one.path.removeprefix('runs/')}", file=sys.stderr, flush=True)
        try:
            run(
                one,
                data=request.data,
                results=request.results,
                device=request.device,
                force=request.force,
                fresh=request.fresh,
                quiet=request.quiet,
                split=split,
            )
        except ModelError as error:
            failed[one.path] = str(error)
            print(f"{one.path.removeprefix('runs/')}: {error}", file=sys.stderr, flush=True)
    return failed
