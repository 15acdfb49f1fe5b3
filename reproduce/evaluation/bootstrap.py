"""How sure a number is: intervals and paired tests that respect sessions and seeds.

The prefixes of one session are not independent, so whole sessions are resampled (the cluster bootstrap: Field & Welsh,
J. R. Stat. Soc. B 69, 2007), the same ones for every run, so that the difference of two runs is paired. Runs that
differ by seed add a noise of their own, which resampled sessions cannot show. Of the spread between seeds a part is the
sessions' doing, since every seed errs on sessions of its own; only the rest is the seeds', and it is drawn for every
resample from the normal distribution of its size. Drawing two or three seeds with replacement instead would give three
or ten values, too narrow by the factor (K - 1) / K in variance, and would count the sessions' part twice. That a size
is known from few seeds widens the interval by Student's t with Satterthwaite's degrees of freedom (Biometrics 2, 1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

REPLICATES = 2_000
LEVEL = 0.95
ALPHA = 0.05
ONE_RUN = 0.4  # points of Recall@20 or MRR@20: no verdict finer than this from one run, another seed moves as much
CHUNK = 64  # resamples drawn at a time: with 15,000 sessions 8 MB


@dataclass(frozen=True, eq=False)
class Sample:
    """A mean over test prefixes, of one run per seed, and the same in every resample of the sessions."""

    points: np.ndarray  # (K,)
    resamples: np.ndarray  # (replicates, K)
    sessions: int

    @property
    def value(self) -> float:
        return float(self.points.mean())

    def __mul__(self, factor: float) -> Sample:
        return Sample(self.points * factor, self.resamples * factor, self.sessions)

    def __add__(self, other: Sample) -> Sample:
        """Of the same runs, seed by seed; of different runs see `effect`."""
        return Sample(self.points + other.points, self.resamples + other.resamples, self.sessions)

    @property
    def seed_variance(self) -> float:
        """Variance of the mean over seeds that is the seeds' own, not the sessions'; 0 for a single seed."""
        K = len(self.points)
        if K == 1:
            return 0.0
        # How far the seeds' means spread by the sessions alone: the spread of their resamples about each's own point.
        moved = self.resamples - self.points  # (replicates, K)
        by_sessions = (moved - moved.mean(1, keepdims=True)).var(0).sum() / (K - 1)
        return max(0.0, float(self.points.var(ddof=1) - by_sessions)) / K


@dataclass(frozen=True)
class Effect:
    """A number with its 95 % interval, and the two-sided p-value of its being 0; in points where `one_run` is set."""

    value: float
    low: float
    high: float
    p: float
    one_run: bool = False  # whether a row in it has a single seed

    @property
    def side(self) -> int:
        """1 above 0 beyond noise, -1 below; 0 where there is no telling, as under ONE_RUN points from a single run."""
        if self.one_run and abs(self.value) < ONE_RUN:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def samples(
    values: Sequence[np.ndarray],
    session: np.ndarray,
    where: Sequence[np.ndarray] | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Sample]:
    """The means of many rows at once, over the same resamples of the sessions.

    Args:
        values: for each row (K, n): of each seed, what each test prefix is worth (1 for a hit, 1 / rank, ...).
        session: (n,) the test session of each prefix, numbered from 0.
        where: for each row (n,) bool, the prefixes it is about; default all.
    """
    masks = where or [np.ones(len(session), dtype=bool)] * len(values)
    sums, sizes = [], []
    n_sessions = int(session.max(initial=-1)) + 1
    for row, mask in zip(values, masks, strict=True):
        for one in np.atleast_2d(row):
            sums.append(np.bincount(session[mask], one[mask], n_sessions))
            sizes.append(np.bincount(session[mask], minlength=n_sessions))
    totals, counts = np.column_stack(sums), np.column_stack(sizes).astype(float)  # (sessions, columns) both
    drawn = resampled_means(totals, counts, replicates=replicates, seed=seed)
    with np.errstate(invalid="ignore"):
        points = totals.sum(0) / counts.sum(0)
    ends = np.cumsum([len(np.atleast_2d(row)) for row in values])
    spans = [slice(end - len(np.atleast_2d(row)), end) for row, end in zip(values, ends, strict=True)]
    return [Sample(points[span], drawn[:, span], n_sessions) for span in spans]


def resampled_means(
    totals: np.ndarray, counts: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0
) -> np.ndarray:
    """sum of totals / sum of counts over the sessions of each resample, (replicates, columns).

    Args:
        totals: (sessions, columns).
        counts: (sessions, columns) or (sessions, 1).
    """
    rng = np.random.default_rng(seed)
    n = len(totals)
    means = np.empty((replicates, totals.shape[1]))
    for begin in range(0, replicates, CHUNK):
        rows = min(CHUNK, replicates - begin)
        drawn = rng.integers(0, n, (rows, n))  # (rows, sessions)
        drawn += np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)
        with np.errstate(invalid="ignore"):  # no prefix of that kind in a resample: not a number
            means[begin : begin + rows] = (times @ totals) / (times @ counts)
    return means


def effect(*terms: tuple[float, Sample]) -> Effect:
    """The weighted sum of the means of different runs, over seeds too: (1, a), (-1, b) is the difference of a and b."""
    value = sum(weight * one.value for weight, one in terms)
    moved = sum((weight * one.resamples.mean(1) for weight, one in terms), np.zeros(1)) - value  # (replicates,)
    moved = moved[np.isfinite(moved)]
    if not len(moved):
        return Effect(value, np.nan, np.nan, np.nan)
    variances = [(weight**2 * one.seed_variance, len(one.points) - 1) for weight, one in terms]
    variances.append((float(moved.var()), terms[0][1].sessions - 1))
    between = sum(variance for variance, _ in variances[:-1])
    moved = moved + np.sqrt(between) * np.random.default_rng(1).standard_normal(len(moved))
    squares = sum(variance**2 / max(freedom, 1) for variance, freedom in variances)
    freedom = sum(variance for variance, _ in variances) ** 2 / squares if squares else np.inf
    upper = (1 + LEVEL) / 2
    moved *= stats.t.ppf(upper, freedom) / stats.norm.ppf(upper)
    low, high = np.quantile(moved, [1 - upper, upper])
    p = (1 + int(np.sum(np.abs(moved) >= abs(value)))) / (1 + len(moved))
    return Effect(value, value + float(low), value + float(high), p, min(len(one.points) for _, one in terms) == 1)


def holm(p: Sequence[float]) -> list[float]:
    """p-values made fit for as many tests as there are (Holm, Scand. J. Stat. 6, 1979), in the order given."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    factors = len(p) - np.arange(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * factors))
    return [float(one) for one in adjusted]
