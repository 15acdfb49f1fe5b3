"""How certain a number is: noise between test sessions, noise between seeds, and the intervals and tests from both.

A row of a table is a model that was run with one or several seeds. Its number m is a mean over test prefixes and seeds.
A weighted sum of rows, such as the difference of two of them, is value +- h, with rows i of weight w_i and K_i seeds:

    h^2 = t_G^2 tau^2 + sum t_i^2 w_i^2 s_i^2 / K_i
    tau^2 = max(0, s_session^2 - sum w_i^2 d_i^2 / K_i)

- s_session: prefixes of one session are not independent, so sessions are the units. Let u_c be how far session c moves
  the weighted sum of the seeds' means (its influence: Liang & Zeger, Biometrika 73, 1986). Then s_session^2 =
  G / (G - 1) sum u_c^2 over G sessions. Rows are paired because influences are added before they are squared. It has
  2 G / (kurtosis - 1) degrees of freedom, at most G - 1, with the kurtosis of the u_c: a variance that depends on a few
  long sessions is known less well than the number of sessions suggests.
- d_i: two seeds of a model err on different prefixes. This is part of the noise between seeds, and 1 / K_i of it
  remains in the mean over seeds and thus in s_session. d_i^2 is half the mean session variance of the difference of two
  of the row's seeds; it is taken out of s_session once. For a single run it cannot be seen, and nothing is taken out.
- s_i: other seeds change a number too, which no set of sessions shows. Models of a family (`Recommender.family`) vary
  about equally, and few seeds tell a standard deviation badly, so a row's own variance is moderated towards that of its
  family (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, with two prior degrees of freedom). With v_j the variance of the
  K_j seeds of each row j of the family, nu = sum (K_j - 1) and s^2 = sum (K_j - 1) v_j / nu,

      s_i^2 = (n s^2 + (K_i - 1) v_i) / (n + K_i - 1), n = min(2, nu), with min(n + K_i - 1, nu) degrees of freedom.

  A single run has s^2 with n degrees of freedom. Rows without random numbers, such as POP, have no such noise.
- t_G and t_i are quantiles of Student's t at the degrees of freedom of the parts. The coverage of a sum of such parts
  is at least its level (Banerjee, Sankhya 22, 1960) and equal to it if one part is by far the largest. The p-value is
  the level at which 0 is the interval's end.

tests/test_coverage.py simulates this rule on the real test sessions of YOOCHOOSE 1/64 and shows what goes wrong without
families: one standard deviation for all rows makes intervals of networks too wide and those of noisy models too narrow.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

LEVEL = 0.95
ALPHA = 0.05
FURTHEST = 20.0  # normal deviate of p = 5e-89, the smallest p-value that is distinguished from 0
PRIOR = 2  # degrees of freedom with which a family's variance enters that of a row
FEW = 3  # a verdict that rests on a row with fewer seeds is provisional
MOST_SEEDS = 100  # more are not considered when asking how many seeds a verdict needs
POWER = 0.8


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise between seeds of a family of models, in one metric on one data set."""

    residuals: np.ndarray  # (runs,) each run's value less the mean of its row
    df: int  # the number of runs minus the number of rows
    by_prefix: float = 0.0  # the mean d^2 of its rows: what of the variance comes from erring on different prefixes
    lender: str = ""  # the data set it was borrowed from; empty: the rows' own

    @property
    def variance(self) -> float:
        """Variance of a single run about the expected value of its row over seeds."""
        return float((self.residuals**2).sum()) / self.df

    def times(self, factor: float) -> Noise:
        return replace(self, residuals=self.residuals * factor, by_prefix=self.by_prefix * factor**2)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A row's mean over test prefixes and seeds; it is linear in the prefixes, so it can be multiplied and added.

    `+` is for the same runs measured twice, say on short and on long prefixes; rows with separate runs are combined by
    `contrast`.
    """

    points: np.ndarray  # (K,) the mean of each seed
    influences: np.ndarray  # (K, test sessions) how far each session moves the mean of a seed; each row sums to 0
    sessions: int  # the number of sessions with a prefix in the mean
    deterministic: bool = False  # every seed gives the same ranks
    family: str = ""  # the models that vary about as much between seeds
    noise: Noise | None = None  # of the family; None: not known, or the row has none

    @property
    def value(self) -> float:
        return float(self.points.mean())

    @property
    def influence(self) -> np.ndarray:
        """How far each test session moves the mean over seeds, (test sessions,)."""
        return np.asarray(self.influences.mean(0))

    @property
    def unknown(self) -> bool:
        """Whether there is noise between seeds of unknown size."""
        return not self.deterministic and self.noise is None

    @property
    def by_prefix(self) -> float:
        """d^2: half the mean session variance of the difference of two seeds; 0 where there is one seed."""
        if self.deterministic or len(self.points) < 2 or self.sessions < 2:
            return 0.0
        # Half the mean squared difference over all pairs is the variance.
        return float(self.influences.var(0, ddof=1).sum()) * self.sessions / (self.sessions - 1)

    @property
    def counted_twice(self) -> float:
        """d^2 / K: the noise between seeds that the session variance of the mean over seeds contains."""
        return self.by_prefix / len(self.points)

    @property
    def by_seed(self) -> SeedPart | None:
        """The noise between seeds of this row; None if it is not known or there is none."""
        if self.deterministic or self.noise is None:
            return None
        K, prior = len(self.points), min(PRIOR, self.noise.df)
        own = float(((self.points - self.points.mean()) ** 2).sum())  # (K - 1) times the row's own variance
        variance = (prior * self.noise.variance + own) / (prior + K - 1)
        hidden = self.noise.by_prefix if K == 1 else 0.0
        return SeedPart(variance, K, self.noise.df, hidden, self.family, self.noise.lender)

    def __mul__(self, factor: float) -> Measurement:
        noise = self.noise and self.noise.times(factor)
        return replace(self, points=self.points * factor, influences=self.influences * factor, noise=noise)

    def __add__(self, other: Measurement) -> Measurement:
        noise = self.noise and other.noise
        if self.noise and noise:
            noise = replace(noise, residuals=self.noise.residuals + noise.residuals, by_prefix=0.0)
        return replace(
            self,
            points=self.points + other.points,
            influences=self.influences + other.influences,
            sessions=min(self.sessions, other.sessions),
            noise=noise,
        )


@dataclass(frozen=True)
class SeedPart:
    """The noise between seeds of one row in an estimate."""

    single: float  # variance of a single run, multiplied by the square of the row's weight
    seeds: int
    family_df: int  # of the family's variance
    hidden: float = 0.0  # of a single run: its d^2 as far as the family tells, still contained in the session variance
    family: str = ""
    lender: str = ""  # the data set that the family's variance was borrowed from
    published: bool = False  # a single run of other authors, of which there will be no more

    @property
    def variance(self) -> float:
        return self.single / self.seeds

    @property
    def df(self) -> int:
        return min(min(PRIOR, self.family_df) + self.seeds - 1, self.family_df)


@dataclass(frozen=True)
class Estimate:
    """A number and its variances; with fewer than two sessions the standard error and all that uses it are NaN."""

    value: float
    session_variance: float  # tau^2
    session_df: float
    by_seed: tuple[SeedPart, ...] = ()  # one for each row with noise between seeds
    half: int = 0  # the smallest number of sessions that make up half of s_session^2

    @property
    def seed_variance(self) -> float:
        return sum(part.variance for part in self.by_seed)

    @property
    def s(self) -> float:
        """The standard error."""
        return math.sqrt(self.session_variance + self.seed_variance)

    @property
    def provisional(self) -> bool:
        """Whether it rests on a row of ours with fewer than three seeds."""
        return any(part.seeds < FEW and not part.published for part in self.by_seed)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        half = self._half(1 - level)
        return self.value - half, self.value + half

    def _half(self, alpha: float) -> float:
        parts = [(self.session_variance, self.session_df), *((part.variance, part.df) for part in self.by_seed)]
        return math.hypot(*(-special.stdtrit(df, alpha / 2) * math.sqrt(v) for v, df in parts if v != 0))

    @property
    def low(self) -> float:
        return self.interval()[0]

    @property
    def high(self) -> float:
        return self.interval()[1]

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that it is 0: below 0.05 exactly if the 95 % interval leaves out 0."""
        return self.p_beyond(0.0)

    def p_beyond(self, bound: float) -> float:
        """Return the p-value of lying between -bound and bound: below 0.05 if all of the 95 % interval is outside."""
        distance = abs(self.value) - bound
        if math.isnan(self.s) or distance <= 0:
            return math.nan if math.isnan(self.s) else 1.0

        def short(z: float) -> float:
            return self._half(2 * special.ndtr(-z)) - distance

        return 2 * float(special.ndtr(-optimize.brentq(short, 0.0, FURTHEST))) if short(FURTHEST) > 0 else 0.0

    def power(self, effect: float, alpha: float = ALPHA) -> float:
        """Return the probability that the interval leaves out 0 if the true value is `effect`; NaN if s is not known.

        The standard errors are taken to be as estimated.
        """
        if not self.s > 0:
            return math.nan if math.isnan(self.s) else float(effect != 0)
        z, half = abs(effect) / self.s, self._half(alpha) / self.s
        return float(special.ndtr(z - half) + special.ndtr(-z - half))

    def power_to_equate(self, effect: float, margin: float) -> float:
        """Return the probability that the 90 % interval lies within the margin if the true value is `effect`."""
        room = margin - self._half(2 * ALPHA)
        if not self.s > 0 or room <= 0:
            return math.nan if math.isnan(self.s) else float(room > 0 and abs(effect) < margin)
        return float(special.ndtr((room - effect) / self.s) - special.ndtr((-room - effect) / self.s))

    def with_seeds(self, seeds: int) -> Estimate:
        """Return the estimate as it would be if every row of ours had at least so many seeds, of the same variance."""
        ours = [part for part in self.by_seed if not part.published]
        added = Counter[str]()
        for part in ours:
            added[part.family] += max(0, seeds - part.seeds)
        hidden = sum(part.hidden for part in ours) if seeds > 1 else 0.0
        grown = [
            replace(part, seeds=max(seeds, part.seeds), family_df=part.family_df + added[part.family], hidden=0.0)
            for part in ours
        ]
        return replace(
            self,
            session_variance=max(0.0, self.session_variance - hidden),
            by_seed=(*grown, *(part for part in self.by_seed if part.published)),
        )

    def against(self, published: float) -> Estimate:
        """Return its difference from a number that others published from one run of each row.

        Their noise between sessions is taken to be as large as ours, their noise between seeds as that of single runs.
        """
        theirs = tuple(replace(part, seeds=1, published=True) for part in self.by_seed)
        return replace(
            self,
            value=self.value - published,
            session_variance=2 * self.session_variance,
            by_seed=(*self.by_seed, *theirs),
        )

    def seeds_for(self, power: Callable[[Estimate], float]) -> int | None:
        """Return the least number of seeds of each row of ours with which the power is 0.8; None if 100 are too few.

        Args:
            power: from the estimate as it would be with so many seeds; see `power` and `power_to_equate`.
        """
        enough = (seeds for seeds in range(1, MOST_SEEDS + 1) if power(self.with_seeds(seeds)) >= POWER)
        return next(enough, None)


@dataclass(frozen=True)
class OneRun:
    """An effect that is not judged: how much another seed would change one of its rows is not known anywhere."""

    these_runs: Estimate  # without noise between seeds: a statement about the runs, not the models

    @property
    def value(self) -> float:
        return self.these_runs.value

    def against(self, published: float) -> OneRun:
        return OneRun(self.these_runs.against(published))


Judged = Estimate | OneRun


def measure(
    values: np.ndarray,
    session: np.ndarray,
    where: np.ndarray | None = None,
    *,
    deterministic: bool = False,
    family: str = "",
) -> Measurement:
    """Measure the mean of a row over the prefixes asked for; `with_noise` adds its noise between seeds.

    Args:
        values: (K, n), for each seed the value of each test prefix, in points: 100 for a hit, 100 / rank, ...
        session: (n,) the test session of each prefix, numbered from 0; the same for all rows that are compared.
        where: (n,) bool, the prefixes asked for; default all.
        deterministic: every seed gives the same values.
        family: the models that vary about as much between seeds.
    """
    n_sessions = int(session.max(initial=-1)) + 1
    if where is not None:
        values, session = values[:, where], session[where]
    with np.errstate(invalid="ignore"):  # the mean of no prefixes is NaN
        points = values.sum(1) / np.float64(len(session))
        totals = np.stack([np.bincount(session, seed, n_sessions) for seed in values])
        counts = np.bincount(session, minlength=n_sessions)
        influences = (totals - points[:, None] * counts) / np.float64(len(session))
    return Measurement(points, influences, int(np.count_nonzero(counts)), deterministic, family)


def pooled_noise(rows: Iterable[Measurement]) -> Noise | None:
    """Pool the noise between seeds over the rows of a family with several seeds; None if there is no such row."""
    several = [row for row in rows if not row.deterministic and len(row.points) > 1]
    if not several:
        return None
    residuals = np.concatenate([row.points - row.value for row in several])
    df = len(residuals) - len(several)
    return Noise(residuals, df, sum((len(row.points) - 1) * row.by_prefix for row in several) / df)


def with_noise(rows: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Give the rows of one data set and metric the noise between seeds that is pooled over the rows of their family."""
    noise = {
        family: pooled_noise(row for row in rows.values() if row.family == family)
        for family in {row.family for row in rows.values()}
    }
    return {key: row if row.deterministic else replace(row, noise=noise[row.family]) for key, row in rows.items()}


def contrast(terms: Sequence[tuple[float, Measurement]], value: float | None = None) -> Judged:
    """Estimate a weighted sum of rows with separate runs, measured on the same test sessions.

    Args:
        terms: weights and rows; the runs of each row occur in one term only (see Measurement for `+`).
        value: the number whose first-order change the weighted sum is (the delta method); default the sum itself.

    Raises:
        ValueError: a row with several seeds has no noise because `with_noise` was not called.
    """
    if any(row.unknown and len(row.points) > 1 for _, row in terms):
        raise ValueError("a row of several seeds without its noise: call with_noise on all rows first")
    influence = np.sum([weight * row.influence for weight, row in terms], axis=0)  # (sessions,)
    G = min(row.sessions for _, row in terms)
    variance, df, half = _by_sessions(influence, G)
    twice = sum(weight**2 * row.counted_twice for weight, row in terms)
    parts = [(weight**2, row.by_seed) for weight, row in terms]
    estimate = Estimate(
        value=float(sum(weight * row.value for weight, row in terms)) if value is None else value,
        session_variance=variance if math.isnan(variance) else max(0.0, variance - twice),
        session_df=df,
        by_seed=tuple(
            replace(part, single=square * part.single, hidden=square * part.hidden) for square, part in parts if part
        ),
        half=half,
    )
    return OneRun(estimate) if any(row.unknown for _, row in terms) else estimate


def _by_sessions(influence: np.ndarray, G: int) -> tuple[float, float, int]:
    """Return the cluster-robust variance, its degrees of freedom, and how many sessions make up half of it."""
    squares = influence**2
    total = float(squares.sum())
    if G < 2 or not math.isfinite(total):
        return math.nan, math.nan, 0
    if total == 0:
        return 0.0, G - 1.0, 0
    kurtosis = G * float((squares**2).sum()) / total**2
    df = min(G - 1.0, 2 * G / (kurtosis - 1)) if kurtosis > 1 else G - 1.0
    half = int(np.searchsorted(np.cumsum(np.sort(squares)[::-1]), total / 2)) + 1
    return G / (G - 1) * total, df, half


def difference(a: Measurement, b: Measurement) -> Judged:
    """Estimate a - b, in points."""
    return contrast([(1.0, a), (-1.0, b)])


def relative_gain(a: Measurement, b: Measurement) -> Judged:
    """Estimate 100 (a / b - 1), in per cent, by the delta method; NaN if b is 0."""
    base = b.value or math.nan
    share = a.value / base
    return contrast([(100 / base, a), (-100 * share / base, b)], 100 * (share - 1))


def gain_difference(here: tuple[Measurement, Measurement], there: tuple[Measurement, Measurement]) -> Judged:
    """Estimate the relative gain of one row over another on some prefixes less that on other prefixes, in per cent.

    `here` and `there` hold the same two rows, so a seed's effect on a row in both places is one noise, not two.
    """
    (a1, b1), (a2, b2) = here, there
    base1, base2 = b1.value or math.nan, b2.value or math.nan
    share1, share2 = a1.value / base1, a2.value / base2
    better = a1 * (100 / base1) + a2 * (-100 / base2)
    worse = b1 * (-100 * share1 / base1) + b2 * (100 * share2 / base2)
    return contrast([(1.0, better), (1.0, worse)], 100 * (share1 - share2))
