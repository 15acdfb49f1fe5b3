"""Comparisons of many rows: intervals that hold together for all pairs, or for those with one row; the best rows.

Thirteen rows make 78 pairs, and one in twenty 95 % intervals misses the true value. So p_j, the p-value of pair j
alone, is replaced by P(min_k p_k <= p_j) under the hypothesis that no two rows differ, and all intervals are given the
level at which that probability is 5 %. They then all hold together in 95 % of cases, and an interval leaves out 0
exactly if its p-value is below 0.05. With equal degrees of freedom this is the single-step max-t procedure (Hothorn,
Bretz & Westfall, Biom. J. 50, 2008). The distribution of min_k p_k is simulated from the joint distribution of the
pairs: normal numbers with the estimated covariance of the rows, each pair divided by its own standard error. All parts
of the standard errors are drawn too: the variance between sessions with one number for all pairs, that between seeds
with a chi-square for every row. Simulated p-values do not go below 1 in 20,000; Bonferroni's bound is the smaller one
there, so p-values have no lower limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from reproduce.evaluation.uncertainty import ALPHA, Estimate, Measurement, OneRun, difference

DRAWS = 19_999  # so that (1 + DRAWS) ALPHA is a whole number
SEED = 0
GRID = np.linspace(0.0, 6.0, 257)  # normal deviates; one draw in 500 million is beyond the last


@dataclass(frozen=True)
class Pair:
    """The difference of two rows among many, with an interval and a p-value that hold for all pairs together."""

    alone: Estimate  # the difference judged without regard to other pairs
    low: float
    high: float
    p: float

    @property
    def value(self) -> float:
        return self.alone.value


def pairwise(rows: Mapping[str, Measurement]) -> dict[tuple[str, str], Pair | OneRun]:
    """Compare every pair of rows, the better one first; pairs with a row of unknown noise are not judged or counted."""
    pairs = [(a, b) if rows[a].value >= rows[b].value else (b, a) for a, b in combinations(rows, 2)]
    return _together(rows, pairs)


def against(rows: Mapping[str, Measurement], control: str) -> dict[str, Pair | OneRun]:
    """Compare every other row with the control, row less control; no other pairs count (Dunnett, JASA 50, 1955)."""
    pairs = [(label, control) for label in rows if label != control]
    return {label: pair for (label, _), pair in _together(rows, pairs).items()}


def _together(
    rows: Mapping[str, Measurement], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Pair | OneRun]:
    judged = {label: row for label, row in rows.items() if not row.unknown}
    compared = {frozenset(pair) for pair in pairs if judged.keys() >= set(pair)}
    most = np.zeros(DRAWS)
    for a, b, z in _null(judged):
        if {a, b} in compared:
            np.maximum(most, np.abs(z), out=most)
    drawn = 2 * special.ndtr(-most)  # the smallest p-value of each draw
    count = max(len(compared), 1)
    level = 1 - _critical(drawn, count)
    made: dict[tuple[str, str], Pair | OneRun] = {}
    for a, b in pairs:
        effect = difference(rows[a], rows[b])
        if isinstance(effect, Estimate):
            made[a, b] = Pair(effect, *effect.interval(level), _adjusted(effect.p, drawn, count))
        else:
            made[a, b] = effect
    return made


def best(rows: Mapping[str, Measurement]) -> dict[str, bool | None]:
    """Find which rows may be the best, by multiple comparisons with the best (Hsu, Ann. Stat. 12, 1984).

    Returns:
        False if some other row is better beyond noise, where all other rows are compared with this one together; else
        True. The truly best row is kept in 95 % of cases, and no row is called best merely because it came out first.
        None if the row's noise between seeds is not known; such a row is not compared with others.
    """
    judged = {label: row for label, row in rows.items() if not row.unknown}
    others = max(len(judged) - 1, 1)
    most = {label: np.full(DRAWS, -np.inf) for label in judged}  # the largest lead of another row over each
    for a, b, z in _null(judged):
        np.maximum(most[b], z, out=most[b])
        np.maximum(most[a], -z, out=most[a])
    best: dict[str, bool | None] = {}
    for label in rows:
        if label not in judged:
            best[label] = None
            continue
        behind = min((_ahead(row, judged[label]) for key, row in judged.items() if key != label), default=1.0)
        best[label] = not _adjusted(behind, special.ndtr(-most[label]), others) < ALPHA  # NaN: of a single session
    return best


def _ahead(row: Measurement, other: Measurement) -> float:
    """Return the one-sided p-value of the hypothesis that `one` is no better than `other`."""
    effect = difference(row, other)
    assert isinstance(effect, Estimate)
    return effect.p / 2 if effect.value > 0 else 1 - effect.p / 2


def _null(rows: Mapping[str, Measurement]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield every pair of rows with draws of its normal deviate z, (DRAWS,), on the hypothesis that no rows differ."""
    if len(rows) < 2:
        return
    rng = np.random.default_rng(SEED)
    U = np.stack([row.influence for row in rows.values()])  # (rows, sessions)
    G = min(row.sessions for row in rows.values())
    # By einsum: BLAS rounds differently with another number of threads, and pages must be equal to the byte.
    covariance = np.einsum("is,js->ij", U, U) * (G / max(G - 1, 1))
    covariance -= np.diag([row.counted_twice for row in rows.values()])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # (rows, rows), root @ root.T is the covariance
    moved = dict(zip(rows, np.einsum("ij,jd->id", root, rng.standard_normal((len(rows), DRAWS))), strict=True))
    drawn: dict[str, tuple[np.ndarray, float]] = {}  # the drawn variances between seeds, and their degrees of freedom
    for label, row in rows.items():
        if part := row.by_seed:
            moved[label] = moved[label] + math.sqrt(part.variance) * rng.standard_normal(DRAWS)
            drawn[label] = part.variance * rng.chisquare(part.df, DRAWS) / part.df, part.df
    sessions = rng.standard_normal(DRAWS)
    for a, b in combinations(rows, 2):
        effect = difference(rows[a], rows[b])
        assert isinstance(effect, Estimate)
        if not effect.s > 0:  # equal rows, or too few sessions: never different
            yield a, b, np.zeros(DRAWS)
            continue
        share = 2 / (9 * effect.session_df)  # of chi-square / df as a cubed normal (Wilson & Hilferty, PNAS 17, 1931)
        session = effect.session_variance * np.maximum(1 - share + sessions * np.sqrt(share), 0.0) ** 3
        parts = [(session, effect.session_df), *(drawn[label] for label in (a, b) if label in drawn)]
        yield a, b, _deviates(moved[a] - moved[b], parts)


def _deviates(moved: np.ndarray, parts: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """Return the normal deviates of the p-values of drawn differences, (DRAWS,).

    A p-value is the level at which the interval ends at 0 (see uncertainty). It is found by bisection on a grid and
    interpolated.

    Args:
        moved: (DRAWS,) the drawn differences.
        parts: of their variance: what was drawn for each, (DRAWS,), and its degrees of freedom.
    """
    squares = [special.stdtrit(df, special.ndtr(-GRID)) ** 2 for _, df in parts]  # of t at each place of the grid
    square = moved**2

    def reach(place: np.ndarray) -> np.ndarray:
        total = np.zeros_like(square)
        for (variance, _), of_t in zip(parts, squares, strict=True):
            total += of_t[place] * variance
        return total

    low, high = np.zeros(len(moved), dtype=int), np.full(len(moved), len(GRID) - 1)
    while (high - low).max() > 1:
        middle = (low + high) // 2
        inside = reach(middle) > square
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    ends = [np.sqrt(reach(place)) for place in (low, high)]
    gap = ends[1] - ends[0]  # 0 if the variance was drawn as 0: then the difference is beyond all noise
    share = np.minimum(1.0, np.divide(np.abs(moved) - ends[0], gap, out=np.ones_like(gap), where=gap > 0))
    return np.copysign(GRID[low] + share * (GRID[high] - GRID[low]), moved)


def _adjusted(p: float, drawn: np.ndarray, count: int) -> float:
    """Return the probability that one of `count` p-values is at most p: by the draws or by Bonferroni, the smaller."""
    return float(max(p, min(1.0, count * p, (1 + np.count_nonzero(drawn <= p)) / (1 + len(drawn)))))


def _critical(drawn: np.ndarray, count: int) -> float:
    """Return the p-value from which on the adjusted p-value is ALPHA or more."""
    place = round(ALPHA * (1 + len(drawn))) - 2  # `_adjusted` gives ALPHA at this draw
    return min(ALPHA, max(ALPHA / count, float(np.sort(drawn)[place])))
