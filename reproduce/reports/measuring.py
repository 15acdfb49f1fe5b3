"""How sure the numbers of a page are: rows measured on the same test prefixes, with their noise between seeds."""

from __future__ import annotations

import math
from collections import Counter
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
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import listed
from reproduce.runs.record import OutsideResult, Result

Effect = Pair | OneRun  # a row less another, judged or not
METRICS = {key: one.title for key, one in metrics.PAPERS.items()}
FAMILIES = {
    "softmax": "networks trained by a softmax over all items",
    "sampled": "models trained by pairs or sampled items",
}
Worth = Callable[[Result], np.ndarray]  # the value of each test prefix in a run, in points: (n,)
Where = Callable[[Result], np.ndarray]  # the test prefixes to use, (n,) bool
Mark = Literal["highest", "equal", "behind", "not judged"]
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
        return {
            "against": OURS,
            "random": Counting(ties="at random"),
            "favour": Counting(ties="in favour"),
        }[self.ties]

    @property
    def where(self) -> Where | None:
        return None if self.protocol == "all" else last_clicks

    @property
    def told(self) -> str:
        """What differs from the view of all other pages, in a sentence; empty if nothing does."""
        told = []
        if self.protocol == "last":
            told.append("only the last click of every test session is predicted, as in leave-one-out evaluation")
        if self.ties != "against":
            told.append("ties are broken at random" if self.ties == "random" else "ties favour the target")
        return f"In this view {' and '.join(told)}." if told else ""


USUAL = View()  # that of the reference


def last_clicks(result: Result) -> np.ndarray:
    """Return the test prefixes whose target is the last click of its session: the longest prefix of each session."""
    longest = np.zeros(int(result.session.max(initial=-1)) + 1, dtype=result.length.dtype)
    np.maximum.at(longest, result.session, result.length)
    return np.asarray(result.length == longest[result.session])


@dataclass(frozen=True)
class Lent:
    """The rows of a data set that lends a family's noise between seeds to another data set."""

    dataset: str
    rows: tuple[Runs, ...]


@dataclass(frozen=True)
class Seeds:
    """The rows of one split that were run with several seeds; they show how much the seed changes a number."""

    rows: tuple[Runs, ...]
    lent: Mapping[str, Lent] = field(default_factory=dict)  # for each family with records here, but no such row

    @classmethod
    def of(cls, records: Records, like: Result) -> Seeds:
        """Collect the rows with the split of `like` from a results folder and from the project's reference folder.

        A run that is in both folders counts once. A family of models that has records here but no row with several
        seeds borrows those of another data set of the reference folder: the one with the most degrees of freedom, and
        of equals the one with the most test sessions.
        """
        digest, dataset = like.split["digest"], like.experiment.dataset
        found: dict[tuple[str, str], dict[int, Result]] = {}
        project = reference(records.folder) or records
        for source in (records, project):
            for run in source.of(dataset):
                if run.split["digest"] == digest and run.experiment.model in catalog.recommenders():
                    found.setdefault(_row(run.experiment), {}).setdefault(run.experiment.seed, run)
        rows = [tuple(runs.values()) for runs in found.values() if not without_chance(next(iter(runs.values())))]
        several = tuple(runs for runs in rows if len(runs) > 1)
        lacking = {family(runs[0]) for runs in rows} - {family(runs[0]) for runs in several}
        lent = {one: lender for one in sorted(lacking & FAMILIES.keys()) if (lender := _lender(project, one))}
        return cls(several, lent)

    def noise_of(self, worth: Worth, like: Mapping[str, Measurement], where: Where | None = None) -> dict[str, Noise]:
        """Return the noise between seeds of a value of a test prefix, by family; without the families unknown anywhere.

        Borrowed noise is scaled up to the number of test sessions here where there are fewer than at the lender.

        Args:
            worth: the value of each test prefix.
            like: the rows that will be given the noise.
            where: the test prefixes to use; default all.
        """
        found = {}
        for name in {family(runs[0]) for runs in self.rows}:
            here = (_measurement(runs, worth, where) for runs in self.rows if family(runs[0]) == name)
            if (noise := pooled_noise(here)) is not None:
                found[name] = noise
        sessions = min((one.sessions for one in like.values()), default=0)
        for name, lent in self.lent.items():
            there = [_measurement(runs, worth, where) for runs in lent.rows]
            noise = pooled_noise(there)
            if noise is not None and sessions:
                scale = math.sqrt(max(1.0, there[0].sessions / sessions))
                found[name] = replace(noise.times(scale), lender=lent.dataset)
        return found

    def told(self, metric: str | Measure, shown: Iterable[Result]) -> str:
        """Describe the noise between seeds of the families of the results shown, and what it was estimated from."""
        worth = _counted(metric, OURS)
        told = []
        families = {family(one) for one in shown if not without_chance(one)}
        for name in sorted({family(runs[0]) for runs in self.rows} & families, reverse=True):
            rows = [_measurement(runs, worth, None) for runs in self.rows if family(runs[0]) == name]
            noise = pooled_noise(rows)
            assert noise is not None
            told.append(
                f"{math.sqrt(noise.variance):.2f} for {FAMILIES.get(name, name)} ({_count(len(rows), 'row')} with "
                f"several seeds, {_count(noise.df, 'degree')} of freedom)"
            )
        for name, lent in sorted(self.lent.items(), reverse=True):
            if name not in families:
                continue
            noise = pooled_noise(_measurement(runs, worth, None) for runs in lent.rows)
            assert noise is not None
            lender = catalog.dataset(lent.dataset).title
            told.append(
                f"{math.sqrt(noise.variance):.2f} for {FAMILIES[name]}, none of which has several seeds here (borrowed "
                f"from {lender} with 2 degrees of freedom)"
            )
        title = _measure(metric).title
        if not told:
            return f"Noise between seeds, {title}: not known for any model, so rows with random numbers are not judged."
        return f"Noise between seeds, as a standard deviation in points of {title}: {'; '.join(told)}."


def _row(experiment: Experiment) -> tuple[str, str]:
    return experiment.model, str(sorted(experiment.params.items()))


def _lender(records: Records, name: str) -> Lent | None:
    """Return the data set that knows most about the noise of a family; None if none knows any."""
    degrees: dict[str, int] = {}
    for dataset in records.datasets():
        experiments = [one.experiment for one in listed(records.folder, dataset) if one.experiment]
        counts = Counter(_row(one) for one in experiments if _family_of(one.model) == name)
        degrees[dataset] = sum(count - 1 for count in counts.values())
    lenders = []
    for dataset in (one for one in degrees if 0 < degrees[one] == max(degrees.values())):
        runs: dict[tuple[str, str], list[Result]] = {}
        for run in records.of(dataset):
            if family(run) == name:
                runs.setdefault(_row(run.experiment), []).append(run)
        if rows := tuple(tuple(results) for results in runs.values() if len(results) > 1):
            lenders.append(Lent(dataset, rows))
    return max(lenders, key=lambda one: int(one.rows[0][0].session[-1]), default=None)


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + "s" * (n != 1)


def measured(
    rows: Mapping[str, Sequence[Result]],
    metric: str | Measure,
    seeds: Seeds,
    where: Where | None = None,
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
    return measured_by(rows, _counted(metric, rule), seeds, where)


def measured_by(
    rows: Mapping[str, Sequence[Result]], worth: Worth, seeds: Seeds, where: Where | None = None
) -> dict[str, Measurement]:
    """Measure the mean value of a test prefix for rows whose records are all of one split; by label."""
    alone = {label: _measurement(results, worth, where) for label, results in rows.items()}
    noise = seeds.noise_of(worth, alone, where)
    for name in {one.family for one in alone.values()} - noise.keys():  # own models whose file was not named
        if (own := pooled_noise(one for one in alone.values() if one.family == name)) is not None:
            noise[name] = own
    return {
        label: one if one.deterministic else replace(one, noise=noise.get(one.family)) for label, one in alone.items()
    }


def marks(rows: Mapping[str, Measurement]) -> dict[str, Mark]:
    """Mark the highest row and the others that may also be the best, by multiple comparisons with the best.

    A row whose noise between seeds is not known is not compared. If the highest is such a row, no other is judged.
    """
    highest = max(rows, key=lambda label: rows[label].value, default=None)
    may_be_best = comparisons.best(rows)
    found: dict[str, Mark] = {}
    for label, equal in may_be_best.items():
        if label == highest:
            found[label] = "highest"
        elif equal is None or may_be_best[str(highest)] is None:
            found[label] = "not judged"
        else:
            found[label] = "equal" if equal else "behind"
    return found


def alone(one: Measurement) -> Judged:
    """Return the value of a single row with its noise."""
    return contrast([(1.0, one)])


def half_width(judged: Judged) -> float:
    """Return half the width of the 95 % interval, from the sessions alone if the noise between seeds is not known."""
    return estimate(judged).high - judged.value


def estimate(judged: Judged) -> Estimate:
    """Return an effect with its noise, from the sessions alone if the noise between seeds is not known."""
    return judged.these_runs if isinstance(judged, OneRun) else judged


def ends(effect: Effect) -> tuple[float, float]:
    """Return the ends of the interval of a difference: for all rows together, or over test sessions if not judged."""
    return (effect.low, effect.high) if isinstance(effect, Pair) else effect.these_runs.interval()


def of_lengths(low: int, high: int) -> Where:
    """Return the test prefixes of low to high clicks."""
    return lambda result: (low <= result.length) & (result.length <= high)


def _measurement(runs: Sequence[Result], worth: Worth, where: Where | None) -> Measurement:
    values = np.stack([worth(one) for one in runs])  # (K, n)
    mask = None if where is None else where(runs[0])
    return measure(values, runs[0].session, mask, deterministic=without_chance(runs[0]), family=family(runs[0]))


def _counted(metric: str | Measure, rule: Counting) -> Worth:
    return lambda one: _values(one, _measure(metric), rule)


@lru_cache(maxsize=256)  # a page measures the same runs on many sets of prefixes
def _values(result: Result, measure: Measure, rule: Counting) -> np.ndarray:
    """Return the value of each test prefix of a run, in points."""
    return 100.0 * measure.values(result.greater, result.equal, rule)


def _measure(metric: str | Measure) -> Measure:
    return metrics.PAPERS[metric] if isinstance(metric, str) else metric


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
    return _family_of(result.experiment.model)


def _family_of(model: str) -> str:
    kind = catalog.recommenders().get(model)
    return (kind.family if kind else "") or model
