"""How sure a number is: noise between test sessions, noise between seeds, and what the two allow to say.

A row of a table is a model that was run once or under several seeds. Its number m is a mean over test prefixes and
seeds. Of a difference of rows A and B on the same prefixes, and in the same way of any weighted sum of rows,

    s^2 = s_session^2 + sigma^2 (1 / K_A + 1 / K_B)

- s_session: prefixes of one session hang together, so sessions are the units. With u_c, how far session c moves the
  difference of the seeds' means (its influence: Liang & Zeger, Biometrika 73, 1986), s_session^2 = G / (G - 1) sum
  u_c^2 over G sessions. Rows are paired because influences are subtracted before they are squared.
- sigma: other seeds move a number too, and no set of sessions shows it. The spread of runs about the mean of their row
  is pooled over all rows with several seeds within a data set and metric; K runs each of R rows give R (K - 1) degrees
  of freedom. Rows without chance, such as a popularity count, have none; whoever measures says which those are.
- Both parts are estimates, sigma often from few runs. With t_1 and t_2, quantiles of Student's t at the degrees of
  freedom of each part, an interval is the value and to either side sqrt(t_1^2 s_session^2 + t_2^2 s_seed^2). It covers
  at least as often as it says (Banerjee, Sankhya 22, 1960), and as often where one part is the larger by far. The
  p-value is the level at which 0 is the interval's end. A single t for the sum with Satterthwaite's degrees of freedom
  is narrower and was tried first: by chance a sigma comes out small, and just then it finds degrees of freedom galore.
  With two seeds a row, 3 degrees of freedom for sigma and more noise between seeds than between sessions (the worlds
  of tests/test_coverage.py) it called 0.7 % of true hypotheses false at a level of 0.14 %, and 6.0 % at 5 %; the
  interval here 0.08 % and 4.1 %.
- s_session has 2 G / (kurtosis - 1) degrees of freedom, at most G - 1, with the kurtosis of the u_c: a variance that
  hangs on few long sessions is known less well than their number suggests.

Nothing is subtracted and nothing clipped at zero. So one part is counted twice: that two seeds of a model err on
different prefixes is in their spread sigma as it is in s_session, where 1 / K_A + 1 / K_B of it is left in the mean
over seeds. The sum is then too large, never too small: at most twice the true variance, where there is no other noise
at all, and hardly where seeds move a model as a whole. Single runs of NARM on YOOCHOOSE 1/64: this part has a standard
deviation of 0.08 points of Recall@20, sigma is 0.19, and intervals are 7 % too wide. The difference that would remove
it (spread less sessions' part) is negative by chance where seeds are few, and clipping it made intervals too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

LEVEL = 0.95
ALPHA = 0.05
FURTHEST = 20.0  # normal deviate of p = 5e-89, the least p-value that is told from 0
POWER = 2.8  # z(0.975) + z(0.8): a true effect of 2.8 s has p < 0.05 four times in five


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise between seeds of one metric on one data set, pooled over rows."""

    residuals: np.ndarray  # (runs,) each run's value less the mean of its row
    df: int  # runs less rows

    @property
    def sigma(self) -> float:
        """Standard deviation of a single run about what its row has in the mean over seeds."""
        return math.sqrt(float((self.residuals**2).sum()) / self.df)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A row's mean over test prefixes and seeds. It is linear in the prefixes, and so are a multiple and a sum of it.

    `+` is for the same runs measured twice, say on short and on long prefixes; rows that were run apart meet in
    `contrast`.
    """

    points: np.ndarray  # (K,) of each seed
    influence: np.ndarray  # (test sessions,) how far each moves the mean over seeds; sums to 0
    sessions: int  # that have a prefix in the mean
    deterministic: bool = False  # another seed gives the same ranks
    noise: Noise | None = None  # None: not known, or the row has none

    @property
    def value(self) -> float:
        return float(self.points.mean())

    @property
    def unknown(self) -> bool:
        """Whether there is noise between seeds whose size nobody knows."""
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
    """A number and its two variances. Where fewer than two sessions bear on it all but the value is not a number."""

    value: float
    session_variance: float
    session_df: float
    seed_variance: float
    seed_df: float
    one_run_variance: float  # what seed_variance would be, had every row a single run
    half: int  # the fewest sessions that carry half of session_variance

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
        """Two-sided p-value of its being 0: below 0.05 just where the 95 % interval leaves 0 out."""
        return self.p_beyond(0.0)

    def p_beyond(self, bound: float) -> float:
        """p-value of its lying within -bound and bound: below 0.05 just where the 95 % interval lies outside."""
        distance = abs(self.value) - bound
        if math.isnan(self.s) or distance <= 0:
            return math.nan if math.isnan(self.s) else 1.0

        def short(z: float) -> float:
            return self._half(2 * special.ndtr(-z)) - distance

        return 2 * float(special.ndtr(-optimize.brentq(short, 0.0, FURTHEST))) if short(FURTHEST) > 0 else 0.0

    @property
    def detectable(self) -> float:
        """The smallest true effect that such noise lets one find, four times in five at p < 0.05."""
        return POWER * self.s

    def against(self, published: float) -> Estimate:
        """Its difference to a number that others published from one run of each row.

        Their sessions are as noisy as ours, their seeds as those of single runs.
        """
        return replace(
            self,
            value=self.value - published,
            session_variance=2 * self.session_variance,
            seed_variance=self.seed_variance + self.one_run_variance,
        )


@dataclass(frozen=True)
class OneRun:
    """One run: not judged. A row in it has a single seed, and what another seed would change is not known."""

    these_runs: Estimate  # as if there were no noise between seeds: about the runs, not about the models

    @property
    def value(self) -> float:
        return self.these_runs.value


Judged = Estimate | OneRun


def measure(
    values: np.ndarray, session: np.ndarray, where: np.ndarray | None = None, *, deterministic: bool = False
) -> Measurement:
    """The mean of a row over the prefixes asked for. Its noise between seeds comes with `with_noise`.

    Args:
        values: (K, n), of each seed what each test prefix is worth, in points: 100 for a hit, 100 / rank, ...
        session: (n,) the test session of each prefix, numbered from 0; the same for all rows that are compared.
        where: (n,) bool, the prefixes asked for; default all.
        deterministic: another seed gives the same values.
    """
    n_sessions = int(session.max(initial=-1)) + 1
    if where is not None:
        values, session = values[:, where], session[where]
    with np.errstate(invalid="ignore"):  # of no prefixes: not a number
        points = values.sum(1) / np.float64(len(session))
        totals = np.bincount(session, values.mean(0), n_sessions)
        counts = np.bincount(session, minlength=n_sessions)
        influence = (totals - points.mean() * counts) / np.float64(len(session))
    return Measurement(points, influence, int(np.count_nonzero(counts)), deterministic)


def pooled_noise(rows: Iterable[Measurement]) -> Noise | None:
    """The noise between seeds, from every row with several of them; None where there is no such row."""
    several = [one for one in rows if not one.deterministic and len(one.points) > 1]
    if not several:
        return None
    residuals = np.concatenate([one.points - one.value for one in several])
    return Noise(residuals, len(residuals) - len(several))


def equal_noise(rows: Sequence[Measurement]) -> float:
    """p-value of Bartlett's test (Proc. R. Soc. A 160, 1937) that the runs of two rows or more spread alike."""
    df = np.array([len(one.points) - 1 for one in rows])
    variances = np.array([one.points.var(ddof=1) for one in rows])
    if not variances.all():
        return 0.0 if variances.any() else 1.0
    apart = df.sum() * math.log(df @ variances / df.sum()) - df @ np.log(variances)
    scale = 1 + ((1 / df).sum() - 1 / df.sum()) / (3 * (len(rows) - 1))
    return float(special.chdtrc(len(rows) - 1, apart / scale))


def with_noise(rows: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """The rows of one data set and metric, each with the noise between seeds that is pooled over all of them."""
    noise = pooled_noise(rows.values())
    return {label: one if one.deterministic else replace(one, noise=noise) for label, one in rows.items()}


def contrast(terms: Sequence[tuple[float, Measurement]], value: float | None = None) -> Judged:
    """The weighted sum of rows that were run apart, measured on the same test sessions.

    Args:
        terms: weight and row; the runs of each row occur in one term only (see Measurement for `+`).
        value: what the weighted sum is the first-order change of (the delta method); default the sum itself.

    Raises:
        ValueError: a row of several seeds has no noise: `with_noise` was forgotten.
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
    """Cluster-robust variance of a sum of influences, its degrees of freedom, the sessions that carry half of it."""
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
    """a - b, in points."""
    return contrast([(1.0, a), (-1.0, b)])


def relative_gain(a: Measurement, b: Measurement) -> Judged:
    """100 (a / b - 1), in per cent, by the delta method; not a number where b is 0."""
    base = b.value or math.nan
    share = a.value / base
    return contrast([(100 / base, a), (-100 * share / base, b)], 100 * (share - 1))


def gain_difference(here: tuple[Measurement, Measurement], there: tuple[Measurement, Measurement]) -> Judged:
    """The relative gain of one row over another on some prefixes less the same on other prefixes, in per cent.

    The two rows are the same in `here` and `there`, so what a seed does to a row in both places is not two noises.
    """
    (a1, b1), (a2, b2) = here, there
    base1, base2 = b1.value or math.nan, b2.value or math.nan
    share1, share2 = a1.value / base1, a2.value / base2
    better = a1 * (100 / base1) + a2 * (-100 / base2)
    worse = b1 * (-100 * share1 / base1) + b2 * (100 * share2 / base2)
    return contrast([(1.0, better), (1.0, worse)], 100 * (share1 - share2))
