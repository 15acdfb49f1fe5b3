"""How often intervals cover the truth and tests raise false alarms, on simulated worlds whose truth is known.

A world has 200 sessions of 1 to about 15 prefixes. A session is easy or hard as a whole, partly for all rows alike and
partly for each row separately. A seed shifts all prefixes of its run, by more than the sessions shift the mean. A few
hundred worlds are tried by default, thousands in tox's environment `simulations`. A share may differ from the nominal
one as far as the binomial distribution of that many worlds allows, at one chance in a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair, best, pairwise
from reproduce.evaluation.uncertainty import (
    Estimate,
    Measurement,
    contrast,
    difference,
    measure,
    pooled_noise,
    with_noise,
)
from reproduce.evaluation.verdicts import equivalent
from reproduce.paper.rows import DECODERS, ROWS
from reproduce.reports.records import Records

SESSIONS, TRUTH = 200, 50.0
SEED_NOISE = 6.0  # points; the noise from sessions is 2, in a row and in the difference of two rows
FIRST_OF_36 = 0.0014  # Holm's first step among 36 pairs at 5 %

# Numbers of seeds: of the two rows compared, then of further rows. The noise between seeds is estimated from them all.
RUNS = {
    "K = 1": (1, 1, 5, 5, 5),
    "K = 2": (2, 2, 2),
    "K = 3": (3, 3, 3),
    "K = 5": (5, 5, 5),
    "K = 1, from two pairs": (1, 1, 2, 2),
    "K = 5 against 1": (5, 1),
}
WORLDS = [pytest.param(300, id="300 worlds"), pytest.param(4_000, id="4,000 worlds", marks=pytest.mark.slow)]


def world(
    rng: np.random.Generator, runs: Sequence[int], shifts: Sequence[float] = (), seed_noise: float = SEED_NOISE
) -> list[Measurement]:
    """Make a row for each number of runs; a row has half of its prefixes right, plus its shift in points."""
    sizes = rng.geometric(0.25, SESSIONS)
    session = np.repeat(np.arange(SESSIONS), sizes)
    ease = rng.uniform(0.3, 0.7, SESSIONS)
    rows = {}
    for i, K in enumerate(runs):
        shift = shifts[i] if i < len(shifts) else 0.0
        by_seed = rng.normal(0, seed_noise / 100, (K, 1))
        chance = ease + rng.uniform(-0.1, 0.1, SESSIONS) + shift / 100 + by_seed  # (K, sessions), seldom outside 0 to 1
        rows[str(i)] = measure(100.0 * (rng.random((K, len(session))) < chance[:, session]), session)
    return list(with_noise(rows).values())


def judged(one: object) -> Estimate:
    assert isinstance(one, Estimate)
    return one


def at_most(share: float, worlds: int) -> float:
    """Return the largest share that may be observed if the true one is `share`, except for one chance in a thousand."""
    return float(stats.binom.ppf(0.999, worlds, share)) / worlds


def at_least(share: float, worlds: int) -> float:
    return float(stats.binom.ppf(0.001, worlds, share)) / worlds


@pytest.mark.parametrize("worlds", WORLDS)
@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_intervals_cover_and_tests_seldom_cry_wolf(runs: tuple[int, ...], worlds: int):
    rng = np.random.default_rng(17)
    rows, differences = [], []
    for _ in range(worlds):
        a, b, *_ = world(rng, runs)
        rows.append(judged(contrast([(1, a)])))
        differences.append(judged(difference(a, b)))
    for found, truth in ((rows, TRUTH), (differences, 0.0)):
        covered = np.mean([one.low <= truth <= one.high for one in found])
        assert covered >= at_least(0.95, worlds)
        if min(runs[:2]) > 1:  # a single run has its family's variance with 2 degrees of freedom: wide by design
            assert covered <= at_most(0.975, worlds)
    p = np.array([one.p for one in differences])
    assert np.mean(p < 0.05) <= at_most(0.05, worlds)
    assert np.mean(p < FIRST_OF_36) <= at_most(FIRST_OF_36, worlds)


@pytest.mark.parametrize("worlds", WORLDS)
@pytest.mark.parametrize("runs", [(1, 1, 5, 5, 5), (3, 3, 3)])
def test_without_noise_between_seeds_intervals_are_wide_but_never_too_narrow(runs: tuple[int, ...], worlds: int):
    rng = np.random.default_rng(18)
    p = []
    for _ in range(worlds):
        a, b, *_ = world(rng, runs, seed_noise=0.0)
        p.append(judged(difference(a, b)).p)
    assert np.mean(np.array(p) < 0.05) <= at_most(0.05, worlds)


def test_an_interval_that_forgets_the_seeds_would_miss():
    """If it missed seldom, the worlds would have little noise between seeds and the tests above would show little."""
    rng = np.random.default_rng(19)
    missed = 0
    for _ in range(100):
        a, b, *_ = world(rng, (1, 1, 5, 5, 5))
        one = judged(difference(a, b))
        assert one.seed_variance > one.session_variance
        missed += abs(one.value) > 1.96 * np.sqrt(one.session_variance)
    assert missed > 40


@pytest.mark.parametrize("worlds", WORLDS)
def test_a_true_difference_is_found_as_often_as_it_should_be(worlds: int):
    rng = np.random.default_rng(20)
    found = []
    for _ in range(worlds):
        a, b, *_ = world(rng, (5, 5, 5), (12.0, 0.0))
        found.append(judged(difference(a, b)))
    assert np.mean([one.low <= 12.0 <= one.high for one in found]) >= at_least(0.95, worlds)
    seen = np.mean([one.p < 0.05 and one.value > 0 for one in found])
    assert seen == pytest.approx(np.mean([one.power(12.0) for one in found]), abs=0.08)
    assert 0.5 < seen < 0.95


@pytest.mark.parametrize(
    ("worlds", "draws"),
    [pytest.param(60, 1_999, id="60 worlds"), pytest.param(1_200, 4_999, id="1,200 worlds", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("runs", [(1, 1, 1, 1, 5, 5), (3, 3, 3, 3, 3, 3)])
def test_all_intervals_of_a_page_hold_together_and_the_best_row_is_kept(
    runs: tuple[int, ...], worlds: int, draws: int, monkeypatch: pytest.MonkeyPatch
):
    """All rows are equal, so each is a best one: the hardest case for keeping row 0, and for the pairs."""
    monkeypatch.setattr(comparisons, "DRAWS", draws)
    rng = np.random.default_rng(21)
    alarms, kept, dropped = 0, 0, 0
    for _ in range(worlds):
        rows = {str(i): one for i, one in enumerate(world(rng, runs))}
        pairs = pairwise(rows).values()
        alarms += any(one.low > 0 or one.high < 0 for one in pairs if isinstance(one, Pair))
        named = best(rows)
        kept += named["0"] is True
        dropped += sum(one is False for one in named.values())
    assert alarms / worlds <= at_most(0.05, worlds)
    assert kept / worlds >= at_least(0.95, worlds)
    assert alarms + dropped > 0  # rows are told apart at times


@pytest.mark.parametrize("worlds", WORLDS)
@pytest.mark.parametrize("runs", [(1, 1, 5, 5, 5), (5, 5, 5)])
def test_a_difference_as_large_as_the_margin_is_seldom_called_equivalent(runs: tuple[int, ...], worlds: int):
    rng = np.random.default_rng(22)
    called = {8.0: 0, 20.0: 0}
    for _ in range(worlds):
        for margin in called:
            a, b, *_ = world(rng, runs, (margin, 0.0), seed_noise=3.0)
            called[margin] += equivalent(judged(difference(a, b)), margin)
    assert max(called.values()) / worlds <= at_most(0.05, worlds)
    assert called[20.0] > 0


# The real test sessions of YOOCHOOSE 1/64: sessions move the rows as in the records, seeds as is said here.
NETWORKS, OTHERS = ("NARM", "Improved GRU-Rec", "variant"), ("BPR-MF", "FPMC", "GRU-Rec")
PAIRS = (("NARM", "variant"), ("NARM", "FPMC"), ("GRU-Rec", "FPMC"))
BY_PREFIX = 0.08  # points: the d of a network's seed in the records
EVEN = dict.fromkeys((*NETWORKS, *OTHERS), 0.36)
UNLIKE = dict(zip((*NETWORKS, *OTHERS), (0.1, 0.1, 0.1, 0.4, 0.6, 0.3), strict=True))
# True standard deviations between seeds, seeds of every row and of the variant; least coverage of the three pairs.
WORLDS_OF_1_64 = {
    "all 0.36": (EVEN, 5, 1, (0.99, 0.96, 0.96)),
    "networks 0.1, others 0.3 to 0.6": (UNLIKE, 5, 1, (0.99, 0.94, 0.96)),
    "the same, 2 seeds": (UNLIKE, 2, 2, (0.96, 0.92, 0.94)),
    "the same, 5 seeds": (UNLIKE, 5, 5, (0.96, 0.94, 0.95)),
    "variant twice its family": (UNLIKE | {"variant": 0.2}, 5, 1, (0.94, 0.94, 0.96)),
}


@pytest.fixture(scope="module")
def records_of_1_64() -> dict[str, Measurement]:
    """Return what every test session does to Recall@20 of the rows."""
    shelf = Records(Path(__file__).resolve().parent.parent / "results")
    rows = {row.label: row for row in ROWS} | {"variant": DECODERS[0]}
    found = {label: shelf.results(rows[label], "yoochoose1_64") for label in EVEN}
    return {
        label: measure(np.stack([100.0 * (one.ranks() <= 20) for one in results]), results[0].session)
        for label, results in found.items()
    }


@pytest.mark.parametrize(
    "worlds", [pytest.param(200, id="200"), pytest.param(20_000, id="20,000", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("case", WORLDS_OF_1_64)
def test_the_rule_covers_on_the_test_sessions_of_yoochoose_where_one_deviation_for_all_rows_does_not(
    case: str, worlds: int, records_of_1_64: dict[str, Measurement]
):
    deviations, K, K_variant, least = WORLDS_OF_1_64[case]
    rng = np.random.default_rng(26)
    influence = {label: one.influence for label, one in records_of_1_64.items()}  # taken as the true ones
    rows = {}
    for label, u in influence.items():
        seeds = K_variant if label == "variant" else K
        own = rng.normal(0, BY_PREFIX / np.sqrt(len(u)), (seeds, len(u)))
        family = "networks" if label in NETWORKS else "others"
        rows[label] = Measurement(np.zeros(seeds), u + own, records_of_1_64[label].sessions, family=family)
    U = np.stack(list(influence.values()))
    values, vectors = np.linalg.eigh(U @ U.T)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    t = stats.t.ppf(0.975, np.arange(60))
    with_any = with_noise(rows)
    base = {(a, b): judged(difference(with_any[a], with_any[b])) for a, b in PAIRS}
    covered, pooled = np.zeros(len(PAIRS)), np.zeros(len(PAIRS))
    for _ in range(worlds):
        shifts = dict(zip(rows, root @ rng.standard_normal(len(rows)), strict=True))
        drawn = {
            label: replace(one, points=shifts[label] + rng.normal(0, deviations[label], len(one.points)))
            for label, one in rows.items()
        }
        noisy, all_rows = with_noise(drawn), pooled_noise(drawn.values())
        assert all_rows is not None
        for i, (a, b) in enumerate(PAIRS):
            parts = tuple(part for key in (a, b) if (part := noisy[key].by_seed))
            one = replace(base[a, b], value=drawn[a].value - drawn[b].value, by_seed=parts)
            covered[i] += one.low <= 0 <= one.high
            twice = sum(rows[key].counted_twice for key in (a, b))
            by_seeds = np.sqrt(all_rows.variance * sum(1 / part.seeds for part in parts))
            half = np.hypot(1.96 * np.sqrt(one.session_variance + twice), t[all_rows.df] * by_seeds)
            pooled[i] += abs(one.value) <= half
    for share, least_share in zip(covered / worlds, least, strict=True):
        assert share >= at_least(least_share, worlds)
    if deviations is not EVEN:
        assert pooled[0] / worlds >= at_least(0.99, worlds)  # of two networks: so wide that hardly anything shows
        assert pooled[2] / worlds <= at_most(0.91, worlds)  # of two noisy models: one in ten is a false alarm
