"""What a search came to, as a results folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.fitting import user_model
from reproduce.paper import controls, rows
from reproduce.paper.rows import Row
from reproduce.runs import request
from reproduce.runs.record_shape import read_table
from reproduce.runs.request import recorded
from reproduce.runs.search import Trial


@dataclass(frozen=True)
class Found:
    """What a stored search came to."""

    model: str
    fixed: Mapping[str, Any]
    fields: Mapping[str, Any]  # of the best trial and those fixed, as far as they differ from the model's defaults
    trials: int
    scored_on: str
    defaults: Trial
    best: Trial
    label: str = ""  # of one's own model

    @property
    def base(self) -> Row:
        """The row that was searched: a page's own where the fixed fields are its fields."""
        if self.model not in catalog.recommenders():
            return recorded(self.label, self.model, self.fixed)
        fixed = request.set_fields(Row(catalog.recommender(self.model).label, self.model), self.fixed)
        return next((row for row in (*rows.ROWS, *controls.ROWS) if request.same(row, fixed)), fixed)

    @property
    def row(self) -> Row:
        """The row with the fields found; its label says them."""
        if self.model not in catalog.recommenders():
            return recorded(self.label, self.model, self.fields)
        return request.set_fields(self.base, self.fields)

    @property
    def better(self) -> bool:
        """Whether other fields than the defaults were found."""
        return not request.same(self.base, self.row)


def found(results: Path, dataset: str) -> list[Found]:
    """The searches on a data set that a results folder keeps, by model.

    Raises:
        InputError: a summary is broken, or names a model or field that there is not.
    """
    searches = []
    for file in sorted((results / "search" / dataset).glob("*.json")):
        try:
            kept = read_table(file)
            best = Trial(**kept["best"])
            first, trials, scored_on = Trial(**kept["defaults"]), len(kept["trials"]), kept["scored_on"]
            fields = _changed(kept, first, best)
            if not all(map(_plausible, (first, best))) or type(scored_on) is not str or not scored_on.isprintable():
                raise ValueError("trials that cannot be")
            label = user_model.sound_label(kept.get("label")) or str(kept["model"])
            searches.append(Found(kept["model"], kept["fixed"], fields, trials, scored_on, first, best, label))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            told = f"{type(error).__name__}: {str(error)[:200]}"
            raise InputError(f"{file}: not what a search of today stores ({told}); search again") from error
    return searches


def _changed(kept: Mapping[str, Any], first: Trial, best: Trial) -> dict[str, Any]:
    """The fields found that are not at their defaults; of an own model whose file was not named, as the search says.

    Raises UsageError: a field is not there today.
    """
    model, fixed = kept["model"], kept["fixed"]
    if model not in catalog.recommenders():
        tried = {key: value for key, value in best.fields.items() if first.fields[key] != value}
        return dict(sorted({**fixed, **tried}.items()))
    return catalog.changed(catalog.make_recommender(model, {**fixed, **best.fields}))


def _plausible(trial: Trial) -> bool:
    values = (trial.recall, trial.mrr)
    return all(value is None or (type(value) in (int, float) and 0.0 <= value <= 100.0) for value in values)
