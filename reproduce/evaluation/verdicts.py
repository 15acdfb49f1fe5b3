"""Verdicts on the comparisons of a claim: supported, contradicted, or the noise is too large to tell.

Noise leads to "undecided", never to "supported". The p-values of a claim's comparisons are adjusted by Holm's method
over those that can be judged. Each comparison has the interval at the level of its own step of that method, so a
difference is shown exactly if its interval leaves out 0.

That two rows are practically equal is shown by an equivalence test, not by a large p-value: two one-sided tests at 5 %
rule out a difference beyond a margin fixed beforehand. They do so if and only if the 90 % interval lies within the
margin (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987). Equivalences need no adjustment: a claim with several of them
is supported only if all are, so a single wrong one is enough to stop it (Berger, Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from reproduce.evaluation.uncertainty import ALPHA, LEVEL, POWER, Estimate, Judged, OneRun

MARGIN = 0.5  # ours, fixed before any comparison: a difference, in points of Recall@20 or MRR@20, that is negligible
SHARE = 0.25  # ours: a gain agrees with the paper's if it is within a quarter of it


class Verdict(StrEnum):
    """The verdict on a comparison, in the words shown on a page."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"  # a single run, and no noise between seeds is known
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Above:
    """An effect that should be above 0: a difference of rows, or of gains on some prefixes and on others.

    `needed`: the paper's effect, if only data that would show an effect of that size may decide; else None. The
    standard error settles this before anybody looks at the effect.
    """

    effect: Judged
    needed: float | None = None

    @property
    def untestable(self) -> bool:
        effect = self.effect.these_runs if isinstance(self.effect, OneRun) else self.effect
        return self.needed is not None and not effect.power(self.needed) >= POWER

    @property
    def p(self) -> float:
        """The p-value of the effect; NaN if it cannot be judged."""
        return math.nan if self.untestable or isinstance(self.effect, OneRun) else self.effect.p

    def verdict(self, p: float) -> Verdict:
        """Return the verdict, given the p-value adjusted by Holm's method."""
        if self.untestable:
            return Verdict.NOT_TESTABLE
        if isinstance(self.effect, OneRun):
            return Verdict.NOT_JUDGED
        if p < ALPHA:
            return Verdict.SUPPORTED if self.effect.value > 0 else Verdict.CONTRADICTED
        return Verdict.UNDECIDED

    def power(self, effect: Estimate, true: float, level: float) -> float:
        """Return the probability that an estimate of this precision is supported if `true` is the effect."""
        return effect.power(true, 1 - level)


@dataclass(frozen=True)
class Close:
    """An effect that should be within a margin of 0."""

    effect: Judged
    margin: float = MARGIN

    @property
    def p(self) -> float:
        """The p-value of the hypothesis that the effect is within the margin; NaN if it cannot be judged."""
        return math.nan if isinstance(self.effect, OneRun) else self.effect.p_beyond(self.margin)

    def verdict(self, p: float) -> Verdict:
        """Return the verdict, given the p-value adjusted by Holm's method.

        It is contradicted only if the whole interval lies outside the margin.
        """
        if isinstance(self.effect, OneRun):
            return Verdict.NOT_JUDGED
        if equivalent(self.effect, self.margin):
            return Verdict.SUPPORTED
        return Verdict.CONTRADICTED if p < ALPHA else Verdict.UNDECIDED

    def power(self, effect: Estimate, true: float, level: float) -> float:
        """Return the probability that an estimate of this precision is supported if `true` is the effect."""
        return effect.power_to_equate(true, self.margin)


Comparison = Above | Close


def gain_as_published(gain: Judged, published: float) -> Close:
    """State that a relative gain, in per cent, agrees with the paper's, that is, lies within a quarter of it.

    The paper's two numbers are single runs, and their noise is taken to be as large as ours. That there is a gain at
    all needs no test of its own: if the interval of ours less theirs lies within a quarter of theirs, the narrower
    interval of ours lies above 0.
    """
    return Close(gain.against(published), SHARE * abs(published))


@dataclass(frozen=True)
class Judgement:
    """A verdict with its p-value, adjusted by Holm's method, and the level of the interval that shows it.

    For an equivalence that holds, that is 90 %.
    """

    verdict: Verdict
    p: float
    level: float


def judge(comparisons: Sequence[Comparison]) -> list[Judgement]:
    """Judge the comparisons of one claim that have records, in the order given."""
    raw = [comparison.p for comparison in comparisons]
    made = []
    for comparison, p, level in zip(comparisons, holm(raw), holm_levels(raw), strict=True):
        verdict = comparison.verdict(p)
        equal = isinstance(comparison, Close) and verdict is Verdict.SUPPORTED
        made.append(Judgement(verdict, p, 1 - 2 * ALPHA if equal else level))
    return made


def equivalent(effect: Estimate, margin: float = MARGIN) -> bool:
    """Return whether a difference beyond the margin is ruled out in both directions."""
    low, high = effect.interval(1 - 2 * ALPHA)
    return -margin < low and high < margin


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests (Holm, Scand. J. Stat. 6, 1979), in the order given.

    NaN is not counted as a test and stays NaN.
    """
    raw, order, factors = _steps(p)
    adjusted = np.full(len(raw), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return adjusted.tolist()


def holm_levels(p: Sequence[float]) -> list[float]:
    """Return the level at which each comparison's interval leaves out the null value exactly if Holm's method rejects.

    Tests after the first that is not rejected have the level of that one. A comparison whose p is NaN is no test; its
    interval has the plain level.
    """
    raw, order, factors = _steps(p)
    levels = np.full(len(raw), LEVEL)
    rejected = np.cumprod(raw[order] * factors < ALPHA).astype(bool)
    at = np.minimum(np.arange(len(order)), rejected.sum())  # the step whose factor counts
    levels[order] = 1 - ALPHA / factors[at]
    return levels.tolist()


def _steps(p: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the p-values, the places of those that are tests from the smallest on, and the factor of each step."""
    raw = np.asarray(p, dtype=float)
    order = np.argsort(raw, kind="stable")  # NaN comes last
    order = order[: np.count_nonzero(~np.isnan(raw))]
    return raw, order, len(order) - np.arange(len(order))
