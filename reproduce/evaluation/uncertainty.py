"""How certain a number is: noise between test sessions, noise between seeds, and the intervals and tests from both.

A row of a table is a model that was run with one or several seeds. Its number m is a mean over test prefixes and seeds.
The variance of a difference of rows A and B on the same prefixes, and likewise of any weighted sum of rows, is

    s^2 = s_session^2 + sigma^2 (1 / K_A + 1 / K_B)

- s_session: prefixes of one session are not independent, so sessions are the units. Let u_c be how far session c moves
  the difference of the seeds' means (its influence: Liang & Zeger, Biometrika 73, 1986). Then s_session^2 = G / (G - 1)
  sum u_c^2 over G sessions. Rows are paired because influences are subtracted before they are squared.
- sigma: other seeds change a number too, which no set of sessions shows. The spread of runs about the mean of their row
  is pooled over all rows with several seeds within a data set and metric; K runs of each of R rows give R (K - 1)
  degrees of freedom. Rows without random numbers, such as POP, have no such noise; the caller says which those are.
- Both parts are estimates, sigma often from few runs. With t_1 and t_2, the quantiles of Student's t at the degrees of
  freedom of the two parts, and s_seed^2, the second part, an interval is the value +- sqrt(t_1^2 s_session^2 + t_2^2
  s_seed^2). Its coverage is at least its level (Banerjee, Sankhya 22, 1960), and equal to it if one part is by far the
  larger. The p-value is the level at which 0 is the interval's end. A single t for the sum with Satterthwaite's degrees
  of freedom is narrower and was tried first. But if sigma happens to come out small, that method assigns too many
  degrees of freedom. With two seeds a row, 3 degrees of freedom for sigma and more noise between seeds than between
  sessions (the settings of tests/test_coverage.py) it rejected 0.7 % of true hypotheses at a level of 0.14 %, and 6.0 %
  at 5 %; the interval here rejects 0.08 % and 4.1 %.
- s_session has 2 G / (kurtosis - 1) degrees of freedom, at most G - 1, with the kurtosis of the u_c: a variance that
  depends on a few long sessions is known less well than the number of sessions suggests.

Nothing is subtracted or clipped at zero, so one part is counted twice. Two seeds of a model err on different prefixes;
this is part of sigma, and also of s_session, where 1 / K_A + 1 / K_B of it remains in the mean over seeds. The sum is
therefore too large, never too small: at most twice the true variance, if there is no other noise at all, and hardly too
large if a seed moves a model as a whole. For single runs of NARM on YOOCHOOSE 1/64 this part has a standard deviation
of 0.08 points of Recall@20 and sigma is 0.19, so intervals are 7 % too wide. Subtracting this part from sigma^2 can
give a negative number if seeds are few, and clipping that at zero made intervals too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

LEVEL = 0.95
ALPHA = 0.05
FURTHEST = 20.0  # normal deviate of p = 5e-89, the smallest p-value that is distinguished from 0
POWER = 2.8  # z(0.975) + z(0.8): a true effect of 2.8 s has p < 0.05 four times in five


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise between seeds of one metric on one data set, pooled over rows."""

    residuals: np.ndarray  # (runs,) each run's value less the mean of its row
    df: int  # the number of runs minus the number of rows

    @property
    def sigma(self) -> float:
        """Standard deviation of a single run about the expected value of its row over seeds."""
        return math.sqrt(float((self.residuals**2).sum()) / self.df)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A row's mean over test prefixes and seeds; it is linear in the prefixes, so it can be multiplied and added.

    `+` is for the same runs measured twice, say on short and on long prefixes; rows with separate runs are combined by
    `contrast`.
    """

    points: np.ndarray  # (K,) the mean of each seed
    influence: np.ndarray  # (test sessions,) how far each moves the mean over seeds; sums to 0
    sessions: int  # the number of sessions with a prefix in the mean
    deterministic: bool = False  # every seed gives the same ranks
    noise: Noise | None = None  # None: not known, or the row has none

    @property
    def value(self) -> float:
        return float(self.points.mean())

    @property
    def unknown(self) -> bool:
        """Whether there is noise between seeds of unknown size."""
        return not self.deterministic and self.noise is None

    @property
    def one_run_variance(self) -> float:
        """Variance between seeds of a single run."""
        return 0.0 if self.deterministic or self.noise is None else self.noise.sigma**2

    def __mul__(self, factor: float) -> Measurement:
        noise = self.noise and Noise(self.noise.residuals * factor, self.noise.df)
        return replace(self, points=self.points * factor, influence=self.influence * factor, noise=noise)

    def __add__(self, other: Measurement) -> Measurement:
        noise = self.noise and other.noise and Noise(self.noise.residuals + other.noise.residuals, self.noise.df)
        return replace(
            self,
            points=self.points + other.points,
            influence=self.influence + other.influence,
            sessions=min(self.sessions, other.sessions),
            noise=noise,
        )


@dataclass(frozen=True)
class Estimate:
    """A number and its two variances; with fewer than two sessions the standard error and all that uses it are NaN."""

    value: float
    session_variance: float
    session_df: float
    seed_variance: float
    seed_df: float
    one_run_variance: float  # what seed_variance would be if every row had a single run
    half: int  # the smallest number of sessions that make up half of session_variance

    @property
    def s(self) -> float:
        """The standard error."""
        return math.sqrt(self.session_variance + self.seed_variance)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        half = self._half(1 - level)
        return self.value - half, self.value + half

    def _half(self, alpha: float) -> float:
        parts = [(self.session_variance, self.session_df), (self.seed_variance, self.seed_df)]
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

    @property
    def detectable(self) -> float:
        """The smallest true effect that, at this noise, is found with p < 0.05 four times in five."""
        return POWER * self.s

    def against(self, published: float) -> Estimate:
        """Return its difference from a number that others published from one run of each row.

        Their noise between sessions is taken to be as large as ours, their noise between seeds as that of single runs.
        """
        return replace(
            self,
            value=self.value - published,
            session_variance=2 * self.session_variance,
            seed_variance=self.seed_variance + self.one_run_variance,
        )


@dataclass(frozen=True)
class OneRun:
    """An effect that is not judged: a row has a single run, and how much another seed would change is not known."""

    these_runs: Estimate  # without noise between seeds: a statement about the runs, not the models

    @property
    def value(self) -> float:
        return self.these_runs.value


Judged = Estimate | OneRun


def measure(
    values: np.ndarray, session: np.ndarray, where: np.ndarray | None = None, *, deterministic: bool = False
) -> Measurement:
    """Measure the mean of a row over the prefixes asked for; `with_noise` adds its noise between seeds.

    Args:
        values: (K, n), for each seed the value of each test prefix, in points: 100 for a hit, 100 / rank, ...
        session: (n,) the test session of each prefix, numbered from 0; the same for all rows that are compared.
        where: (n,) bool, the prefixes asked for; default all.
        deterministic: every seed gives the same values.
    """
    n_sessions = int(session.max(initial=-1)) + 1
    if where is not None:
        values, session = values[:, where], session[where]
    with np.errstate(invalid="ignore"):  # the mean of no prefixes is NaN
        points = values.sum(1) / np.float64(len(session))
        totals = np.bincount(session, values.mean(0), n_sessions)
        counts = np.bincount(session, minlength=n_sessions)
        influence = (totals - points.mean() * counts) / np.float64(len(session))
    return Measurement(points, influence, int(np.count_nonzero(counts)), deterministic)


def pooled_noise(rows: Iterable[Measurement]) -> Noise | None:
    """Pool the noise between seeds over all rows with several seeds; None if there is no such row."""
    several = [one for one in rows if not one.deterministic and len(one.points) > 1]
    if not several:
        return None
    residuals = np.concatenate([one.points - one.value for one in several])
    return Noise(residuals, len(residuals) - len(several))


def equal_noise(rows: Sequence[Measurement]) -> float:
    """Return the p-value of Bartlett's test (Proc. R. Soc. A 160, 1937) that two or more rows spread equally."""
    df = np.array([len(one.points) - 1 for one in rows])
    variances = np.array([one.points.var(ddof=1) for one in rows])
    if not variances.all():
        return 0.0 if variances.any() else 1.0
    apart = df.sum() * math.log(df @ variances / df.sum()) - df @ np.log(variances)
    scale = 1 + ((1 / df).sum() - 1 / df.sum()) / (3 * (len(rows) - 1))
    return float(special.chdtrc(len(rows) - 1, apart / scale))


def with_noise(rows: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Give the rows of one data set and metric the noise between seeds that is pooled over all of them."""
    noise = pooled_noise(rows.values())
    return {label: one if one.deterministic else replace(one, noise=noise) for label, one in rows.items()}


def contrast(terms: Sequence[tuple[float, Measurement]], value: float | None = None) -> Judged:
    """Estimate a weighted sum of rows with separate runs, measured on the same test sessions.

    Args:
        terms: weights and rows; the runs of each row occur in one term only (see Measurement for `+`).
        value: the number whose first-order change the weighted sum is (the delta method); default the sum itself.

    Raises:
        ValueError: a row with several seeds has no noise because `with_noise` was not called.
    """
    if any(one.unknown and len(one.points) > 1 for _, one in terms):
        raise ValueError("a row of several seeds without its noise: call with_noise on all rows first")
    influence = np.sum([weight * one.influence for weight, one in terms], axis=0)  # (sessions,)
    G = min(one.sessions for _, one in terms)
    variance, df, half = _by_sessions(influence, G)
    noisy = [(weight**2 * one.one_run_variance, one) for weight, one in terms if one.one_run_variance > 0]
    estimate = Estimate(
        value=float(sum(weight * one.value for weight, one in terms)) if value is None else value,
        session_variance=variance,
        session_df=df,
        seed_variance=sum(noise / len(one.points) for noise, one in noisy),
        seed_df=min((one.noise.df for _, one in noisy if one.noise), default=math.inf),
        one_run_variance=sum(noise for noise, _ in noisy),
        half=half,
    )
    return OneRun(estimate) if any(one.unknown for _, one in terms) else estimate


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
