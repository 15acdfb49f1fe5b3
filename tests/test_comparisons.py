"""Comparisons of pairs and with the best row, against Tukey's and Dunnett's distributions, computed independently."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from reproduce.evaluation.comparisons import Pair, against, best, pairwise
from reproduce.evaluation.uncertainty import Estimate, Measurement, Noise, OneRun, difference, measure, with_noise
from reproduce.reports.measuring import kind_of

EACH = 2_000  # sessions that affect one row and no other, where rows are to be independent


def independent(values: list[float]) -> dict[str, Measurement]:
    """Make independent, deterministic rows with a standard error of 1 / sqrt(2) each; that of a difference is 1."""
    rows = {}
    for i, value in enumerate(values):
        influence = np.zeros(EACH * len(values))
        influence[i * EACH : (i + 1) * EACH] = np.resize([1, -1], EACH) * np.sqrt(0.5 / EACH)
        rows[f"row {i}"] = Measurement(np.array([value]), influence[None], len(influence), deterministic=True)
    return rows


def noisy(values: list[float], df: int) -> dict[str, Measurement]:
    """Make rows without noise from sessions and with a standard error of 1 / sqrt(2) between seeds, known from `df`."""
    seeds = df - 1  # two degrees come from the family
    points = np.resize([1.0, -1.0], seeds) if seeds % 2 == 0 else np.array([*np.resize([1.0, -1.0], seeds - 1), 0.0])
    points *= np.sqrt(0.5 * seeds / points.var(ddof=1))
    noise = Noise(np.resize([1.0, -1.0], 1_000) * np.sqrt(0.5 * seeds), 1_000)
    return {
        f"row {i}": Measurement(points + value, np.zeros((seeds, 50)), 50, noise=noise)
        for i, value in enumerate(values)
    }


def pairs(rows: dict[str, Measurement]) -> dict[tuple[str, str], Pair]:
    found = {}
    for key, one in pairwise(rows).items():
        assert isinstance(one, Pair)
        found[key] = one
    return found


def realistic(seed: int) -> dict[str, Measurement]:
    """Make two deterministic rows and three with one, two and three seeds; some are close together."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(150), rng.geometric(0.3, 150))
    ease = rng.random(150)[session]
    rows = {}
    for i, K in enumerate((1, 1, 1, 2, 3)):
        hits = rng.random((K, len(session))) < ease + 0.05 * i + rng.normal(0, 0.01, (K, 1))
        rows[f"row {i}"] = measure(100.0 * hits, session, deterministic=i < 2)
    return with_noise(rows)


@pytest.mark.parametrize("rows", [4, 13])
def test_with_independent_rows_the_intervals_are_tukeys(rows: int):
    found = pairs(independent([0.0] * rows))
    expected = stats.studentized_range.ppf(0.95, rows, np.inf) / np.sqrt(2)
    assert [one.high - one.value for one in found.values()] == pytest.approx([expected] * len(found), rel=0.015)


@pytest.mark.parametrize("df", [3, 12])
def test_with_noise_between_seeds_only_the_intervals_are_those_of_rows_with_a_chi_square_each(df: int):
    """The reference draws the rows anew and takes the largest |x_i - x_j| / sqrt(s_i^2 + s_j^2) of each draw."""
    found = pairs(noisy([0.0] * 6, df))
    rng = np.random.default_rng(5)
    x, chi = rng.standard_normal((6, 200_000)), rng.chisquare(df, (6, 200_000)) / df
    largest = np.max(
        [np.abs(x[i] - x[j]) / np.sqrt(chi[i] + chi[j]) for i in range(6) for j in range(i)],
        axis=0,
    )
    expected = np.quantile(largest, 0.95)
    assert [one.high - one.value for one in found.values()] == pytest.approx([expected] * len(found), rel=0.03)


def test_the_p_values_are_tukeys():
    found = pairs(independent([0.0, 2.0, 2.8, 5.0]))
    for one in found.values():
        expected = stats.studentized_range.sf(one.value * np.sqrt(2), 4, np.inf)
        assert one.p == pytest.approx(expected, rel=0.1, abs=1e-3)


def test_rows_that_move_together_need_less_than_independent_ones():
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(400), 3)
    values = rng.random(1_200) + 1e-3 * np.arange(8)[:, None] * rng.random(1_200)  # row 0 plus i times the same values
    rows = {f"row {i}": measure(one[None], session, deterministic=True) for i, one in enumerate(values)}
    wide = [(one.high - one.value) / one.alone.s for one in pairs(rows).values()]
    assert wide == pytest.approx([stats.t.ppf(0.975, 399)] * 28, rel=0.03)  # all 28 are multiples of one


@pytest.mark.parametrize("seed", range(12))
def test_a_pairs_interval_leaves_0_out_just_where_its_p_value_is_below_5_per_cent(seed: int):
    found = pairs(realistic(seed))
    assert [one.p < 0.05 for one in found.values()] == [one.low > 0 or one.high < 0 for one in found.values()]
    for one in found.values():
        assert one.alone.p <= one.p <= min(1.0, len(found) * one.alone.p) + 1e-12
        assert one.low <= one.alone.low


def test_p_values_of_many_pairs_have_no_floor():
    found = pairs(independent([0.0, 10.0, 30.0]))
    assert found["row 1", "row 0"].p == pytest.approx(3 * 2 * stats.norm.sf(10), rel=0.2)
    assert found["row 2", "row 1"].p < 1e-50


def test_the_better_row_comes_first():
    found = pairs(independent([1.0, 3.0, 2.0]))
    assert list(found) == [("row 1", "row 0"), ("row 2", "row 0"), ("row 1", "row 2")]


def test_rows_whose_noise_is_not_known_are_not_judged_and_cost_the_others_nothing():
    rows = independent([0.0, 3.2, 6.0])
    alone = pairs(rows)
    runs = {f"run {i}": Measurement(np.array([1.5 * i]), rows["row 0"].influences, 50) for i in range(3)}
    found = pairwise({**rows, **runs})
    assert {key: found[key] for key in alone} == alone
    assert all(isinstance(one, OneRun) for key, one in found.items() if key not in alone)
    assert len(found) == 15
    named = best({**rows, **runs})
    assert [named[key] for key in runs] == [None] * 3
    assert {key: named[key] for key in rows} == best(rows) == {"row 0": False, "row 1": False, "row 2": True}


def dunnett(others: int) -> float:
    """Return the one-sided 5 % point of the largest of `others` differences from one row, of known, equal variances."""

    def below(d: float) -> float:
        def density(z: float) -> float:
            return stats.norm.pdf(z) * stats.norm.cdf(np.sqrt(2) * d + z) ** others

        return integrate.quad(density, -8, 8)[0]

    return float(optimize.brentq(lambda d: below(d) - 0.95, 1, 4))


@pytest.mark.parametrize("others", [1, 3, 9])
def test_a_row_may_be_the_best_until_another_is_ahead_by_dunnetts_distance(others: int):
    d = dunnett(others)
    assert dunnett(3) == pytest.approx(2.06, abs=0.01)  # as printed in Dunnett's own table
    for share, expected in ((0.98, True), (1.02, False)):
        values = [share * d, *[-50.0] * (others - 1)]
        values.insert(others // 2, 0.0)  # it may stand anywhere among the others
        named = best(independent(values))
        assert [named[f"row {i}"] for i in range(others + 1)] == [
            expected if value == 0.0 else value > 0.0 for value in values
        ]


def test_equal_rows_may_all_be_the_best():
    rows = independent([1.0])
    assert best({"one": rows["row 0"], "same": rows["row 0"]}) == {"one": True, "same": True}
    (both,) = pairs({"one": rows["row 0"], "same": rows["row 0"]}).values()
    assert (both.low, both.high, both.p) == (0, 0, 1)


def test_a_single_row_is_the_best_and_no_row_is_none():
    assert best(independent([1.0])) == {"row 0": True}
    assert best({}) == {}
    assert pairwise({}) == {}


def test_a_pair_alone_is_judged_as_by_itself():
    rows = independent([0.0, 2.1])
    (found,) = pairs(rows).values()
    alone = difference(rows["row 1"], rows["row 0"])
    assert isinstance(alone, Estimate)
    assert (found.low, found.high, found.p) == pytest.approx((alone.low, alone.high, alone.p))


def test_against_a_control_the_critical_value_is_dunnetts() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    rows = {
        label: measure(rng.standard_normal((1, n)), np.arange(n), deterministic=True) for label in ("c", "x", "y", "z")
    }
    found = against(rows, "c")
    assert list(found) == ["x", "y", "z"]
    for label, one in found.items():
        assert isinstance(one, Pair)
        assert one.value == pytest.approx(rows[label].value - rows["c"].value)
        # Dunnett's table of 1964, two-sided 5 %, three treatments, infinite degrees of freedom; Tukey's is 2.57.
        assert (one.high - one.value) / one.alone.s == pytest.approx(2.35, abs=0.03)
        assert (one.p < 0.05) == (one.low > 0 or one.high < 0)


def test_a_single_row_against_a_control_is_the_difference_by_itself() -> None:
    values = np.random.default_rng(1).standard_normal((2, 1, 500)) + np.array([0.0, 0.15])[:, None, None]
    rows = {label: measure(one, np.arange(500), deterministic=True) for label, one in zip("ab", values, strict=True)}
    (one,) = against(rows, "a").values()
    assert isinstance(one, Pair)
    assert (one.low, one.high, one.p) == pytest.approx((one.alone.low, one.alone.high, one.alone.p))


def test_a_single_session_tells_no_rows_apart() -> None:
    rows = {
        name: measure(np.full((1, 3), value), np.zeros(3, int), deterministic=True)
        for name, value in (("A", 40.0), ("B", 20.0), ("C", 20.0))
    }
    assert set(best(rows).values()) == {True}
    assert {kind_of(effect) for effect in against(rows, "B").values()} == {"undecided"}
