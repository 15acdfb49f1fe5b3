"""Intervals and tests against slow literal versions of themselves, and on simulated sessions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproduce.evaluation import bootstrap
from reproduce.evaluation.bootstrap import Sample, effect, holm, resampled_means, samples


def few_prefixes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sessions of 40 prefixes, and the worth of each under two seeds of one model and one of another."""
    session = np.sort(rng.integers(0, 12, 40))
    session = np.unique(session, return_inverse=True)[1]
    return session, rng.random((2, 40)), rng.random((1, 40))


def test_a_resample_is_what_one_gets_by_drawing_sessions_and_laying_their_prefixes_side_by_side():
    session, two_seeds, _ = few_prefixes(np.random.default_rng(0))
    where = np.arange(40) % 3 > 0
    (found,) = samples([two_seeds], session, [where], replicates=70, seed=9)
    n = session.max() + 1
    rng = np.random.default_rng(9)
    for replicate in range(70):
        drawn = rng.integers(0, n, n)
        prefixes = [i for one in drawn for i in np.flatnonzero(session == one) if where[i]]
        for k in range(2):
            assert found.resamples[replicate, k] == pytest.approx(np.mean([two_seeds[k][i] for i in prefixes]))
    assert found.points == pytest.approx(two_seeds[:, where].mean(1))


def test_a_difference_is_paired_it_is_taken_on_the_same_resample():
    session, a, b = few_prefixes(np.random.default_rng(1))
    one, two = samples([a[:1], b], session, replicates=200)
    (apart,) = samples([a[:1] - b], session, replicates=200)
    together = effect((1, one), (-1, two))
    alone = effect((1, apart))
    assert together.value == pytest.approx(alone.value)
    assert (together.low, together.high, together.p) == pytest.approx((alone.low, alone.high, alone.p))


def test_one_run_gives_the_percentiles_of_its_resamples():
    session, _, one = few_prefixes(np.random.default_rng(2))
    (sample,) = samples([one], session, replicates=400)
    found = effect((1, sample))
    widened = abs(np.quantile(sample.resamples, [0.025, 0.975]) - sample.value) * 1.12  # t with 11 degrees, not normal
    assert [sample.value - found.low, found.high - sample.value] == pytest.approx(widened, rel=0.01)


def test_the_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(3)
    shifts = rng.normal(0, 0.6, 60)
    for shift in shifts:
        draws = rng.standard_normal((2_000, 1))
        found = effect((1, Sample(np.array([3 * shift]), 3 * shift + draws, 10_000)))
        if not 0.03 < found.p < 0.07:  # p looks at both tails together, the interval at each
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_two_equal_runs_do_not_differ():
    session, a, _ = few_prefixes(np.random.default_rng(4))
    one, same = samples([a, a], session)
    assert effect((1, one), (-1, same)).value == 0
    assert effect((1, one), (-1, same)).p == 1


def test_a_mean_over_no_prefix_has_no_interval():
    session, a, _ = few_prefixes(np.random.default_rng(5))
    (sample,) = samples([a], session, [np.zeros(40, dtype=bool)], replicates=5)
    found = effect((1, sample))
    assert np.isnan([found.value, found.low, found.high, found.p]).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50)
def test_holm_rejects_what_stepping_down_by_hand_rejects(p: list[float]):
    adjusted = holm(p)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[i] * (len(p) - step) > level:
                break
            rejected.add(i)
        assert {i for i, value in enumerate(adjusted) if value <= level} == rejected


# Simulations: sessions of 1 to some 15 prefixes; a session is easy or hard as a whole, so its prefixes hang together.

SESSIONS, RUNS, TRUTH = 300, 1_000, 0.55


def simulated(rng: np.random.Generator, seeds: int, seed_noise: float, shift: float = 0.0) -> list[list[Sample]]:
    """For each of 1,000 worlds two models with some seeds each, hits drawn prefix by prefix."""
    sizes = rng.geometric(0.25, SESSIONS)
    ease = rng.beta(2.2, 1.8, (RUNS, 1, SESSIONS))  # mean 0.55, for both models and all seeds
    models = []
    for moved in (0.0, shift):
        by_seed = rng.normal(0, seed_noise, (RUNS, seeds, 1))
        own = rng.normal(0, 0.1, (RUNS, seeds, SESSIONS))
        hits = rng.binomial(sizes, np.clip(ease + moved + by_seed + own, 0, 1)).reshape(RUNS * seeds, SESSIONS)
        drawn = resampled_means(hits.T.astype(float), sizes[:, None].astype(float), replicates=1_000)
        points, drawn = (hits.sum(1) / sizes.sum()).reshape(RUNS, seeds), drawn.reshape(-1, RUNS, seeds)
        models.append([Sample(points[i], drawn[:, i], SESSIONS) for i in range(RUNS)])
    return models


@pytest.mark.parametrize(("seeds", "seed_noise"), [(1, 0.0), (3, 0.0), (3, 0.015)])
def test_the_interval_covers_and_the_test_seldom_cries_wolf(seeds: int, seed_noise: float):
    one, other = simulated(np.random.default_rng(17), seeds, seed_noise)
    # Clipping at 0 and 1 moves the mean by less than a thousandth; the mean over all worlds is the truth to as much.
    truth = np.mean([sample.value for sample in one + other])
    assert truth == pytest.approx(TRUTH, abs=0.005)
    intervals = [effect((1, sample)) for sample in one]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    alarms = np.mean([effect((1, a), (-1, b)).p < bootstrap.ALPHA for a, b in zip(one, other, strict=True)])
    assert 0.93 <= covered <= 0.97
    assert 0.03 <= alarms <= 0.07


def test_an_interval_that_forgets_sessions_would_cover_too_seldom():
    rng = np.random.default_rng(18)
    sizes = rng.geometric(0.25, SESSIONS)
    hits = rng.binomial(sizes, rng.beta(2.2, 1.8, (RUNS, SESSIONS)))
    share = hits.sum(1) / sizes.sum()
    half = 1.96 * np.sqrt(share * (1 - share) / sizes.sum())
    assert np.mean(abs(share - TRUTH) <= half) < 0.9


def test_a_known_effect_is_found():
    one, other = simulated(np.random.default_rng(19), 3, 0.0, shift=0.08)
    truth = np.mean([b.value - a.value for a, b in zip(one, other, strict=True)])  # what clipping at 1 leaves of it
    found = [effect((1, b), (-1, a)) for a, b in zip(one[:200], other[:200], strict=True)]
    assert truth == pytest.approx(0.08, abs=0.01)
    assert np.mean([one.p < bootstrap.ALPHA and one.value > 0 for one in found]) > 0.95
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.9
