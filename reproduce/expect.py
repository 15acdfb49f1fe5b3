"""`expect`: what a published number of a model on a data set should be, and which causes on record explain another.

Ours is the row's number with its interval. A published number is judged by the difference, whose interval allows for
test sessions and seeds on both sides. Where it is outside, the causes that stored records can show are tried: each
gives the number that ours becomes by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["within noise", "below", "above"]
BELOW = "an undertrained run, another split, or a tie rule or cut-off that costs hits"
ABOVE = "a rule of counting that gives hits away, other settings, or another split"


@dataclass(frozen=True)
class Expectation:
    """One metric: the published number beside ours, in per cent."""

    title: str  # such as Recall@20
    published: float
    ours: float
    half: float  # of our number's 95 % interval
    noise: float  # half of the 95 % interval of the difference

    @property
    def difference(self) -> float:
        return self.published - self.ours

    @property
    def side(self) -> Side:
        if abs(self.difference) <= self.noise:
            return "within noise"
        return "below" if self.difference < 0 else "above"


@dataclass(frozen=True)
class Cause:
    """What ours becomes under another condition."""

    words: str  # such as: the clicks in the order of the file
    values: Sequence[float]  # one for each metric, in per cent


def explaining(expected: Sequence[Expectation], causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes under which all metrics come within noise of the published ones, the nearest first."""

    def off(cause: Cause) -> list[float]:
        return [abs(one.published - value) for one, value in zip(expected, cause.values, strict=True)]

    fitting = [cause for cause in causes if all(d <= one.noise for d, one in zip(off(cause), expected, strict=True))]
    return sorted(fitting, key=lambda cause: sum(off(cause)))


def verdict(expected: Sequence[Expectation], causes: Sequence[Cause]) -> str:
    """Say in a sentence or two whether the published numbers are ours, and what explains them if they are not."""
    sides = {one.side for one in expected}
    if sides == {"within noise"}:
        return f"Within noise: {_differences(expected)}."
    if len(sides) > 1:
        parts = [f"{one.title} {one.side} ({one.difference:+.2f}, noise {one.noise:.1f})" for one in expected]
        told = f"Not ours in every metric: {', '.join(parts)}."
        side = min(sides - {"within noise"}) if len(sides - {"within noise"}) == 1 else None
    else:
        (side,) = sides
        told = f"{side.capitalize()} ours: {_differences(expected)}."
    found = explaining(expected, causes)
    if found:
        numbers = " / ".join(f"{value:.2f}" for value in found[0].values)
        return f"{told} Explained by {found[0].words}: ours is {numbers} then."
    usual = {"below": BELOW, "above": ABOVE}.get(side or "", "another split or another way of counting")
    return f"{told} No cause on record explains it; the usual ones are {usual}."


def _differences(expected: Sequence[Expectation]) -> str:
    return ", ".join(f"{one.title} {one.difference:+.2f} (noise {one.noise:.1f})" for one in expected)
