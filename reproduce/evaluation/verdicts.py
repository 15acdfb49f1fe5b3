"""What the numbers allow to say of a statement: it holds, it fails, or the noise is too large to tell.

Noise leads to "undecided", never to "holds". That two rows are as good as equal is shown by an equivalence test, not by
a large p-value: two one-sided tests at 5 % rule out a difference beyond a margin fixed beforehand, which they do just
where the 90 % interval lies within it (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987). The p-values of a claim's
statements are Holm's over the statements that can be judged. Equivalences need none of that: a claim with several asks
for all of them, so one that is wrong is enough to stop it (Berger, Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from reproduce.evaluation.uncertainty import ALPHA, Estimate, Judged, OneRun

MARGIN = 0.5  # ours, fixed before any comparison: points of Recall@20 or MRR@20 that are as good as none
SHARE = 0.25  # ours: a gain is the paper's where it is within a quarter of it


class Verdict(Enum):
    """What is said of a statement, in the words of a page."""

    HOLDS = "holds"
    FAILS = "fails"
    NEGLIGIBLE = "negligible"
    UNDECIDED = "undecided"
    ONE_RUN = "one run: not judged"
    UNTESTABLE = "cannot be tested with this data"


@dataclass(frozen=True)
class Above:
    """An effect is above 0: of one row over another, or of a gain on some prefixes over the gain on others.

    `margin`: in the effect's unit, what is as good as none; None where nothing was fixed.
    `needed`: the paper's effect, where only data that would show an effect of that size can speak. This is settled by
    the standard error, before anybody looks at the effect.
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
        """Not a number where it cannot be judged."""
        return math.nan if self.untestable or isinstance(self.effect, OneRun) else self.effect.p

    def verdict(self, p: float) -> Verdict:
        """By its p-value after Holm."""
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
    """An effect is within a margin of 0."""

    effect: Judged
    margin: float = MARGIN

    @property
    def p(self) -> float:
        """Of its being within the margin; not a number where it cannot be judged."""
        return math.nan if isinstance(self.effect, OneRun) else self.effect.p_beyond(self.margin)

    def verdict(self, p: float) -> Verdict:
        """By its p-value after Holm: it fails only where the whole interval lies outside the margin."""
        if isinstance(self.effect, OneRun):
            return Verdict.ONE_RUN
        if equivalent(self.effect, self.margin):
            return Verdict.HOLDS
        return Verdict.FAILS if p < ALPHA else Verdict.UNDECIDED


Statement = Above | Close


def gain_as_published(gain: Judged, published: float) -> Close:
    """A relative gain, in per cent, is the paper's: within a quarter of it, the paper's noise being as large as ours.

    The paper's two numbers are single runs. That the gain is there at all needs no test of its own: where the interval
    of ours less theirs lies within a quarter of theirs, the narrower one of ours lies above 0.
    """
    if isinstance(gain, Estimate):
        return Close(gain.against(published), SHARE * abs(published))
    return Close(gain, SHARE * abs(published))


def judge(statements: Sequence[Statement]) -> list[Verdict]:
    """A verdict for each statement of one claim that has records, in the order given."""
    adjusted = holm([one.p for one in statements])
    return [one.verdict(p) for one, p in zip(statements, adjusted, strict=True)]


def equivalent(effect: Estimate, margin: float = MARGIN) -> bool:
    """Whether a difference beyond the margin is ruled out, either way."""
    low, high = effect.interval(1 - 2 * ALPHA)
    return -margin < low and high < margin


def holm(p: Sequence[float]) -> list[float]:
    """p-values made fit for as many tests as there are (Holm, Scand. J. Stat. 6, 1979), in the order given.

    What is not a number counts as no test and stays.
    """
    raw = np.asarray(p, dtype=float)
    order = np.argsort(raw, kind="stable")  # not-a-numbers come last
    order = order[: np.count_nonzero(~np.isnan(raw))]
    adjusted = np.full(len(raw), np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return [float(one) for one in adjusted]
