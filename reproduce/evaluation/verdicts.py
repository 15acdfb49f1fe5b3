"""Verdicts on statements: a statement holds, it fails, or the noise is too large to tell.

Noise leads to "undecided", never to "holds". That two rows are practically equal is shown by an equivalence test, not
by a large p-value: two one-sided tests at 5 % rule out a difference beyond a margin fixed beforehand. They do so if and
only if the 90 % interval lies within the margin (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987). The p-values of a
claim's statements are adjusted by Holm's method over the statements that can be judged. Equivalences need no such
adjustment: a claim with several of them holds only if all do, so a single wrong one is enough to stop it (Berger,
Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from reproduce.evaluation.uncertainty import ALPHA, Estimate, Judged, OneRun

MARGIN = 0.5  # ours, fixed before any comparison: a difference, in points of Recall@20 or MRR@20, that is negligible
SHARE = 0.25  # ours: a gain agrees with the paper's if it is within a quarter of it


class Verdict(Enum):
    """The verdict on a statement, in the words shown on a page."""

    HOLDS = "holds"
    FAILS = "fails"
    NEGLIGIBLE = "negligible"
    UNDECIDED = "undecided"
    ONE_RUN = "one run: not judged"
    UNTESTABLE = "cannot be tested with this data"


@dataclass(frozen=True)
class Above:
    """The statement that an effect is above 0: a difference of rows, or of gains on some prefixes and on others.

    `margin`: the size, in the effect's unit, that counts as negligible; None if none was fixed.
    `needed`: the paper's effect, if only data that would show an effect of that size may decide; else None. The
    standard error settles this before anybody looks at the effect.
    """

    effect: Judged
    margin: float | None = MARGIN
    needed: float | None = None

    @property
    def untestable(self) -> bool:
        effect = self.effect.these_runs if isinstance(self.effect, OneRun) else self.effect
        return self.needed is not None and not effect.detectable <= abs(self.needed)

    @property
    def p(self) -> float:
        """The p-value of the effect; NaN if it cannot be judged."""
        return math.nan if self.untestable or isinstance(self.effect, OneRun) else self.effect.p

    def verdict(self, p: float) -> Verdict:
        """Return the verdict, given the p-value adjusted by Holm's method."""
        if self.untestable:
            return Verdict.UNTESTABLE
        if isinstance(self.effect, OneRun):
            return Verdict.ONE_RUN
        if p < ALPHA:
            return Verdict.HOLDS if self.effect.value > 0 else Verdict.FAILS
        small = self.margin is not None and equivalent(self.effect, self.margin)
        return Verdict.NEGLIGIBLE if small else Verdict.UNDECIDED


@dataclass(frozen=True)
class Close:
    """The statement that an effect is within a margin of 0."""

    effect: Judged
    margin: float = MARGIN

    @property
    def p(self) -> float:
        """The p-value of the hypothesis that the effect is within the margin; NaN if it cannot be judged."""
        return math.nan if isinstance(self.effect, OneRun) else self.effect.p_beyond(self.margin)

    def verdict(self, p: float) -> Verdict:
        """Return the verdict, given the p-value adjusted by Holm's method.

        The statement fails only if the whole interval lies outside the margin.
        """
        if isinstance(self.effect, OneRun):
            return Verdict.ONE_RUN
        if equivalent(self.effect, self.margin):
            return Verdict.HOLDS
        return Verdict.FAILS if p < ALPHA else Verdict.UNDECIDED


Statement = Above | Close


def gain_as_published(gain: Judged, published: float) -> Close:
    """State that a relative gain, in per cent, agrees with the paper's, that is, lies within a quarter of it.

    The paper's two numbers are single runs, and their noise is taken to be as large as ours. That there is a gain at
    all needs no test of its own: if the interval of ours less theirs lies within a quarter of theirs, the narrower
    interval of ours lies above 0.
    """
    if isinstance(gain, Estimate):
        return Close(gain.against(published), SHARE * abs(published))
    return Close(gain, SHARE * abs(published))


def judge(statements: Sequence[Statement]) -> list[Verdict]:
    """Return a verdict for each statement, in the order given; these are the statements of one claim with records."""
    adjusted = holm([one.p for one in statements])
    return [one.verdict(p) for one, p in zip(statements, adjusted, strict=True)]


def equivalent(effect: Estimate, margin: float = MARGIN) -> bool:
    """Return whether a difference beyond the margin is ruled out in both directions."""
    low, high = effect.interval(1 - 2 * ALPHA)
    return -margin < low and high < margin


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests (Holm, Scand. J. Stat. 6, 1979), in the order given.

    NaN is not counted as a test and stays NaN.
    """
    raw = np.asarray(p, dtype=float)
    order = np.argsort(raw, kind="stable")  # NaN comes last
    order = order[: np.count_nonzero(~np.isnan(raw))]
    adjusted = np.full(len(raw), np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return [float(one) for one in adjusted]
