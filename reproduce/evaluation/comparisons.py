"""Many rows at once: intervals of pairs that hold together, all or those with one row, and which rows may be the best.

With thirteen rows there are 78 pairs, and one in twenty of 95 % intervals misses. Here p_j, the p-value of pair j by
itself, becomes P(min_k p_k <= p_j) where no two rows differ, and each interval is drawn at the level at which that
probability is 5 %: all hold together in 95 % of cases, and one leaves 0 out just where its p is below 0.05. With equal
degrees of freedom this is the single-step max-t procedure (Hothorn, Bretz & Westfall, Biom. J. 50, 2008). The
distribution of min_k p_k is drawn from the pairs' joint law: normal numbers with the estimated covariance of the rows,
each pair divided by its own standard error. Of that each part is drawn once for all pairs, as sigma is one. Draws end
where a p-value is 1 in 20,000; from there on Bonferroni's bound is the smaller one, so that no p-value has a floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from reproduce.evaluation.uncertainty import ALPHA, Estimate, Measurement, OneRun, difference

DRAWS = 19_999  # (1 + DRAWS) ALPHA is whole
SEED = 0
GRID = np.linspace(0.0, 6.0, 257)  # normal deviates; one draw in 500 million is beyond the last


@dataclass(frozen=True)
class Pair:
    """A difference of two rows among many: the interval and the p-value are right for all pairs together."""

    alone: Estimate
    low: float
    high: float
    p: float

    @property
    def value(self) -> float:
        return self.alone.value


def pairwise(rows: Mapping[str, Measurement]) -> dict[tuple[str, str], Pair | OneRun]:
    """Every pair of rows, the better one first; a pair with a row of unknown noise is not judged and not counted."""
    pairs = [(a, b) if rows[a].value >= rows[b].value else (b, a) for a, b in combinations(rows, 2)]
    return _together(rows, pairs)


def against(rows: Mapping[str, Measurement], control: str) -> dict[str, Pair | OneRun]:
    """Every other row less the control. The pairs with the control are the only ones (Dunnett, JASA 50, 1955)."""
    pairs = [(label, control) for label in rows if label != control]
    return {label: one for (label, _), one in _together(rows, pairs).items()}


def _together(
    rows: Mapping[str, Measurement], pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Pair | OneRun]:
    judged = {label: one for label, one in rows.items() if not one.unknown}
    asked = {frozenset(pair) for pair in pairs if judged.keys() >= set(pair)}
    most = np.zeros(DRAWS)
    for a, b, z in _null(judged):
        if {a, b} in asked:
            np.maximum(most, np.abs(z), out=most)
    drawn = 2 * special.ndtr(-most)  # the least p-value of each draw
    count = max(len(asked), 1)
    level = 1 - _critical(drawn, count)
    found: dict[tuple[str, str], Pair | OneRun] = {}
    for a, b in pairs:
        one = difference(rows[a], rows[b])
        if isinstance(one, Estimate):
            found[a, b] = Pair(one, *one.interval(level), _adjusted(one.p, drawn, count))
        else:
            found[a, b] = one
    return found


def best(rows: Mapping[str, Measurement]) -> dict[str, bool | None]:
    """Which rows may be the best: multiple comparisons with the best (Hsu, Ann. Stat. 12, 1984).

    Returns:
        False where some row is better beyond noise, every other row held against this one; else True. The row that is
        best in truth is kept in 95 % of cases, and no row is called best because it came out first. None where a row's
        noise between seeds is not known: it is held against no other.
    """
    judged = {label: one for label, one in rows.items() if not one.unknown}
    others = max(len(judged) - 1, 1)
    most = {label: np.full(DRAWS, -np.inf) for label in judged}  # of each row, how far it is behind another at most
    for a, b, z in _null(judged):
        np.maximum(most[b], z, out=most[b])
        np.maximum(most[a], -z, out=most[a])
    found: dict[str, bool | None] = {}
    for label in rows:
        if label not in judged:
            found[label] = None
            continue
        behind = min((_ahead(one, judged[label]) for key, one in judged.items() if key != label), default=1.0)
        found[label] = _adjusted(behind, special.ndtr(-most[label]), others) >= ALPHA
    return found


def _ahead(one: Measurement, other: Measurement) -> float:
    """One-sided p-value of a row's being no better than another."""
    effect = difference(one, other)
    assert isinstance(effect, Estimate)
    return effect.p / 2 if effect.value > 0 else 1 - effect.p / 2


def _null(rows: Mapping[str, Measurement]) -> Iterator[tuple[str, str, np.ndarray]]:
    """For every pair of rows, its normal deviate z in draws of a world where no two rows differ: (DRAWS,)."""
    if len(rows) < 2:
        return
    rng = np.random.default_rng(SEED)
    U = np.stack([one.influence for one in rows.values()])  # (rows, sessions)
    G = min(one.sessions for one in rows.values())
    values, vectors = np.linalg.eigh(U @ U.T * (G / max(G - 1, 1)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # (rows, rows), its product with itself is the covariance
    seeds = np.sqrt([one.one_run_variance / len(one.points) for one in rows.values()])
    moved = dict(zip(rows, root @ rng.standard_normal((len(rows), DRAWS)), strict=True))
    for label, deviation in zip(rows, seeds, strict=True):
        moved[label] = moved[label] + deviation * rng.standard_normal(DRAWS)
    seed_df = min((one.noise.df for one in rows.values() if one.noise and not one.deterministic), default=1)
    sigma, sessions = rng.chisquare(seed_df, DRAWS) / seed_df, rng.standard_normal(DRAWS)
    for a, b in combinations(rows, 2):
        one = difference(rows[a], rows[b])
        assert isinstance(one, Estimate)
        if not one.s > 0:  # equal rows, or too few sessions: never different
            yield a, b, np.zeros(DRAWS)
            continue
        share = 2 / (9 * one.session_df)  # chi-square over its degrees of freedom (Wilson & Hilferty, PNAS 17, 1931)
        session = one.session_variance * np.maximum(1 - share + sessions * np.sqrt(share), 0.0) ** 3
        yield a, b, _deviates(moved[a] - moved[b], session, one.session_df, one.seed_variance * sigma, one.seed_df)


def _deviates(
    moved: np.ndarray, session: np.ndarray, session_df: float, seed: np.ndarray, seed_df: float
) -> np.ndarray:
    """The normal deviates of the p-values of draws, whose variances have been drawn too: all (DRAWS,).

    A p-value is where the interval ends at 0 (see uncertainty): found by halving on a grid, then interpolated.
    """
    by_session, by_seed = (special.stdtrit(df, special.ndtr(-GRID)) ** 2 for df in (session_df, seed_df))
    square = moved**2
    low, high = np.zeros(len(moved), dtype=int), np.full(len(moved), len(GRID) - 1)
    while (high - low).max() > 1:
        middle = (low + high) // 2
        inside = by_session[middle] * session + by_seed[middle] * seed > square
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    ends = [np.sqrt(by_session[place] * session + by_seed[place] * seed) for place in (low, high)]
    gap = ends[1] - ends[0]  # 0 where a variance was drawn as 0: beyond all noise
    share = np.minimum(1.0, np.divide(np.abs(moved) - ends[0], gap, out=np.ones_like(gap), where=gap > 0))
    return np.copysign(GRID[low] + share * (GRID[high] - GRID[low]), moved)


def _adjusted(p: float, drawn: np.ndarray, count: int) -> float:
    """The probability of a p-value as small among `count` of them: by the draws, or Bonferroni's where that is less."""
    return float(max(p, min(1.0, count * p, (1 + np.count_nonzero(drawn <= p)) / (1 + len(drawn)))))


def _critical(drawn: np.ndarray, count: int) -> float:
    """The p-value from which on the adjusted one is ALPHA or more."""
    place = round(ALPHA * (1 + len(drawn))) - 2  # this draw and those before it are, with 1, ALPHA of them all
    return min(ALPHA, max(ALPHA / count, float(np.sort(drawn)[place])))
