"""What searches found, as stored in a results folder, and which of them can be compared with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.fitting import user_model
from reproduce.paper import controls, rows
from reproduce.paper.rows import Row
from reproduce.runs import request
from reproduce.runs.record_shape import FIELDS, NAME, Misshapen, integer, misfits, null, number, read_json, text

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
    def scores(self) -> tuple[float, float]:
        """Mean Recall@20 and MRR@20."""
        return mean(self.recalls), mean(self.mrrs)


def best_of(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that did not fail, best first by Recall@20, MRR@20 and age. Raises ModelError if there are none."""
    scored = [trial for trial in trials if trial.recall is not None]
    if not scored:
        raise ModelError("every trial failed; the messages above say why")
    return sorted(scored, key=lambda trial: (-(trial.recall or 0.0), -(trial.mrr or 0.0)))


@dataclass(frozen=True)
class Found:
    """The outcome of a search: its trials as they were made, the defaults first, and refits of the best, best first."""

    model: str
    fixed: Mapping[str, Any]
    scored_on: str
    trials: Sequence[Trial]
    refits: Sequence[Refit] = ()  # none by the first protocol
    protocol: Protocol = Protocol(1, 0, None, 0, 0)
    label: str = ""  # of a user's own model
    split: str = ""  # the digest of the data set's split; older searches do not say it

    @property
    def best(self) -> Trial:
        """The trial whose refits have the highest mean Recall@20, then MRR@20; of equals, the better trial.

        Raises:
            ModelError: every trial failed, or each of the best trials failed in a refit.
        """
        if not self.refits:
            return best_of(self.trials)[0]
        sound = [refit for refit in self.refits if refit.why is None]
        if not sound:
            raise ModelError(f"the best trials failed with other seeds: {self.refits[0].why}")
        best = max(sound, key=lambda refit: refit.scores)
        return next(trial for trial in self.trials if trial.fields == best.fields)

    @property
    def reached(self) -> tuple[float, float]:
        """Recall@20 and MRR@20 of the best settings on the held-out sessions: of the refits, if any, or the trial."""
        best = self.best
        anew = [refit.scores for refit in self.refits if refit.fields == best.fields]
        return anew[0] if anew else (best.recall or 0.0, best.mrr or 0.0)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the best trial and the fixed ones, if not at the model's defaults."""
        best = self.best.fields
        if self.model in catalog.recommenders():
            return catalog.changed(catalog.make_recommender(self.model, {**self.fixed, **best}))
        defaults = self.trials[0].fields  # of a user's own model whose file was not named
        changed = {key: value for key, value in best.items() if defaults.get(key) != value}
        return dict(sorted({**self.fixed, **changed}.items()))

    @property
    def base(self) -> Row:
        """The row that was searched; a page's own row if that has exactly the fixed fields."""
        if self.model not in catalog.recommenders():
            return request.recorded(self.label or self.model, self.model, self.fixed)
        fixed = request.set_fields(Row(catalog.recommender(self.model).label, self.model), self.fixed)
        return next((row for row in (*rows.ROWS, *controls.ROWS) if request.same(row, fixed)), fixed)

    @property
    def row(self) -> Row:
        """The row with the fields that were found, which its label names."""
        if self.model not in catalog.recommenders():
            return request.recorded(self.label or self.model, self.model, self.fields)
        return request.set_fields(self.base, self.fields)

    @property
    def better(self) -> bool:
        """Whether the fields that were found differ from those of the row that was searched."""
        return not request.same(self.base, self.row)


def compared(searches: Iterable[Found], wanted: Sequence[Row]) -> list[Found]:
    """Return one search for each of the wanted rows, in their order, all with the same protocol and budget.

    A row may have several searches, with different seeds, or because one fixes a field at the row's value and another
    searches it; the one with the best score on the held-out sessions is taken. Of several protocols it is the one with
    the latest version, then with the most trials, then with the most epochs. The list is empty if no protocol has a
    search for every row; then the rows may not be compared as tuned.
    """
    groups: dict[Protocol, list[Found]] = {}
    for search in searches:
        groups.setdefault(search.protocol, []).append(search)
    for protocol in sorted(groups, key=lambda one: (-one.version, -one.trials, -(one.trial_epochs or float("inf")))):
        by_row = [[found for found in groups[protocol] if request.same(found.base, row.plain)] for row in wanted]
        if all(by_row):
            return [max(rivals, key=lambda found: found.reached) for rivals in by_row]
    return []


SCORES, WHY = [number(0, 100)], (text, null)
SCORE = (number(0, 100), null)
SEARCH = {
    "model": NAME,
    "fixed": FIELDS,
    "scored_on": text,
    "trials": [{"fields": FIELDS, "recall": SCORE, "mrr": SCORE, "why?": WHY}],
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
    "refits?": [{"fields": FIELDS, "recalls": SCORES, "mrrs": SCORES, "why?": WHY}],
    "*": lambda value: True,
}


def found(results: Path, dataset: str) -> list[Found]:
    """The searches on a data set that are stored in a results folder, sorted by file name.

    Raises:
        InputError: one is broken, or names a field or value that its model does not have.
    """
    return [load(file) for file in sorted((results / "search" / dataset).glob("*.json"))]


def load(file: Path) -> Found:
    """Read a stored search. Raises InputError if it is broken, or its model no longer has a field of it."""
    try:
        stored = read_json(file)
        for place in misfits(stored, SEARCH):
            raise Misshapen(f"{place} is absent, or not what it should be")
        trials = [Trial(**trial) for trial in stored["trials"]]
        refits = [Refit(**refit) for refit in stored.get("refits", ())]
        if not all(len(refit.recalls) == len(refit.mrrs) and (refit.recalls or refit.why) for refit in refits):
            raise Misshapen("refits without scores")
        if "protocol" in stored:
            protocol = Protocol(**stored["protocol"])
        else:  # from before there was a protocol: repeated draws counted as trials, and do not count here
            protocol = Protocol(1, len({str(sorted(trial.fields.items())) for trial in trials}), None, 0, 0)
        label = user_model.sound_label(stored.get("label"))
        head = stored["model"], stored["fixed"], stored["scored_on"]
        search = Found(*head, trials, refits, protocol, label, stored.get("split", ""))
        assert search.row  # whose fields must be the model's
        return search
    except (OSError, Misshapen, UsageError, ModelError, StopIteration) as error:
        raise InputError(f"{file}: not what a search of today stores ({error}); search again") from error
