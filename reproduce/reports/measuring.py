"""How sure the numbers of a page are: rows measured on the same test prefixes, with their noise between seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.evaluation import comparisons, counting, ranking
from reproduce.evaluation.uncertainty import (
    ALPHA,
    Judged,
    Measurement,
    Noise,
    OneRun,
    contrast,
    equal_noise,
    measure,
    pooled_noise,
)
from reproduce.paper.counting import OURS, Counting
from reproduce.reports import page as pages
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import listed
from reproduce.runs.record import Result, current, load

METRICS = {"recall": "Recall@20", "mrr": "MRR@20"}
Worth = Callable[[Result], np.ndarray]  # the value of each test prefix in a run, in points: (n,)
Mark = Literal["highest", "equal", "behind", "not judged"]


@dataclass(frozen=True)
class Seeds:
    """The rows of one split that were run with several seeds; they show how much the seed changes a number."""

    rows: tuple[tuple[Result, ...], ...]

    @classmethod
    def of(cls, results: Path, like: Result) -> Seeds:
        """Collect the rows with the split of `like` from a results folder and from the project's reference folder.

        A run that is in both folders counts once. Outdated and broken records are left out; `Shelf` makes the remarks.
        """
        found: dict[tuple[str, str], dict[int, Result]] = {}
        for folder in dict.fromkeys([results.resolve(), pages.reference_folder()]):
            for one in listed(folder, like.experiment.dataset):
                result = None if one.experiment is None else _usable(one.experiment, folder)
                if result is not None and result.split["digest"] == like.split["digest"]:
                    row = result.experiment.model, str(sorted(result.experiment.params.items()))
                    found.setdefault(row, {}).setdefault(result.experiment.seed, result)
        several = (tuple(runs.values()) for runs in found.values() if len(runs) > 1)
        return cls(tuple(runs for runs in several if not without_chance(runs[0])))

    def noise(self, metric: str, where: np.ndarray | None = None, rule: Counting = OURS) -> Noise | None:
        """Return the noise between seeds, pooled over the rows; None if there are no rows.

        Args:
            metric: "recall" or "mrr".
            where: (n,) bool, the test prefixes to use; default all.
            rule: how ranks are counted.
        """
        return self.noise_of(_counted(metric, rule), where)

    def noise_of(self, worth: Worth, where: np.ndarray | None = None) -> Noise | None:
        """Return the noise between seeds of any other value of a test prefix, pooled over the rows."""
        return pooled_noise(_measurement(runs, worth, where) for runs in self.rows)

    def told(self, metric: str) -> str:
        """Describe the noise between seeds, and the rows that it was estimated from."""
        title = METRICS[metric]
        noise = self.noise(metric)
        if noise is None:
            return (
                f"Noise between seeds, {title}: not known, no row was run with several seeds. Where another seed would "
                "change a row, it is not judged."
            )
        degrees = f"{noise.df} degrees of freedom" if noise.df > 1 else "1 degree of freedom"
        told = f"Noise between seeds: a standard deviation of {noise.sigma:.2f} points of {title}, {degrees}, from "
        if len(self.rows) == 1:
            return f"{told}1 row with several seeds."
        rows = [_measurement(runs, _counted(metric, OURS), None) for runs in self.rows]
        own = sorted(float(one.points.std(ddof=1)) for one in rows)
        told += f"{len(rows)} rows with several seeds, their own from {own[0]:.2f} to {own[-1]:.2f}"
        p = equal_noise(rows)
        if p >= ALPHA:
            return f"{told}."
        chance = "< 0.0001" if p < 0.0001 else f"= {p:.2g}"
        return (
            f"{told}, further apart than chance explains (Bartlett's test: p {chance}): pooled, the intervals of the "
            "steadier rows are too wide, and those of the less steady ones too narrow."
        )


def measured(
    rows: Mapping[str, Sequence[Result]],
    metric: str,
    seeds: Seeds,
    where: np.ndarray | None = None,
    rule: Counting = OURS,
) -> dict[str, Measurement]:
    """Measure a metric, in per cent, for rows whose records are all of one split; by label.

    Args:
        rows: the records of each row, at least one.
        metric: "recall" or "mrr".
        seeds: the rows that the noise between seeds is estimated from.
        where: (n,) bool, the test prefixes to use; default all.
        rule: how ranks are counted.
    """
    return measured_by(rows, _counted(metric, rule), seeds, where)


def measured_by(
    rows: Mapping[str, Sequence[Result]], worth: Worth, seeds: Seeds, where: np.ndarray | None = None
) -> dict[str, Measurement]:
    """Measure the mean value of a test prefix for rows whose records are all of one split; by label."""
    noise = seeds.noise_of(worth, where)
    alone = {label: _measurement(results, worth, where) for label, results in rows.items()}
    return {label: one if one.deterministic else replace(one, noise=noise) for label, one in alone.items()}


def of_one_split(rows: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
    """Keep, by row, the records of the split that most rows have; of equally common splits, the first."""
    digests = [digest for results in rows.values() for digest in {one.split["digest"] for one in results}]
    most = max(dict.fromkeys(digests), key=digests.count, default=None)
    kept = {label: [one for one in results if one.split["digest"] == most] for label, results in rows.items()}
    return {label: results for label, results in kept.items() if results}


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
    estimate = judged.these_runs if isinstance(judged, OneRun) else judged
    return estimate.high - estimate.value


def _measurement(runs: Sequence[Result], worth: Worth, where: np.ndarray | None) -> Measurement:
    values = np.stack([worth(one) for one in runs])  # (K, n)
    return measure(values, runs[0].session, where, deterministic=without_chance(runs[0]))


def _counted(metric: str, rule: Counting) -> Worth:
    return lambda one: 100.0 * counting.METRICS[metric](one.greater, one.equal, rule, ranking.CUTOFF)


def without_chance(result: Result) -> bool:
    """Return whether the model is deterministic, so that another seed would give the same ranks."""
    kind = catalog.recommenders().get(result.experiment.model)
    return kind is not None and kind.deterministic


def _usable(experiment: Experiment, folder: Path) -> Result | None:
    if experiment.model not in catalog.recommenders():
        return None
    try:
        result = load(experiment, folder)
    except InputError:
        return None
    return result if result is not None and current(result) else None
