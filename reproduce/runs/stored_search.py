"""The outcomes of searches stored in a results folder, and which of them can be compared with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.fitting import user_model
from reproduce.paper import controls, rows
from reproduce.paper.rows import Row
from reproduce.runs import request
from reproduce.runs.record_shape import read_json
from reproduce.runs.request import recorded
from reproduce.runs.trials import Protocol, Refit, Trial


@dataclass(frozen=True)
class Found:
    """The outcome of a stored search. Searches by the first protocol do not name it and have no refits."""

    model: str
    fixed: Mapping[str, Any]
    fields: Mapping[str, Any]  # those of the best trial and the fixed ones, if not at the model's defaults
    trials: int
    scored_on: str
    defaults: Trial
    best: Trial
    protocol: Protocol = Protocol(1, 0, None, 0, 0)
    refits: Sequence[Refit] = ()
    label: str = ""  # of a user's own model
    split: str = ""  # the digest of the data set's split; older searches do not say it

    @property
    def base(self) -> Row:
        """The row that was searched; a page's own row if that has exactly the fixed fields."""
        if self.model not in catalog.recommenders():
            return recorded(self.label, self.model, self.fixed)
        fixed = request.set_fields(Row(catalog.recommender(self.model).label, self.model), self.fixed)
        return next((row for row in (*rows.ROWS, *controls.ROWS) if request.same(row, fixed)), fixed)

    @property
    def row(self) -> Row:
        """The row with the fields that were found, which its label names."""
        if self.model not in catalog.recommenders():
            return recorded(self.label, self.model, self.fields)
        return request.set_fields(self.base, self.fields)

    @property
    def better(self) -> bool:
        """Whether the fields that were found differ from those of the row that was searched."""
        return not request.same(self.base, self.row)

    @property
    def reached(self) -> tuple[float, float]:
        """Recall@20 and MRR@20 of the best settings on the held-out sessions: of the refits, if any, or the trial."""
        anew = [(refit.recall, refit.mrr) for refit in self.refits if refit.fields == self.best.fields]
        return anew[0] if anew else (self.best.recall or 0.0, self.best.mrr or 0.0)


def found(results: Path, dataset: str) -> list[Found]:
    """The searches on a data set that are stored in a results folder, sorted by file name.

    Raises:
        InputError: a summary is broken, or names a field or value that its model does not have.
    """
    searches = []
    for file in sorted((results / "search" / dataset).glob("*.json")):
        try:
            searches.append(_read(read_json(file)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            why = f"{type(error).__name__}: {str(error)[:200]}"
            raise InputError(f"{file}: not what a search of today stores ({why}); search again") from error
    return searches


def by_protocol(searches: Iterable[Found]) -> dict[Protocol, list[Found]]:
    """Group searches by protocol and budget, each row once; only searches in one group can be compared.

    A row may have several searches, with different seeds, or because one fixes a field at the row's value and another
    searches it. Of these, the one with the best score on the held-out sessions is kept.
    """
    groups: dict[Protocol, list[Found]] = {}
    for search in searches:
        group = groups.setdefault(search.protocol, [])
        rival = next((other for other in group if request.same(other.base, search.base)), None)
        if rival is None:
            group.append(search)
        elif search.reached > rival.reached:
            group[group.index(rival)] = search
    return groups


def compared(searches: Iterable[Found], wanted: Sequence[Row]) -> list[Found]:
    """Return one search for each of the wanted rows, in their order, all with the same protocol and budget.

    The list is empty if no protocol has a search for every row; then the rows may not be compared as tuned. Of several
    protocols, the one with the latest version is taken, then with the most trials, then with the most epochs.
    """

    def rank(protocol: Protocol) -> tuple[float, ...]:
        return protocol.version, protocol.trials, protocol.trial_epochs or float("inf")

    groups = by_protocol(searches)
    for protocol in sorted(groups, key=rank, reverse=True):
        chosen = [
            next((search for search in groups[protocol] if request.same(search.base, row)), None) for row in wanted
        ]
        if None not in chosen:
            return [search for search in chosen if search is not None]
    return []


def _read(kept: dict[str, Any]) -> Found:
    """Make a search from its summary. Raises ValueError, KeyError, TypeError or UsageError if it is not valid."""
    best, first = Trial(**kept["best"]), Trial(**kept["defaults"])
    fields = _changed(kept, first, best)
    tried, scored_on = kept["trials"], kept["scored_on"]
    if "protocol" in kept:
        protocol = Protocol(**kept["protocol"])
        refits = [Refit(**refit) for refit in kept["refits"]]
    else:  # from before there was a protocol: repeated draws counted as trials, and are left out here
        different = {str(sorted(trial.get("fields", {}).items())) for trial in tried}
        protocol, refits = Protocol(1, len(different), None, 0, 0), []
    if not all(map(_plausible, (first, best))) or type(scored_on) is not str or not scored_on.isprintable():
        raise ValueError("trials that cannot be")
    if not _sound(protocol) or not all(map(_fitted, refits)):
        raise ValueError("a protocol or refits that cannot be")
    split = str(kept.get("split", ""))
    label = user_model.sound_label(kept.get("label")) or str(kept["model"])
    return Found(
        kept["model"], kept["fixed"], fields, len(tried), scored_on, first, best, protocol, refits, label, split
    )


def _sound(protocol: Protocol) -> bool:
    numbers = [protocol.version, protocol.trials, protocol.refitted, protocol.refits]
    cap = protocol.trial_epochs
    return all(type(number) is int and number >= 0 for number in numbers) and (
        cap is None or (type(cap) is int and cap > 0)
    )


def _fitted(refit: Refit) -> bool:
    pairs = zip(refit.recalls, refit.mrrs, strict=True)
    return all(_plausible(Trial(refit.fields, recall, mrr)) for recall, mrr in pairs) and (
        refit.why is not None or len(refit.recalls) > 0
    )


def _changed(kept: Mapping[str, Any], first: Trial, best: Trial) -> dict[str, Any]:
    """The fields found that differ from the model's defaults.

    For a user's own model whose file was not named, these are the fixed fields and those that differ from the first
    trial. Raises UsageError if the model no longer has one of the fields.
    """
    model, fixed = kept["model"], kept["fixed"]
    if model not in catalog.recommenders():
        tried = {key: value for key, value in best.fields.items() if first.fields[key] != value}
        return dict(sorted({**fixed, **tried}.items()))
    return catalog.changed(catalog.make_recommender(model, {**fixed, **best.fields}))


def _plausible(trial: Trial) -> bool:
    values = (trial.recall, trial.mrr)
    return all(value is None or (type(value) in (int, float) and 0.0 <= value <= 100.0) for value in values)
