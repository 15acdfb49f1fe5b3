"""What searches found, as stored in a results folder, and which of them can be compared with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.fitting import user_model
from reproduce.paper import controls, rows
from reproduce.paper.rows import Row
from reproduce.runs import request
from reproduce.runs.record_shape import FIELDS, NAME, Misshapen, integer, misfits, null, number, read_json, text
from reproduce.runs.request import recorded

VERSION = 2  # of the protocol; 1 chose by one fit, on the last sessions by position, and counted repeated draws


@dataclass(frozen=True)
class Protocol:
    """How a search is made, and its budget. Only searches with equal protocols can be compared."""

    version: int
    trials: int  # different settings, including the defaults
    trial_epochs: int | None  # the largest number of epochs of a neural network in a trial; None: its own
    refitted: int  # how many of the best trials are fitted again
    refits: int  # fits of each of these, each with another seed and all epochs
    sampler: str = "optuna"  # what draws the trials, or "random"

    def __str__(self) -> str:
        trials = f"{self.trials} trials" + (" drawn at random" if self.sampler == "random" else "")
        if self.trial_epochs is not None:
            trials += f", a network in each for at most {self.trial_epochs} epochs"
        if self.version < VERSION:
            return f"{trials} by an older protocol: the best of single fits"
        return f"{trials}; the best {self.refitted} fitted anew with {self.refits} seeds each"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and their scores on the held-out sessions; None, and why, if the model failed."""

    fields: Mapping[str, Any]
    recall: float | None
    mrr: float | None
    why: str | None = None

    def __str__(self) -> str:
        outcome = f"Recall@20 {self.recall:.2f}, MRR@20 {self.mrr:.2f}" if self.recall is not None else f"{self.why}"
        return f"{outcome}  {', '.join(f'{key}={value}' for key, value in self.fields.items())}"


@dataclass(frozen=True)
class Refit:
    """One of the best trials fitted again: Recall@20 and MRR@20 per seed, up to a fit that failed, and why it did."""

    fields: Mapping[str, Any]
    recalls: Sequence[float]
    mrrs: Sequence[float]
    why: str | None = None

    @property
    def recall(self) -> float:
        return float(np.mean(self.recalls))

    @property
    def mrr(self) -> float:
        return float(np.mean(self.mrrs))


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
        except (OSError, Misshapen, UsageError) as error:
            raise InputError(f"{file}: not what a search of today stores ({error}); search again") from error
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
        chosen = [search for row in wanted for search in groups[protocol] if request.same(search.base, row.plain)]
        if len(chosen) == len(wanted):
            return chosen
    return []


SCORE = (number(0, 100), null)
TRIAL = {"fields": FIELDS, "recall": SCORE, "mrr": SCORE, "why?": (text, null)}
SEARCH = {
    "model": NAME,
    "fixed": FIELDS,
    "scored_on": text,
    "trials": [{"fields": FIELDS, "*": lambda value: True}],
    "defaults": TRIAL,
    "best": TRIAL,
    "label?": text,
    "split?": NAME,
    "protocol?": {
        "version": integer(0),
        "trials": integer(0),
        "trial_epochs": (integer(1), null),
        "refitted": integer(0),
        "refits": integer(0),
        "sampler?": text,
    },
    "refits?": [{"fields": FIELDS, "recalls": [number(0, 100)], "mrrs": [number(0, 100)], "why?": (text, null)}],
    "*": lambda value: True,
}


def _read(stored: dict[str, Any]) -> Found:
    """Make a search from its summary. Raises Misshapen, or UsageError if its model no longer has a field of it."""
    for place in misfits(stored, SEARCH):
        raise Misshapen(f"{place} is absent, or not what it should be")
    if "protocol" in stored:
        protocol = Protocol(**stored["protocol"])
        refits = [Refit(**refit) for refit in stored.get("refits", [{"fields": {}, "recalls": [], "mrrs": []}])]
        if not all(len(refit.recalls) == len(refit.mrrs) and (refit.recalls or refit.why) for refit in refits):
            raise Misshapen("refits without scores")
    else:  # from before there was a protocol: repeated draws counted as trials, and are left out here
        different = {str(sorted(trial["fields"].items())) for trial in stored["trials"]}
        protocol, refits = Protocol(1, len(different), None, 0, 0), []
    model, fixed = stored["model"], stored["fixed"]
    best, first = Trial(**stored["best"]), Trial(**stored["defaults"])
    if model in catalog.recommenders():
        fields = catalog.changed(catalog.make_recommender(model, {**fixed, **best.fields}))
    else:  # a user's own, whose file was not named: its defaults are not known
        changed = {key: value for key, value in best.fields.items() if first.fields.get(key) != value}
        fields = dict(sorted({**fixed, **changed}.items()))
    return Found(
        model=model,
        fixed=fixed,
        fields=fields,
        trials=len(stored["trials"]),
        scored_on=stored["scored_on"],
        defaults=first,
        best=best,
        protocol=protocol,
        refits=refits,
        label=user_model.sound_label(stored.get("label")) or model,
        split=stored.get("split", ""),
    )
