"""How sure the numbers of a page are: rows measured on the same test prefixes, with their noise between seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from reproduce import catalog
from reproduce.evaluation import comparisons, metrics
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.metrics import Measure
from reproduce.evaluation.uncertainty import (
    ALPHA,
    Estimate,
    Judged,
    Measurement,
    Noise,
    OneRun,
    contrast,
    measure,
    pooled_noise,
)
from reproduce.paper.counting import OURS, Counting
from reproduce.reports.records import Records, reference
from reproduce.runs.record import OutsideResult, Result

METRICS = {key: metric.title for key, metric in metrics.PAPERS.items()}
FAMILIES = {
    "softmax": "networks trained by a softmax over all items",
    "sampled": "models trained by pairs or sampled items",
}
Effect = Pair | OneRun  # a row less another, judged or not
Where = Callable[[Result], np.ndarray]  # the test prefixes to use, (n,) bool
Mark = Literal["highest", "equal", "behind", "not judged"]
Kind = Literal["better", "worse", "undecided", "not judged"]
Runs = tuple[Result, ...]  # of one row, several seeds


@dataclass(frozen=True)
class View:
    """Which test prefixes count, and how a tie counts; every stored record can be shown in every view."""

    protocol: Literal["all", "last"] = "all"
    ties: Literal["against", "random", "favour"] = "against"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> View:
        """Return the view that the options --protocol and --ties ask for."""
        return cls(options.get("protocol") or "all", options.get("ties") or "against")

    @property
    def rule(self) -> Counting:
        return {"against": OURS, "random": Counting(ties="at random"), "favour": Counting(ties="in favour")}[self.ties]

    @property
    def where(self) -> Where:
        return every_prefix if self.protocol == "all" else last_clicks

    @property
    def note(self) -> str:
        """What differs from the view of all other pages, in a sentence; empty if nothing does."""
        last = "only the last click of every test session is predicted, as in leave-one-out evaluation"
        ties = {"random": "ties are broken at random", "favour": "ties favour the target"}
        sentences = [last] * (self.protocol == "last") + [text for rule, text in ties.items() if rule == self.ties]
        return f"In this view {' and '.join(sentences)}." if sentences else ""


def every_prefix(result: Result) -> np.ndarray:
    return np.ones(len(result.length), bool)


def last_clicks(result: Result) -> np.ndarray:
    """Return the test prefixes whose target is the last click of its session: the longest prefix of each session."""
    longest = np.zeros(int(result.session.max(initial=-1)) + 1, dtype=result.length.dtype)
    np.maximum.at(longest, result.session, result.length)
    return np.asarray(result.length == longest[result.session])


@dataclass(frozen=True)
class Seeds:
    """The rows that were run with several seeds, by family; they show how much the seed changes a number."""

    rows: Mapping[str, Sequence[Runs]]
    lenders: Mapping[str, str] = field(default_factory=dict)  # family -> the other data set that its rows are of

    @classmethod
    def of(cls, records: Records, like: Result) -> Seeds:
        """Collect the rows with the split of `like` from a results folder and from the project's reference folder.

        A run that is in both folders counts once. A family of models that has records here but no row with several
        seeds borrows those of another data set of the reference folder, the first in the paper's order that has some.
        """
        project = reference(records.folder) or records
        runs: dict[str, Result] = {}
        for source in (records, project):
            for run in source.of(like.experiment.dataset):
                if run.split["digest"] == like.split["digest"] and run.experiment.model in catalog.recommenders():
                    runs.setdefault(run.experiment.path, run)
        own = several(_by_row(runs.values()))
        lacking = sorted({family(run) for run in runs.values()} & FAMILIES.keys() - own.keys(), reverse=True)
        lent = {name: rows for name in lacking if (rows := _lent(project, name))}
        return cls({**own, **lent}, {name: rows[0][0].experiment.dataset for name, rows in lent.items()})

    def noise(self, metric: str | Measure, sessions: int, where: Where, rule: Counting) -> dict[str, Noise]:
        """Return the noise between seeds by family; without the families unknown anywhere.

        Borrowed noise is scaled up to the number of test sessions here where there are fewer than at the lender.
        """
        found = {}
        for name, rows in self.rows.items():
            there = [_measurement(runs, metric, where, rule) for runs in rows]
            if (noise := pooled_noise(there)) is None:
                continue
            if lender := self.lenders.get(name):
                noise = replace(noise.times(math.sqrt(max(1.0, there[0].sessions / max(sessions, 1)))), lender=lender)
            found[name] = noise
        return found

    def note(self, shown: Iterable[Result]) -> str:
        """Describe the noise between seeds of the families of the results shown, and what it was estimated from."""
        families = {family(run) for run in shown if not without_chance(run)}
        known = []
        for name, rows in self.rows.items():
            if name not in families:
                continue
            noises = [pooled_noise(_measurement(runs, metric) for runs in rows) for metric in METRICS]
            deviations = " / ".join(f"{math.sqrt(noise.variance):.2f}" for noise in noises if noise)
            degrees = sum(len(runs) - 1 for runs in rows)
            basis = f"{_count(len(rows), 'row')} with several seeds, {_count(degrees, 'degree')} of freedom"
            if lender := self.lenders.get(name):
                basis = f"borrowed from {catalog.dataset(lender).title} with 2 degrees of freedom"
            known.append(f"{deviations} for {FAMILIES.get(name, name)} ({basis})")
        if not known:
            return "Noise between seeds is not known for any model, so rows with random numbers are not judged."
        return f"Standard deviation between seeds, Recall@20 / MRR@20 in points: {'; '.join(known)}."


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + "s" * (n != 1)


def several(rows: Iterable[Sequence[Result]]) -> dict[str, list[Runs]]:
    """Return the rows of chance with several runs, by family."""
    found: dict[str, list[Runs]] = {}
    for runs in rows:
        if len(runs) > 1 and not without_chance(runs[0]):
            found.setdefault(family(runs[0]), []).append(tuple(runs))
    return dict(sorted(found.items(), reverse=True))


def _by_row(runs: Iterable[Result]) -> Iterable[list[Result]]:
    rows: dict[str, list[Result]] = {}
    for run in runs:
        rows.setdefault(f"{run.experiment.model} {sorted(run.experiment.params.items())}", []).append(run)
    return rows.values()


def _lent(records: Records, name: str) -> list[Runs]:
    """Return the rows of the first data set where the noise of a family is known; [] if there is none."""
    known = (several(_by_row(records.of(dataset))).get(name, []) for dataset in records.datasets())
    return next(filter(None, known), [])


def measured(
    rows: Mapping[str, Sequence[Result]],
    metric: str | Measure,
    seeds: Seeds,
    where: Where = every_prefix,
    rule: Counting = OURS,
) -> dict[str, Measurement]:
    """Measure a metric, in per cent, for rows whose records are all of one split; by label.

    Args:
        rows: the records of each row, at least one.
        metric: a measure, or "recall" or "mrr" for the paper's.
        seeds: the rows that the noise between seeds is estimated from.
        where: the test prefixes to use; default all.
        rule: how ranks are counted.
    """
    found = {label: _measurement(runs, metric, where, rule) for label, runs in rows.items()}
    noise = seeds.noise(metric, min((row.sessions for row in found.values()), default=0), where, rule)
    for name in {row.family for row in found.values()} - noise.keys():  # own models whose file was not named
        if (own := pooled_noise(row for row in found.values() if row.family == name)) is not None:
            noise[name] = own
    return {
        label: row if row.deterministic else replace(row, noise=noise.get(row.family)) for label, row in found.items()
    }


def _measurement(
    runs: Sequence[Result], metric: str | Measure, where: Where = every_prefix, rule: Counting = OURS
) -> Measurement:
    measured_as = metrics.PAPERS[metric] if isinstance(metric, str) else metric
    values = np.stack([_values(run, measured_as, rule) for run in runs])  # (K, n)
    return measure(
        values, runs[0].session, where(runs[0]), deterministic=without_chance(runs[0]), family=family(runs[0])
    )


@lru_cache(maxsize=256)  # a page measures the same runs on many sets of prefixes
def _values(result: Result, measured_as: Measure, rule: Counting) -> np.ndarray:
    """Return the value of each test prefix of a run, in points."""
    return 100.0 * measured_as.values(result.greater, result.equal, rule)


def marks(rows: Mapping[str, Measurement]) -> dict[str, Mark]:
    """Mark the highest row and the others that may also be the best, by multiple comparisons with the best.

    A row whose noise between seeds is not known is not compared. If the highest is such a row, no other is judged.
    """
    highest = max(rows, key=lambda label: rows[label].value, default="")
    may_be_best = comparisons.best(rows)
    found: dict[str, Mark] = {}
    for label, equal in may_be_best.items():
        if label == highest:
            found[label] = "highest"
        elif equal is None or may_be_best[highest] is None:
            found[label] = "not judged"
        else:
            found[label] = "equal" if equal else "behind"
    return found


def kind_of(effect: Effect) -> Kind:
    """Return the verdict on a difference from the reference row."""
    if isinstance(effect, OneRun):
        return "not judged"
    if not effect.p < ALPHA:  # NaN where there is a single test session
        return "undecided"
    return "better" if effect.value > 0 else "worse"


def estimate(effect: Judged | Pair) -> Estimate:
    """Return an effect judged alone, from the sessions only if the noise between seeds is not known."""
    return effect.alone if isinstance(effect, Pair) else effect.these_runs if isinstance(effect, OneRun) else effect


def half_width(row: Measurement) -> float:
    """Return half the width of a row's 95 % interval, from the sessions alone if its noise is not known."""
    return estimate(contrast([(1.0, row)])).high - row.value


def ends(effect: Judged | Pair) -> tuple[float, float]:
    """Return the ends of an interval: for all rows together if so judged, over test sessions alone if not judged."""
    return (effect.low, effect.high) if isinstance(effect, Pair) else estimate(effect).interval()


def without_chance(result: Result) -> bool:
    """Return whether the model is deterministic, so that another seed would give the same ranks."""
    if isinstance(result, OutsideResult):
        return result.family == "none"
    kind = catalog.recommenders().get(result.experiment.model)
    return kind is not None and kind.deterministic


def family(result: Result) -> str:
    """Return the family of the model; the model's name if it has none or is not known."""
    if isinstance(result, OutsideResult):
        return result.family or result.experiment.model
    kind = catalog.recommenders().get(result.experiment.model)
    return (kind.family if kind else "") or result.experiment.model
