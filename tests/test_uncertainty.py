"""Variances, intervals and p-values against loops and scipy."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reproduce.evaluation.uncertainty import (
    Estimate,
    Judged,
    Measurement,
    OneRun,
    SeedPart,
    contrast,
    difference,
    gain_difference,
    measure,
    pooled_noise,
    relative_gain,
    with_noise,
)


def log(seed: int, sessions: int = 30) -> tuple[np.random.Generator, np.ndarray]:
    """Return a generator and the session of each prefix: 1 to about 15 prefixes a session, in mixed order."""
    rng = np.random.default_rng(seed)
    return rng, rng.permutation(np.repeat(np.arange(sessions), rng.geometric(0.3, sessions)))


def judged(one: Judged) -> Estimate:
    assert isinstance(one, Estimate)
    return one


def estimate(value: float, session: float, seed: float = 0.0, session_df: float = 500.0, seeds: int = 2) -> Estimate:
    """Make an estimate from the standard errors of its two parts; the second with seeds + 1 degrees of freedom."""
    parts = (SeedPart(seeds * seed**2, seeds, 1_000),) if seed else ()
    return Estimate(value, session**2, session_df, parts, 10)


def row(points: np.ndarray, influence: np.ndarray, **words: Any) -> Measurement:
    """Make a row whose seeds err on the same sessions."""
    return Measurement(points, np.tile(influence, (len(points), 1)), len(influence), **words)


def test_the_session_part_is_the_sum_of_squares_that_one_gets_by_going_through_the_sessions():
    rng, session = log(0)
    a, b = 100 * rng.random((3, len(session))), 100 * rng.random((2, len(session)))
    where = rng.random(len(session)) < 0.6
    found = judged(difference(*with_noise({"a": measure(a, session, where), "b": measure(b, session, where)}).values()))
    d = a.mean(0) - b.mean(0)
    inside = [i for i in range(len(session)) if where[i]]
    mean = sum(d[i] for i in inside) / len(inside)
    squares = []
    for c in {session[i] for i in inside}:
        squares.append(sum((d[i] - mean) / len(inside) for i in inside if session[i] == c) ** 2)
    G = len(squares)
    assert found.value == pytest.approx(mean)
    twice = 0.0
    for one in (a, b):
        pairs = list(itertools.combinations(one, 2))
        for first, second in pairs:  # half the mean session variance of the difference of two seeds
            d = first - second
            mean = sum(d[i] for i in inside) / len(inside)
            moves = [sum((d[i] - mean) / len(inside) for i in inside if session[i] == c) for c in set(session[inside])]
            twice += G / (G - 1) * sum(one**2 for one in moves) / 2 / len(pairs) / len(one)
    assert found.session_variance == pytest.approx(max(0.0, G / (G - 1) * sum(squares) - twice))
    assert twice > 0
    kurtosis = (sum(q**2 for q in squares) / G) / (sum(squares) / G) ** 2
    assert found.session_df == pytest.approx(min(G - 1, 2 * G / (kurtosis - 1)))
    squares.sort(reverse=True)
    assert sum(squares[: found.half]) >= sum(squares) / 2 > sum(squares[: found.half - 1])


def test_the_noise_between_seeds_is_pooled_over_the_rows_of_a_family_that_have_several():
    session = np.arange(4)
    rows = {
        "three": measure(np.full((3, 4), [[1.0], [2.0], [3.0]]), session),  # squares about the mean: 1 + 0 + 1
        "two": measure(np.full((2, 4), [[10.0], [14.0]]), session),  # 4 + 4
        "one": measure(np.full((1, 4), 7.0), session),
        "counted": measure(np.full((2, 4), 5.0), session, deterministic=True),
        "other": measure(np.full((2, 4), [[0.0], [90.0]]), session, family="other"),
    }
    noise = pooled_noise(one for key, one in rows.items() if key != "other")
    assert noise is not None
    assert noise.df == 3
    assert noise.variance == pytest.approx(10 / 3)
    rows = with_noise(rows)
    assert rows["other"].noise is not None and rows["other"].noise.variance == pytest.approx(2 * 45.0**2)
    single, double, triple = (rows[key].by_seed for key in ("one", "two", "three"))
    assert single is not None and double is not None and triple is not None
    assert (single.single, single.df) == (pytest.approx(10 / 3), 2)
    assert (double.single, double.df) == (pytest.approx((2 * 10 / 3 + 1 * 8) / 3), 3)
    assert (triple.single, triple.df) == (pytest.approx((2 * 10 / 3 + 2 * 1) / 4), 3)  # no more than the family has
    found = judged(contrast([(1, rows["three"]), (-2, rows["one"])]))
    assert [one.variance for one in found.by_seed] == pytest.approx([triple.single / 3, 4 * single.single])
    assert judged(difference(rows["two"], rows["counted"])).seed_variance == pytest.approx(double.single / 2)


def test_a_family_known_from_one_degree_of_freedom_gives_no_more():
    session = np.arange(4)
    rows = with_noise(
        {"two": measure(np.full((2, 4), [[1.0], [3.0]]), session), "one": measure(np.ones((1, 4)), session)}
    )
    assert [one.by_seed and (one.by_seed.single, one.by_seed.df) for one in rows.values()] == [(2.0, 1), (2.0, 1)]


def test_a_verdict_on_a_row_of_fewer_than_three_seeds_is_provisional():
    rng, session = log(1)
    rows = with_noise({str(K): measure(rng.random((K, len(session))), session) for K in (2, 3, 4)})
    rows["counted"] = measure(rng.random((1, len(session))), session, deterministic=True)
    assert judged(difference(rows["2"], rows["3"])).provisional
    assert not judged(difference(rows["3"], rows["4"])).provisional
    assert not judged(difference(rows["3"], rows["counted"])).provisional
    assert not judged(relative_gain(rows["3"], rows["4"])).against(8.0).provisional  # theirs are single runs


def test_a_single_run_is_not_judged_where_no_row_has_two():
    rng, session = log(1)
    rows = with_noise(
        {
            "one": measure(rng.random((1, len(session))), session),
            "other": measure(rng.random((1, len(session))), session),
            "counted": measure(rng.random((1, len(session))), session, deterministic=True),
            "too": measure(rng.random((1, len(session))), session, deterministic=True),
        }
    )
    for pair in (("one", "other"), ("one", "counted"), ("counted", "one")):
        found = difference(rows[pair[0]], rows[pair[1]])
        assert isinstance(found, OneRun)
        assert found.value == pytest.approx(rows[pair[0]].value - rows[pair[1]].value)
        assert found.these_runs.seed_variance == 0 < found.these_runs.session_variance
    assert isinstance(contrast([(1, rows["one"])]), OneRun)
    assert judged(difference(rows["counted"], rows["too"])).seed_variance == 0


def test_noise_that_was_forgotten_is_an_error_not_a_narrow_interval():
    rng, session = log(2)
    one = measure(rng.random((2, len(session))), session)
    with pytest.raises(ValueError, match="with_noise"):
        contrast([(1, one)])


def test_with_one_part_only_the_p_value_is_that_of_students_t():
    for value in (0.3, -1.9, 4.0, 9.0, -15.0):
        assert estimate(value, 1.5, session_df=7).p == pytest.approx(2 * stats.t.sf(abs(value) / 1.5, 7))
        by_seeds = estimate(value, 0.0, 1.5)
        assert by_seeds.p == pytest.approx(2 * stats.t.sf(abs(value) / 1.5, 3))
        half = stats.t.ppf(0.95, 3) * 1.5
        assert by_seeds.interval(0.9) == pytest.approx((value - half, value + half))


def test_with_two_parts_the_interval_is_between_the_wide_one_and_the_narrow_one():
    one = estimate(2.0, 1.0, 1.0, session_df=200)
    narrow, wide = (stats.t.ppf(0.975, df) * np.sqrt(2) for df in (200, 3))
    assert narrow < 2.0 - one.low < wide
    assert (2.0 - one.low) ** 2 == pytest.approx((narrow**2 + wide**2) / 2)


def test_p_values_have_no_floor():
    assert estimate(3.0, 0.2, session_df=15_000).p == pytest.approx(2 * stats.t.sf(15, 15_000), rel=1e-6)


finite = st.floats(-50, 50)
errors = st.floats(0.01, 10)


@given(finite, errors, st.sampled_from([0.0, 0.05, 3.0]), st.floats(1, 1e4), st.integers(1, 30), st.floats(0.5, 0.9999))
def test_the_p_value_is_small_just_where_the_interval_leaves_0_out(
    value: float, session: float, seed: float, session_df: float, seeds: int, level: float
):
    one = estimate(value, session, seed, session_df, seeds)
    low, high = one.interval(level)
    if min(abs(low), abs(high)) > 1e-6 * abs(value):  # else 0 is an end of the interval, up to rounding
        assert (one.p < 1 - level) == (not low <= 0 <= high)
        bound = abs(value) / 3
        low, high = low - bound, high + bound
        if min(abs(low), abs(high)) > 1e-6 * abs(value):
            assert (one.p_beyond(bound) < 1 - level) == (low > 0 or high < 0)


def measured_rows(seed: int) -> tuple[Measurement, Measurement]:
    rng, session = log(seed, 12)
    rows = {key: measure(rng.random((K, len(session))), session) for key, K in (("a", 2), ("b", 3))}
    a, b = with_noise(rows).values()
    return a, b


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_a_difference_turned_round_is_its_mirror_image(seed: int):
    a, b = measured_rows(seed)
    here, there = judged(difference(a, b)), judged(difference(b, a))
    assert here.value == -there.value
    assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
    assert here.p == pytest.approx(there.p)


@given(st.integers(0, 10_000), st.floats(0.01, 100))
@settings(max_examples=30)
def test_another_unit_scales_the_interval_and_leaves_the_p_value(seed: int, factor: float):
    a, b = measured_rows(seed)
    one, other = judged(difference(a, b)), judged(difference(a * factor, b * factor))
    assert other.value == pytest.approx(one.value * factor)
    assert (other.s, other.low) == pytest.approx((one.s * factor, one.low * factor))
    assert other.p == pytest.approx(one.p, rel=1e-6)
    assert judged(relative_gain(a * factor, b * factor)).s == pytest.approx(judged(relative_gain(a, b)).s)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_neither_the_order_of_prefixes_nor_the_numbering_of_sessions_matters(seed: int):
    rng, session = log(seed, 12)
    values = rng.random((1, len(session)))
    prefixes, names = rng.permutation(len(session)), rng.permutation(12)
    one = judged(contrast([(1, measure(values, session, deterministic=True))]))
    moved = measure(values[:, prefixes], names[session[prefixes]], deterministic=True)
    other = judged(contrast([(1, moved)]))
    assert (one.value, one.s, one.session_df) == pytest.approx((other.value, other.s, other.session_df))


def test_what_a_seed_does_to_a_row_on_all_prefixes_alike_cancels_in_a_difference_of_its_gains():
    session = np.arange(40)
    short = session % 2 == 0
    runs = {"a": np.full((2, 40), [[40.0], [60.0]]), "b": np.full((2, 40), [[30.0], [50.0]])}
    here, there = (with_noise({key: measure(v, session, w) for key, v in runs.items()}) for w in (short, ~short))
    found = judged(gain_difference((here["a"], here["b"]), (there["a"], there["b"])))
    assert judged(relative_gain(here["a"], here["b"])).seed_variance > 100
    assert found.seed_variance == pytest.approx(0, abs=1e-9)


def test_a_gain_over_nothing_and_a_mean_of_nothing_are_not_numbers():
    rng, session = log(5)
    row = measure(rng.random((1, len(session))), session, deterministic=True)
    assert np.isnan(judged(relative_gain(row, row * 0.0)).value)
    nothing = measure(rng.random((1, len(session))), session, np.zeros(len(session), bool), deterministic=True)
    one_session = measure(rng.random((1, len(session))), session, session == 3, deterministic=True)
    for empty in (nothing, one_session):
        found = judged(contrast([(1, empty)]))
        assert np.isnan([found.s, found.low, found.high, found.p]).all()


def test_equal_rows_do_not_differ():
    a, _ = measured_rows(0)
    alike = judged(difference(*[Measurement(a.points, a.influences, 12, True)] * 2))
    assert (alike.value, alike.low, alike.high, alike.p) == (0, 0, 0, 1)


def test_few_sessions_that_carry_an_effect_are_counted_and_cost_degrees_of_freedom():
    influence = np.full(1_000, 0.01)
    even = row(np.zeros(1), influence, deterministic=True)
    assert judged(contrast([(1, even)])).half == 500
    assert judged(contrast([(1, even)])).session_df == 999
    influence[:2] = 1.0
    odd = judged(contrast([(1, row(np.zeros(1), influence, deterministic=True))]))
    assert odd.half == 2
    assert odd.session_df < 6


def test_against_a_published_number_the_noise_of_its_single_runs_counts_too():
    found = Estimate(9.0, 4.0, 100, (SeedPart(3.0, 3, 6),), 10).against(8.0)
    assert (found.value, found.session_variance, found.seed_variance) == (1.0, 8.0, 4.0)


def test_power_is_how_often_an_interval_leaves_0_out():
    one = estimate(0.0, 0.7, session_df=np.inf)
    assert one.power(1.96 * 0.7) == pytest.approx(0.5, abs=0.001)
    assert one.power(-2.8 * 0.7) == pytest.approx(0.8, abs=0.002)
    assert one.power(0.0) == pytest.approx(0.05)
    assert one.power(2.8 * 0.7, alpha=0.005) == pytest.approx(stats.norm.sf(2.807 - 2.8), abs=0.001)
    assert one.power_to_equate(0.0, 1.645 * 0.7) == pytest.approx(0.0, abs=0.001)
    both = stats.norm.cdf(2) - stats.norm.cdf(-2)
    assert one.power_to_equate(0.0, (1.645 + 2) * 0.7) == pytest.approx(both, abs=0.001)
    assert np.isnan(estimate(0.0, np.nan).power(1.0))


def test_more_seeds_leave_the_noise_between_sessions_and_what_the_paper_published():
    session, singles = estimate(0.0, 0.1), tuple(SeedPart(1.0, K, 4, family="f") for K in (1, 5))
    found = replace(session, by_seed=singles).against(0.0).with_seeds(9)
    assert [one.seeds for one in found.by_seed] == [9, 9, 1, 1]
    assert [one.family_df for one in found.by_seed[:2]] == [16, 16]
    assert found.session_variance == pytest.approx(0.02)


def test_the_number_of_seeds_that_a_verdict_needs_is_the_least_that_has_the_power():
    noisy = replace(estimate(0.0, 0.05), by_seed=(SeedPart(0.04, 1, 8), SeedPart(0.04, 5, 8)))
    needed = noisy.seeds_for(lambda one: one.power(0.3))
    assert needed is not None
    assert noisy.with_seeds(needed).power(0.3) >= 0.8 > noisy.with_seeds(needed - 1).power(0.3)
    assert noisy.seeds_for(lambda one: one.power(0.05)) is None  # the noise between sessions alone is too large


def test_what_a_single_run_hides_in_the_session_variance_is_taken_out_when_asking_for_more_seeds():
    found = Estimate(0.0, 0.05, 100, (SeedPart(0.04, 1, 8, hidden=0.04),))
    assert found.with_seeds(1).session_variance == 0.05
    assert found.with_seeds(2).session_variance == pytest.approx(0.01)
