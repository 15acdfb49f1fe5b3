"""What a search came to, as a results folder keeps it, and which of several compare like with like."""

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
from reproduce.runs.record_shape import read_table
from reproduce.runs.request import recorded
from reproduce.runs.trials import Protocol, Refit, Trial


@dataclass(frozen=True)
class Found:
    """What a stored search came to. Those of the first protocol did not say it, and have no refits."""

    model: str
    fixed: Mapping[str, Any]
    fields: Mapping[str, Any]  # of the best trial and those fixed, as far as they differ from the model's defaults
    trials: int
    scored_on: str
    defaults: Trial
    best: Trial
    protocol: Protocol = Protocol(1, 0, None, 0, 0)
    refits: Sequence[Refit] = ()
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

    @property
    def reached(self) -> tuple[float, float]:
        """Recall@20 and MRR@20 on the held-out sessions, of the best: fitted anew where it was, else in its trial."""
        anew = [(one.recall, one.mrr) for one in self.refits if one.fields == self.best.fields]
        return anew[0] if anew else (self.best.recall or 0.0, self.best.mrr or 0.0)


def found(results: Path, dataset: str) -> list[Found]:
    """The searches on a data set that a results folder keeps, by model.

    Raises:
        InputError: a summary is broken, or names a model or field that there is not.
    """
    searches = []
    for file in sorted((results / "search" / dataset).glob("*.json")):
        try:
            searches.append(_read(read_table(file)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            told = f"{type(error).__name__}: {str(error)[:200]}"
            raise InputError(f"{file}: not what a search of today stores ({told}); search again") from error
    return searches


def by_protocol(searches: Iterable[Found]) -> dict[Protocol, list[Found]]:
    """Searches by their protocol and budget, each row once: only those under one key compare like with like.

    Of several searches of a row, with other fields fixed or another seed, the one that reached the most on the held-out
    sessions is kept.
    """
    groups: dict[Protocol, list[Found]] = {}
    for one in searches:
        group = groups.setdefault(one.protocol, [])
        rival = next((other for other in group if request.same(other.base, one.base)), None)
        if rival is None:
            group.append(one)
        elif one.reached > rival.reached:
            group[group.index(rival)] = one
    return groups


def compared(searches: Iterable[Found], wanted: Sequence[Row]) -> list[Found]:
    """A search for every one of some rows, all by one protocol with one budget, in their order.

    Empty where there is no protocol by which all of them were searched: then the rows may not be compared as tuned. Of
    several the latest version, of equals the one with the most trials and then with the most epochs is taken.
    """

    def rank(protocol: Protocol) -> tuple[float, ...]:
        return protocol.version, protocol.trials, protocol.trial_epochs or float("inf")

    groups = by_protocol(searches)
    for protocol in sorted(groups, key=rank, reverse=True):
        chosen = [next((one for one in groups[protocol] if request.same(one.base, row)), None) for row in wanted]
        if None not in chosen:
            return [one for one in chosen if one is not None]
    return []


def _read(kept: dict[str, Any]) -> Found:
    """From a summary; raises ValueError, KeyError, TypeError or UsageError where it is none."""
    best, first = Trial(**kept["best"]), Trial(**kept["defaults"])
    fields = _changed(kept, first, best)
    tried, scored_on = kept["trials"], kept["scored_on"]
    if "protocol" in kept:
        protocol = Protocol(**kept["protocol"])
        refits = [Refit(**one) for one in kept["refits"]]
    else:  # a search of before there was a protocol: repeated draws counted, and are not counted here
        different = {str(sorted(one.get("fields", {}).items())) for one in tried}
        protocol, refits = Protocol(1, len(different), None, 0, 0), []
    if not all(map(_plausible, (first, best))) or type(scored_on) is not str or not scored_on.isprintable():
        raise ValueError("trials that cannot be")
    if not _sound(protocol) or not all(map(_fitted, refits)):
        raise ValueError("a protocol or refits that cannot be")
    label = user_model.sound_label(kept.get("label")) or str(kept["model"])
    return Found(kept["model"], kept["fixed"], fields, len(tried), scored_on, first, best, protocol, refits, label)


def _sound(protocol: Protocol) -> bool:
    numbers = [protocol.version, protocol.trials, protocol.refitted, protocol.refits]
    cap = protocol.trial_epochs
    return all(type(one) is int and one >= 0 for one in numbers) and (cap is None or (type(cap) is int and cap > 0))


def _fitted(refit: Refit) -> bool:
    pairs = zip(refit.recalls, refit.mrrs, strict=True)
    return all(_plausible(Trial(refit.fields, recall, mrr)) for recall, mrr in pairs) and (
        refit.why is not None or len(refit.recalls) > 0
    )


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
