"""Verdicts on comparisons, from numbers that are easy to follow: standard errors of 1 and many degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce.evaluation.uncertainty import Estimate, OneRun, SeedPart
from reproduce.evaluation.verdicts import (
    MARGIN,
    Above,
    Close,
    Verdict,
    equivalent,
    gain_as_published,
    holm,
    holm_levels,
)
from reproduce.evaluation.verdicts import judge as judgements


def known(value: float, s: float = 1.0, by_seeds: float = 0.0) -> Estimate:
    """Make an effect of known noise, so that its 95 % interval is 1.96 s to either side, its 90 % interval 1.645 s."""
    return Estimate(value, s**2, math.inf, (SeedPart(by_seeds**2, 1, 2),) if by_seeds else (), 100)


def judge(comparisons: Sequence[Above | Close]) -> list[Verdict]:
    return [one.verdict for one in judgements(comparisons)]


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (known(1.97), Verdict.SUPPORTED),
        (known(1.95), Verdict.UNDECIDED),
        (known(-1.95), Verdict.UNDECIDED),
        (known(-1.97), Verdict.CONTRADICTED),
        (known(0.1, 0.06), Verdict.UNDECIDED),  # an effect is not shown to be small by being small
        (known(0.1, 0.01), Verdict.SUPPORTED),
        (OneRun(known(50.0)), Verdict.NOT_JUDGED),
        (known(math.nan, math.nan), Verdict.UNDECIDED),
    ],
)
def test_above(effect: Estimate | OneRun, said: Verdict):
    assert judge([Above(effect)]) == [said]


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (known(0.0, 0.30), Verdict.SUPPORTED),
        (known(0.0, 0.31), Verdict.UNDECIDED),
        (known(-0.4, 0.06), Verdict.SUPPORTED),
        (known(-0.4, 0.07), Verdict.UNDECIDED),
        (known(2.4, 1.0), Verdict.UNDECIDED),  # the 95 % interval begins at 0.44
        (known(2.5, 1.0), Verdict.CONTRADICTED),  # at 0.54
        (known(-2.5, 1.0), Verdict.CONTRADICTED),
        (OneRun(known(0.0, 0.01)), Verdict.NOT_JUDGED),
    ],
)
def test_close(effect: Estimate | OneRun, said: Verdict):
    assert judge([Close(effect)]) == [said]


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        # 8 % is published, the margin 2 %; the paper's noise doubles the variance: 90 % is 1.645 * 1.414 s to each side
        (known(8.0, 0.85), Verdict.SUPPORTED),
        (known(8.0, 0.87), Verdict.UNDECIDED),
        (known(6.5, 0.2), Verdict.SUPPORTED),
        (known(6.5, 0.25), Verdict.UNDECIDED),
        (known(3.0, 1.0), Verdict.CONTRADICTED),  # 5 below, 1.96 * 1.414 to either side: up to 2.23 below
        (known(3.0, 1.1), Verdict.UNDECIDED),
        (known(12.9, 1.0), Verdict.CONTRADICTED),  # a gain that is far too large is not the paper's either
        (known(1.0, 5.0), Verdict.UNDECIDED),
        (OneRun(known(8.0, 0.1)), Verdict.NOT_JUDGED),
    ],
)
def test_a_gain_as_published(gain: Estimate | OneRun, said: Verdict):
    assert judge([gain_as_published(gain, 8.0)]) == [said]


@given(st.floats(-20, 20), st.floats(0.01, 5), st.floats(0, 5))
def test_a_gain_that_is_the_papers_is_a_gain(value: float, s: float, by_seeds: float):
    gain = known(value, s, by_seeds)
    if judge([gain_as_published(gain, 8.0)]) == [Verdict.SUPPORTED]:
        assert gain.low > 0


def test_what_noise_hides_cannot_be_tested_whatever_came_out():
    for value in (-9.0, 0.0, 9.0):
        assert judge([Above(known(value), needed=2.7)]) == [Verdict.NOT_TESTABLE]
        assert judge([Above(known(value), needed=-2.7)]) == [Verdict.NOT_TESTABLE]
        assert judge([Above(OneRun(known(value)), needed=2.7)]) == [Verdict.NOT_TESTABLE]
    assert judge([Above(known(9.0), needed=2.9)]) == [Verdict.SUPPORTED]
    assert judge([Above(known(math.nan, math.nan), needed=2.9)]) == [Verdict.NOT_TESTABLE]


def test_the_statements_of_a_claim_are_judged_together():
    alone = known(2.2)  # p = 0.028
    assert judge([Above(alone)]) == [Verdict.SUPPORTED]
    assert judge([Above(alone), Above(known(0.5))]) == [Verdict.UNDECIDED] * 2
    assert judge([Above(alone), Above(known(-9.0))]) == [Verdict.SUPPORTED, Verdict.CONTRADICTED]
    assert judge([Close(known(2.5)), Above(known(0.5))]) == [Verdict.UNDECIDED] * 2


def test_statements_that_are_not_judged_cost_the_others_nothing():
    others = [Above(OneRun(known(9.0))), Above(known(9.0), needed=0.1)]
    assert judge([Above(known(2.2)), *others]) == [Verdict.SUPPORTED, Verdict.NOT_JUDGED, Verdict.NOT_TESTABLE]


def test_equivalence_is_asked_of_both_sides():
    assert equivalent(known(0.3, 0.12))
    assert not equivalent(known(0.3, 0.13))
    assert not equivalent(known(-0.3, 0.13))
    assert not equivalent(known(MARGIN, 1e-6))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.lists(st.integers(0, 8), max_size=3))
@settings(max_examples=50)
def test_holm_rejects_what_stepping_down_by_hand_rejects(p: list[float], gaps: list[int]):
    with_gaps = list(p)
    for place in gaps:
        with_gaps.insert(place, math.nan)
    adjusted = holm(with_gaps)
    assert [math.isnan(one) for one in adjusted] == [math.isnan(one) for one in with_gaps]
    adjusted = [one for one in adjusted if not math.isnan(one)]
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[i] * (len(p) - step) > level:
                break
            rejected.add(i)
        assert {i for i, value in enumerate(adjusted) if value <= level} == rejected


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=8))
def test_a_difference_is_shown_just_where_its_interval_leaves_0_out(values: list[float]):
    effects = [known(value) for value in values]
    for effect, judgement in zip(effects, judgements([Above(one) for one in effects]), strict=True):
        low, high = effect.interval(judgement.level)
        if min(abs(low), abs(high)) > 1e-6:
            assert (judgement.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)) == (not low <= 0 <= high)
            assert (judgement.p < 0.05) == (not low <= 0 <= high)


def test_each_step_of_holms_method_has_its_own_level_up_to_the_first_that_is_not_rejected():
    assert holm_levels([0.001, 0.03, 0.02, math.nan]) == pytest.approx([1 - 0.05 / 3, 0.95, 0.975, 0.95])
    assert holm_levels([0.001, 0.03, 0.04]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert holm_levels([]) == []


def test_an_equivalence_that_holds_is_shown_by_its_90_per_cent_interval():
    closely, apart = judgements([Close(known(0.0, 0.30)), Close(known(4.0, 1.0))])
    assert closely.level == pytest.approx(0.90) and closely.verdict is Verdict.SUPPORTED
    assert apart.level == pytest.approx(0.975) and apart.verdict is Verdict.CONTRADICTED
